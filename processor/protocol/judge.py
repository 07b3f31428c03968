"""What becomes of each update of a round: its weight, the compute time that it is paid for, what it costs. Pure.

A rejection rests only on what anyone can recompute from the chain and the bytes behind its CIDs; each has one of the
reason codes of `REASONS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processor.aggregation.inputs import Accepted
from processor.artifacts.plan import Plan
from processor.artifacts.report import ReportedUpdate
from processor.protocol.examine import Examined
from processor.protocol.metering import credited_ms
from processor.types import Address, Adjustment

UNAVAILABLE, METERING = "unavailable", "metering"
REASONS = {
    UNAVAILABLE: "nobody served the update whole, within the size that the model allows and hashing to its CID",
    "too_large": "the sealed content is larger than the model allows",
    "sealed_wrong": "the update cannot be opened with the round's secret",
    "malformed": "the opened bytes are not an update",
    "header": "the update was made for another chain, federation, round, client or base model",
    "shape": "the update's tensors are not those of the base model",
    "dtype": "the update's tensors have the wrong type",
    "not_finite": "the update holds a number that is not finite",
    "negative_fisher": "the update's Fisher information is negative",
    "buffer": "a buffer of the update is outside what the plan declares of it, or counts more steps than the plan asks",
    "norm": "the update is larger, by its L2 norm, than the plan allows",
    METERING: "the claimed compute time is above the tolerance over the median of the accepted claims",
}

SLASHED = frozenset(REASONS) - {UNAVAILABLE, METERING}
"""The reasons that cost stake: what a client alone can have caused. That nobody serves an update may be the fault of a
network, and the pace of a machine is measured against the others'."""

UNOPENED = frozenset({UNAVAILABLE, "sealed_wrong", "too_large"})
"""Reasons of updates that were never opened: they may be anybody's artifacts."""


def judge(examined: Sequence[Examined], plan: Plan) -> tuple[ReportedUpdate, ...]:
    """Weight, credited time and slash rate of every update, in the order given."""
    accepted = {item.submitted.client: item.submitted.compute_ms for item in examined if item.content is not None}
    credited = credited_ms(accepted, plan.metering.tolerance_percent, plan.metering.floor_ms)
    return tuple(_verdict(item, credited, plan) for item in examined)


def _verdict(item: Examined, credited: Mapping[Address, int], plan: Plan) -> ReportedUpdate:
    submitted = item.submitted
    if item.content is None:
        return ReportedUpdate(
            client=submitted.client,
            update=submitted.update,
            claimed_ms=submitted.compute_ms,
            weight=0,
            credited_ms=0,
            reason=item.reason,
            slash_rate=plan.slashing.rate if item.reason in SLASHED else 0,
        )
    ms = credited[submitted.client]
    return ReportedUpdate(
        client=submitted.client,
        update=submitted.update,
        claimed_ms=submitted.compute_ms,
        weight=min(item.content.samples, plan.aggregation.max_weight),
        credited_ms=ms,
        reason=METERING if ms < submitted.compute_ms else None,
        slash_rate=0,
    )


def accepted_of(examined: Sequence[Examined], updates: Sequence[ReportedUpdate]) -> tuple[Accepted, ...]:
    """The updates that are averaged, with the weights that `judge` gave them; both in the same order."""
    return tuple(
        Accepted(update.client, item.content.path, update.weight, item.content.facts)
        for item, update in zip(examined, updates, strict=True)
        if item.content is not None
    )


def adjustments_of(updates: Sequence[ReportedUpdate]) -> tuple[Adjustment, ...]:
    """What the contract is told: the clients credited less than they claimed, and slashed, in ascending order."""
    return tuple(
        Adjustment(update.client, update.credited_ms, update.slash_rate)
        for update in sorted(updates, key=lambda update: int(update.client, 16))
        if update.credited_ms < update.claimed_ms
    )
