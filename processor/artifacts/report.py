"""The report: how an organization finalized a round, for anyone to recompute.

It also holds, or names, all that the chain's record commits to since the two finalized rounds before: a walk from the
latest report back to the first round needs no logs, and one report that is lost does not end it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, FailFast, Field, StringConstraints, ValidationInfo

from processor.artifacts.canonical import (
    AddressField,
    ChainId,
    CidField,
    Count,
    Fields,
    Hex20,
    Hex32,
    Metric,
)
from processor.artifacts.committed import (
    MAX_UPDATES,
    Adjustments,
    ComputeMs,
    OpenedRound,
    OpeningFields,
    TotalMs,
    UpdateCount,
    each_client_once,
)
from processor.artifacts.versions import Kind, Older
from processor.types import Adjustment, Cid, Outcome, Submitted

MAX_ABANDONED = 1_000
"""Rounds that one report names; of more, the latest."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=128)]


def _not_above_the_claim(credited_ms: int, info: ValidationInfo) -> int:
    if credited_ms > info.data.get("claimed_ms", credited_ms):
        raise ValueError(f"should be at most the {info.data['claimed_ms']} ms claimed")
    return credited_ms


def _explained(reason: str | None, info: ValidationInfo) -> str | None:
    weight, credited_ms = info.data.get("weight"), info.data.get("credited_ms")
    if weight is None or credited_ms is None:
        return reason
    if (weight == 0) != (credited_ms == 0):
        raise ValueError(f"weight {weight} with credited_ms {credited_ms}: a rejected update has neither, others both")
    if weight == 0 and reason is None:
        raise ValueError("a rejected update (weight 0) needs a reason")
    return reason


def _only_for_a_rejection(slash_rate: int, info: ValidationInfo) -> int:
    if slash_rate and info.data.get("weight"):
        raise ValueError(f"should be 0 with weight {info.data['weight']}: only a rejected update is slashed for")
    return slash_rate


def _once(updates: tuple[ReportedUpdate, ...]) -> tuple[ReportedUpdate, ...]:
    each_client_once(update.client for update in updates)
    return updates


def _rising(rounds: tuple[AbandonedRound, ...]) -> tuple[AbandonedRound, ...]:
    for before, after in pairwise(rounds):
        if before.round >= after.round:
            raise ValueError(f"round {after.round} follows round {before.round}: expected them in their order")
    return rounds


def _newest_first(rounds: tuple[FinishedRound, ...]) -> tuple[FinishedRound, ...]:
    for after, before in pairwise(rounds):
        if before.round >= after.round:
            raise ValueError(f"round {before.round} follows round {after.round}: expected the newest first")
    return rounds


def _without_noise(privacy: dict[str, str]) -> dict[str, str]:
    if privacy != {"where": "none"}:
        raise ValueError("should be exactly where: none")
    return privacy


@dataclass(frozen=True)
class ReportedUpdate(Fields):
    """What became of one update: its weight in the average and the compute time it is paid for, in milliseconds.

    No reason: accepted as claimed. Weight 0: rejected for the reason. Otherwise accepted with less time than claimed.
    `slash_rate`, in basis points of what is left of the client's stake, is what the rejection costs as well.
    """

    client: AddressField
    update: CidField
    claimed_ms: Annotated[int, Field(ge=1, le=2**32 - 1)]
    weight: Count
    credited_ms: Annotated[ComputeMs, AfterValidator(_not_above_the_claim)]
    reason: Annotated[Code | None, AfterValidator(_explained)]
    slash_rate: Annotated[int, Field(ge=0, le=10_000), AfterValidator(_only_for_a_rejection)]


@dataclass(frozen=True)
class AbandonedRound(Fields):
    """A round that was abandoned: what the record chains of it, and the `round` artifact that lists its updates."""

    round: OpenedRound
    digest: Hex20
    update_count: UpdateCount
    claimed_ms: TotalMs
    list: CidField


Abandoned = Annotated[tuple[AbandonedRound, ...], FailFast(), Field(max_length=MAX_ABANDONED), AfterValidator(_rising)]


