"""What the chain commits to, as artifacts write it: an opening, the lines of a list, adjustments, an outcome.

Keys, secrets, digests and records are lower-case hexadecimal. Amounts and rates are decimal strings: JSON's integers
end at 2^53.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, FailFast, Field, StringConstraints

from processor.artifacts.canonical import AddressField, CidField, Fields, Hex32
from processor.types import Adjustment, Opening, Outcome, Submitted

MAX_UPDATES = 1_000
AMOUNT_LIMIT = 2**112 - 1


def _amount(value: str) -> str:
    if int(value) > AMOUNT_LIMIT:
        raise ValueError("should be below 2^112, as the chain keeps it")
    return value


AmountField = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,33})$"), AfterValidator(_amount)]
BlockTime = Annotated[int, Field(ge=0, le=2**40 - 1)]
ComputeMs = Annotated[int, Field(ge=0, le=2**32 - 1)]
TotalMs = Annotated[int, Field(ge=0, le=2**48 - 1)]
OpenedRound = Annotated[int, Field(ge=1, le=2**24 - 1)]
Members = Annotated[int, Field(ge=0, le=2**24 - 1)]
UpdateCount = Annotated[int, Field(ge=0, le=MAX_UPDATES)]


@dataclass(frozen=True)
class OpeningFields(Fields):
    """Everything that an opening fixed (`processor.types.Opening`)."""

    round: OpenedRound
    opened_at: BlockTime
    training_deadline: BlockTime
    aggregation_deadline: BlockTime
    member_count: Members
    selection_offset: Members
    selected_count: UpdateCount
    max_updates: UpdateCount
    max_compute_ms: ComputeMs
    plan: CidField
    sealing_key: Hex32
    base_model: CidField
    base_report: CidField | None
    reward_rate_cap: AmountField
    pool: AmountField

    @staticmethod
    def of(opening: Opening) -> OpeningFields:
        texts = {
            "sealing_key": opening.sealing_key.hex(),
            "reward_rate_cap": str(opening.reward_rate_cap),
            "pool": str(opening.pool),
        }
        return OpeningFields(**{**asdict(opening), **texts})

    def value(self) -> Opening:
        values = {
            "sealing_key": bytes.fromhex(self.sealing_key),
            "reward_rate_cap": int(self.reward_rate_cap),
            "pool": int(self.pool),
        }
        return Opening(**{**asdict(self), **values})


@dataclass(frozen=True)
class UpdateLine(Fields):
    """One line of a round's list (`processor.types.Submitted`)."""

    client: AddressField
    update: CidField
    compute_ms: ComputeMs

    @staticmethod
    def of(submitted: Submitted) -> UpdateLine:
        return UpdateLine(submitted.client, submitted.update, submitted.compute_ms)

    def value(self) -> Submitted:
        return Submitted(self.client, self.update, self.compute_ms)


@dataclass(frozen=True)
class AdjustmentFields(Fields):
    """What was lowered of one client (`processor.types.Adjustment`)."""

    client: AddressField
    credited_ms: ComputeMs
    slash_rate: Annotated[int, Field(ge=0, le=10_000)]

    @staticmethod
    def of(adjustment: Adjustment) -> AdjustmentFields:
        return AdjustmentFields(adjustment.client, adjustment.credited_ms, adjustment.slash_rate)

    def value(self) -> Adjustment:
        return Adjustment(self.client, self.credited_ms, self.slash_rate)


def _ascending(adjustments: tuple[AdjustmentFields, ...]) -> tuple[AdjustmentFields, ...]:
    for before, after in pairwise(adjustments):
        if int(before.client, 16) >= int(after.client, 16):
            raise ValueError(f"{after.client} follows {before.client}: each client once, in ascending order of address")
    return adjustments


Adjustments = Annotated[
    tuple[AdjustmentFields, ...], FailFast(), Field(max_length=MAX_UPDATES), AfterValidator(_ascending)
]


@dataclass(frozen=True)
class OutcomeFields(Fields):
    """What a finalization said (`processor.types.Outcome`)."""

    model: CidField
    report: CidField
    secret: Hex32
    credited_ms: TotalMs
    adjustments: Adjustments

    @staticmethod
    def of(outcome: Outcome) -> OutcomeFields:
        return OutcomeFields(
            model=outcome.model,
            report=outcome.report,
            secret=outcome.secret.hex(),
            credited_ms=outcome.credited_ms,
            adjustments=tuple(AdjustmentFields.of(item) for item in outcome.adjustments),
        )

    def value(self) -> Outcome:
        return Outcome(
            model=self.model,
            report=self.report,
            secret=bytes.fromhex(self.secret),
            credited_ms=self.credited_ms,
            adjustments=tuple(item.value() for item in self.adjustments),
        )


def each_client_once(clients: Iterable[str]) -> None:
    """ValueError for a list that names a client twice: the chain takes one update from each."""
    seen: set[str] = set()
    for client in clients:
        if client in seen:
            raise ValueError(f"{client} stands there twice: expected each client once")
        seen.add(client)
