"""The words that every part of Koinon shares, as frozen dataclasses.

Units everywhere: compute time in integer milliseconds, block times in whole seconds since 1970, amounts in wei.
Addresses are EIP-55 checksummed strings, CIDs are CIDv0 strings ("Qm..."), `None` where the chain holds zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

Address = str
Cid = str

ZERO_ADDRESS: Address = "0x" + "00" * 20


class Phase(IntEnum):
    """Where a round stands; the same numbers as `IFederation.Phase`."""

    NONE = 0
    TRAINING = 1
    AGGREGATING = 2
    FINALIZED = 3
    ABANDONED = 4

    @property
    def over(self) -> bool:
        """Whether nothing more can happen in the round but claims."""
        return self in (Phase.FINALIZED, Phase.ABANDONED)

    @property
    def live(self) -> bool:
        return self in (Phase.TRAINING, Phase.AGGREGATING)


@dataclass(frozen=True)
class Block:
    """The block that a cycle reads; every contract read of the cycle names its number."""

    number: int
    hash: str
    timestamp: int


@dataclass(frozen=True)
class Release:
    """A model and the report that explains it; no report for the initial model."""

    model: Cid | None
    report: Cid | None


@dataclass(frozen=True)
class RoundTerms:
    """What the organization fixes when it opens a round (`IFederation.RoundTerms`)."""

    plan: Cid
    sealing_key: bytes
    training_period: int
    aggregation_period: int
    max_updates: int
    max_compute_ms: int
    selection_rate: int
    reward_rate_cap: int
    reward: int


@dataclass(frozen=True)
class Adjustment:
    """Lowers what one client is credited; 0 rejects its update."""

    client: Address
    credited_ms: int


@dataclass(frozen=True)
class ClientView:
    """A client as one round sees it (`IFederation.ClientView`)."""

    client: Address
    member: bool
    index: int
    selected: bool
    update: Cid | None
    samples: int
    compute_ms: int
    credited_ms: int
    reward: int
    claimed: bool


@dataclass(frozen=True)
class RoundView:
    """Everything the chain knows of a round, and of one client in it (`IFederation.RoundView`)."""

    round: int
    phase: Phase
    opened_at: int
    training_deadline: int
    aggregation_deadline: int
    plan: Cid | None
    sealing_key: bytes
    base: Release
    released: Release
    secret: bytes
    member_count: int
    selection_offset: int
    selected_count: int
    max_updates: int
    max_compute_ms: int
    update_count: int
    claimed_ms: int
    credited_ms: int
    reward_rate_cap: int
    pool: int
    guaranteed_rate: int
    payable: int
    surplus: int
    forfeited: int
    client: ClientView
