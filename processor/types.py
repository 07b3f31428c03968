"""The words that every part of Koinon shares, as frozen dataclasses.

Units everywhere: compute time in integer milliseconds, block times in whole seconds since 1970, shares in basis points,
amounts in the smallest unit of the federation's asset (wei of the native coin), rates of pay in 10^-9 of that unit per
second of compute.
Addresses are EIP-55 checksummed strings, CIDs are CIDv0 strings ("Qm..."), `None` where the chain holds zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


class Refusal(IntEnum):
    """Why an update or a decline is refused; the same numbers as `IFederation.Refusal`."""

    NONE = 0
    NOT_SELECTED = 1
    ALREADY_SUBMITTED = 2
    ZERO_CID = 3
    COMPUTE_TIME = 4
    CLAIM_FIRST = 5


@dataclass(frozen=True)
class FederationTerms:
    """What is fixed for good when a federation is created (`IFederation.FederationTerms`).

    `asset` is the token of rewards and stakes, `ZERO_ADDRESS` for the native coin. `max_spread` is how many times what
    a pool can pay the selected may claim together; after `idle_rounds` of silence, 0 for never, a selected member may
    be retired.
    """

    asset: Address = ZERO_ADDRESS
    stake: int = 0
    max_slash_rate: int = 0
    admission: Admission = Admission.OPEN
    audit_policy: AuditPolicy = AuditPolicy.OPEN
    max_spread: int = 1
    idle_rounds: int = 0


@dataclass(frozen=True)
class Block:
    """The block that a cycle reads; every contract read of the cycle names its hash.

    `parent` is the hash of the block before, `base_fee` what a unit of gas burns in wei: None where nobody looked.
    """

    number: int
    hash: str
    timestamp: int
    parent: str | None = field(default=None, compare=False)
    base_fee: int | None = field(default=None, compare=False)


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
class Opening:
    """Everything that an opening fixes: what the digest of the round starts from (`IFederation.Opening`)."""

    round: int
    opened_at: int
    training_deadline: int
    aggregation_deadline: int
    member_count: int
    selection_offset: int
    selected_count: int
    max_updates: int
    max_compute_ms: int
    plan: Cid
    sealing_key: bytes
    base_model: Cid
    base_report: Cid | None
    reward_rate_cap: int
    pool: int


@dataclass(frozen=True)
class Submitted:
    """One line of a round's list, which is in the order of submission: what its digest chains."""

    client: Address
    update: Cid
    compute_ms: int


@dataclass(frozen=True)
class Adjustment:
    """Lowers what one client is credited, 0 rejects its update, and may slash what is left of its stake."""

    client: Address
    credited_ms: int
    slash_rate: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a finalization says of its round; `adjustments` are in ascending order of client, as the record has them."""

    model: Cid
    report: Cid
    secret: bytes
    credited_ms: int
    adjustments: tuple[Adjustment, ...]


@dataclass(frozen=True)
class Result:
    """What a round left for ever (`IFederation.results`): zero for one that is live, was never opened or left nothing.

    `sealing_key` are the first 12 bytes of the key whose secret a finalization may have published.
    """

    payable: int
    credited_ms: int
    sealing_key: bytes


@dataclass(frozen=True)
class UpdateView:
    """One update of the latest round, as state still holds it (`IFederation.UpdateView`).

    Once it was adjusted, `compute_ms` is what was credited and `ordinal`, its place in the order of submission, means
    nothing any more.
    """

    client: Address
    update: Cid
    compute_ms: int
    ordinal: int
    adjusted: bool
    slash_rate: int


@dataclass(frozen=True)
class ClientView:
    """A client as the latest round sees it, and what it holds (`IFederation.ClientView`).

    `update` and what follows it are of the latest round; `owed` is what a claim would pay, of whatever rounds.
    """

    client: Address
    member: bool
    index: int
    selected: bool
    last: int
    declined: bool
    update: Cid | None
    compute_ms: int
    adjusted: bool
    slash_rate: int
    owed: int
    stake: int


@dataclass(frozen=True)
class RoundView:
    """Everything the chain knows of the latest round, and of one client in it (`IFederation.RoundView`)."""

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
    digest: bytes
    update_count: int
    absent_count: int
    claimed_ms: int
    credited_ms: int
    reward_rate_cap: int
    pool: int
    guaranteed_rate: int
    payable: int
    surplus: int
    forfeited: int
    client: ClientView

    @property
    def chained(self) -> int:
        """The last round that the record chains: the next opening chains one that was abandoned."""
        return self.round if self.phase is Phase.FINALIZED else max(0, self.round - 1)

    @property
    def opening(self) -> Opening:
        """What the opening fixed. Raises ValueError where the chain does not say it (any more): before the first round,
        and of a finalized round, whose report names the base."""
        if self.plan is None or self.base.model is None:
            raise ValueError(f"the chain does not hold what round {self.round} started from: it is {self.phase.name}")
        return Opening(
            round=self.round,
            opened_at=self.opened_at,
            training_deadline=self.training_deadline,
            aggregation_deadline=self.aggregation_deadline,
            member_count=self.member_count,
            selection_offset=self.selection_offset,
            selected_count=self.selected_count,
            max_updates=self.max_updates,
            max_compute_ms=self.max_compute_ms,
            plan=self.plan,
            sealing_key=self.sealing_key,
            base_model=self.base.model,
            base_report=self.base.report,
            reward_rate_cap=self.reward_rate_cap,
            pool=self.pool,
        )
