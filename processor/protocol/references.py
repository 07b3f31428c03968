"""What a round refers to: every CID that its opening, its outcome, its report and its plan name. Pure.

Retention lets go of it, an export copies it, and an audit reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from processor.artifacts.committed import OpeningFields
from processor.artifacts.plan import PRIVATE, Plan
from processor.artifacts.report import AbandonedRound, Report
from processor.artifacts.round import RoundFile
from processor.protocol.judge import UNAVAILABLE, UNOPENED
from processor.types import Cid


class Role(StrEnum):
    """What an artifact is to the round that names it."""

    PLAN = "plan"
    VALIDATION = "validation data"
    MODEL = "model"
    STATE = "server state"
    REPORT = "report"
    LIST = "list"
    UPDATE = "update"
    JUNK = "junk update"
    MISSING = "missing update"


OWN = frozenset({Role.MODEL, Role.REPORT, Role.LIST, Role.UPDATE})
"""What belongs to one federation alone. Plans, validation data and server states may be another's to the byte; what was
submitted and does not open is in nobody's way but may be anybody's artifact; and what nobody served was never kept."""


@dataclass(frozen=True)
class Reference:
    """An artifact that a round names."""

    role: Role
    cid: Cid


def of_opening(opening: OpeningFields) -> Iterator[Reference]:
    """The plan, and the release that the round began with."""
    yield Reference(Role.PLAN, opening.plan)
    yield Reference(Role.MODEL, opening.base_model)
    if opening.base_report is not None:
        yield Reference(Role.REPORT, opening.base_report)


def of_file(file: RoundFile) -> Iterator[Reference]:
    """What a round's file names but for its updates, of which the report says which were opened."""
    yield from of_opening(file.opening)
    if file.outcome is not None:
        yield Reference(Role.MODEL, file.outcome.model)
        yield Reference(Role.REPORT, file.outcome.report)


def of_report(report: Report) -> Iterator[Reference]:
    """What a report names of its own round, and the lists of the rounds that were abandoned before it."""
    yield from of_opening(report.opening)
    yield Reference(Role.MODEL, report.model)
    yield Reference(Role.STATE, report.server_state)
    for update in report.updates:
        yield Reference(_role(update.reason), update.update)
    for abandoned in report.abandoned:
        yield Reference(Role.LIST, abandoned.list)


def _role(reason: str | None) -> Role:
    """What an update is, by the reason that a report gives."""
    if reason == UNAVAILABLE:
        return Role.MISSING
    return Role.JUNK if reason in UNOPENED else Role.UPDATE


def of_plan(plan: Plan) -> Iterator[Reference]:
    """The validation data, where it is published."""
    if plan.validation != PRIVATE:
        yield Reference(Role.VALIDATION, plan.validation)


def reports_before(report: Report) -> dict[Cid, int]:
    """The reports that one leads to, each with the latest round that it may be of."""
    named = {finished.report: finished.round for finished in report.before}
    if report.opening.base_report is not None:
        named.setdefault(report.opening.base_report, report.round - 1)
    return {cid: min(round, report.round - 1) for cid, round in named.items()}


def lists_before(report: Report) -> list[AbandonedRound]:
    """The abandoned rounds whose lists a report names, also those that it repeats of the reports before it."""
    return [*report.abandoned, *(one for finished in report.before for one in finished.abandoned)]
