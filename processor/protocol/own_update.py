"""A client's own line in a report: whether it says what the client knows better than anybody. Pure.

Samples are inside the sealed update and on no chain: only who made it can tell everybody that its weight is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from processor.artifacts.report import Report, ReportedUpdate
from processor.types import Address, Cid
from processor.words import counted


@dataclass(frozen=True)
class OwnUpdate:
    """What a client knows of its update: `claimed_ms` as the chain showed it, None where it was not seen there in time;
    `credited_ms` and `slash_rate` as the chain has them of the latest round, None for an earlier one."""

    update: Cid
    samples: int
    claimed_ms: int | None
    credited_ms: int | None
    slash_rate: int | None


@dataclass(frozen=True)
class Reported:
    """What a report says of a client's update: where it `differs` from what the client knows, and the `reason` why the
    update was not taken as it is, if there is one."""

    differs: tuple[str, ...]
    reason: str | None

    @property
    def outcome(self) -> str:
        """How a metric names it."""
        if self.differs:
            return "differs"
        return "accepted" if self.reason is None else "adjusted"


def reported(report: Report, client: Address, own: OwnUpdate, max_weight: int) -> Reported:
    """Compares the report's line with what the client knows; the plan counts at most `max_weight` samples."""
    line = next((line for line in report.updates if line.client == client), None)
    if line is None:
        return Reported(("it does not list our update",), None)
    return Reported(tuple(_differences(line, own, max_weight)), line.reason)


def _differences(line: ReportedUpdate, own: OwnUpdate, max_weight: int) -> Iterator[str]:
    known: tuple[tuple[str, object, object], ...] = (
        ("update", line.update, own.update),
        ("claimed_ms", line.claimed_ms, own.claimed_ms),
        ("credited_ms", line.credited_ms, own.credited_ms),
        ("slash_rate", line.slash_rate, own.slash_rate),
    )
    for name, said, expected in known:
        if expected is not None and said != expected:
            yield f"it says {name} {said}: expected {expected}"
    weight = min(own.samples, max_weight)
    if line.weight not in (0, weight):
        yield f"it says weight {line.weight}: expected {weight}, of our {counted(own.samples, 'sample')}"
