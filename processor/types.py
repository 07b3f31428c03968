"""The words that every part of Koinon shares, as frozen dataclasses.

Units everywhere: compute time in integer milliseconds, block times in whole seconds since 1970, rates in basis points,
amounts in the smallest unit of the federation's asset (wei of the native coin).
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


class Admission(IntEnum):
    """Who may register; the same numbers as `IFederation.Admission`."""

    OPEN = 0
    VOUCHER = 1


class AuditPolicy(IntEnum):
    """Who may open the updates of a finalized round; the same numbers as `IFederation.AuditPolicy`."""

    OPEN = 0
    APPOINTED = 1


@dataclass(frozen=True)
class FederationTerms:
    """What is fixed for good when a federation is created (`IFederation.FederationTerms`).

    `asset` is the token of rewards and stakes, `ZERO_ADDRESS` for the native coin.
    """

    asset: Address = ZERO_ADDRESS
    stake: int = 0
    max_slash_rate: int = 0
    admission: Admission = Admission.OPEN
    audit_policy: AuditPolicy = AuditPolicy.OPEN


@dataclass(frozen=True)
class Block:
    """The block that a cycle reads; every contract read of the cycle names its hash."""

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
    """Lowers what one client is credited, 0 rejects its update, and may slash what is left of its stake."""

    client: Address
    credited_ms: int
    slash_rate: int = 0


@dataclass(frozen=True)
class ClientView:
    """A client as one round sees it (`IFederation.ClientView`)."""

    client: Address
    member: bool
    stake: int
    index: int
    selected: bool
    update: Cid | None
    samples: int
    compute_ms: int
    credited_ms: int
    slash_rate: int
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