@dataclass(frozen=True)
class FinishedRound(Fields):
    """A round that was finalized before: what the record chains of it, the record before and after it, and the rounds
    that were abandoned before it since the last finalization."""

    round: OpenedRound
    record_before: Hex32
    record: Hex32
    digest: Hex20
    update_count: UpdateCount
    claimed_ms: TotalMs
    credited_ms: TotalMs
    model: CidField
    report: CidField
    secret: Hex32
    adjustments: Adjustments
    abandoned: Abandoned

    @property
    def outcome(self) -> Outcome:
        return Outcome(
            model=self.model,
            report=self.report,
            secret=bytes.fromhex(self.secret),
            credited_ms=self.credited_ms,
            adjustments=tuple(item.value() for item in self.adjustments),
        )


@dataclass(frozen=True)
class Metrics(Fields):
    """The validation metric of the base model and of the round's model."""

    before: Metric
    after: Metric
    name: Code


@dataclass(frozen=True)
class Report(Fields):
    """One finalized round.

    `updates` are in the order of submission, which the round's digest chains. `record_before` is the chain's record of
    all rounds before this one; `before` are the last two that were finalized, the newest first, and `abandoned` those
    since. `stop` says why no round follows, if none does. `next_plan` is the plan that the organization announces for
    the rounds to come, where that is another than this round's: a word ahead, and no promise.
    """

    chain_id: ChainId
    federation: AddressField
    opening: OpeningFields
    updates: Annotated[tuple[ReportedUpdate, ...], FailFast(), Field(max_length=MAX_UPDATES), AfterValidator(_once)]
    record_before: Hex32
    before: Annotated[tuple[FinishedRound, ...], FailFast(), Field(max_length=2), AfterValidator(_newest_first)]
    abandoned: Abandoned
    model: CidField
    server_state: CidField
    metrics: Metrics
    privacy: Annotated[dict[str, str], AfterValidator(_without_noise)]
    versions: Annotated[dict[Text, Text], Field(max_length=64)]
    initialization_seed: Count
    stop: Code | None
    next_plan: CidField | None

    @property
    def round(self) -> int:
        return self.opening.round

    @property
    def plan(self) -> Cid:
        return self.opening.plan

    @property
    def base_model(self) -> Cid:
        return self.opening.base_model

    @property
    def submitted(self) -> tuple[Submitted, ...]:
        """The round's list."""
        return tuple(Submitted(line.client, line.update, line.claimed_ms) for line in self.updates)

    @property
    def claimed_ms(self) -> int:
        return sum(line.claimed_ms for line in self.updates)

    @property
    def credited_ms(self) -> int:
        return sum(line.credited_ms for line in self.updates)

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """What the finalization told the contract: who is credited less than claimed, in ascending order."""
        return tuple(
            Adjustment(line.client, line.credited_ms, line.slash_rate)
            for line in sorted(self.updates, key=lambda line: int(line.client, 16))
            if line.credited_ms < line.claimed_ms
        )


@dataclass(frozen=True)
class Report2(Fields):
    """A report of version 2, which announces no plan."""

    chain_id: ChainId
    federation: AddressField
    opening: OpeningFields
    updates: Annotated[tuple[ReportedUpdate, ...], FailFast(), Field(max_length=MAX_UPDATES), AfterValidator(_once)]
    record_before: Hex32
    before: Annotated[tuple[FinishedRound, ...], FailFast(), Field(max_length=2), AfterValidator(_newest_first)]
    abandoned: Abandoned
    model: CidField
    server_state: CidField
    metrics: Metrics
    privacy: Annotated[dict[str, str], AfterValidator(_without_noise)]
    versions: Annotated[dict[Text, Text], Field(max_length=64)]
    initialization_seed: Count
    stop: Code | None


def _from_2(report: Report2) -> Report:
    return Report(**_values(report), next_plan=None)


def _to_2(report: Report) -> Report2 | None:
    if report.next_plan is not None:
        return None
    values = _values(report)
    del values["next_plan"]
    return Report2(**values)


def _values(report: Fields) -> dict[str, Any]:
    return {field.name: getattr(report, field.name) for field in fields(report)}


REPORT = Kind("report", 2 << 20, Report, version=3, older=(Older(Report2, up=_from_2, down=_to_2),), values=1 << 16)
