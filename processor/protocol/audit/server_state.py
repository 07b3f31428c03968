"""The server state of each round follows from the one before: with the stopping rule it decides what is next.

The files in the folder of a `Workplace` whose names begin with `state-` and a round's number are states after that
round, whose tensors are read when they are needed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from processor.artifacts.plan import Plan
from processor.artifacts.report import Report
from processor.artifacts.state import FIRST_STATE, STATE, ServerState, load_state
from processor.protocol.audit.artifacts import Workplace
from processor.protocol.audit.verdict import Checks
from processor.protocol.model_form import ModelForm
from processor.protocol.settlement import conclude, conclude_unseen
from processor.types import Cid


def named_state(checks: Checks, report: Report, place: Workplace, form: ModelForm | None) -> ServerState | None:
    """The state that a report names; None where it cannot be had."""
    return _state_at(
        checks, report.round, report.server_state, place.directory / f"state-{report.round}-named", place, form
    )


def state_before(
    checks: Checks,
    number: int,
    known: ServerState | None,
    named: ServerState | None,
    place: Workplace,
    form: ModelForm | None,
) -> ServerState | None:
    """The state that a round starts from, where it is `known` from the rounds before. Where the report that names it is
    lost, the parent of the state that this round's report names is taken for it; None where that cannot be had either.
    """
    if known is not None or named is None:
        return known
    if named.parent is None:
        return FIRST_STATE
    return _state_at(checks, number, named.parent, place.directory / f"state-{number}-parent", place, form)


def check_state(
    checks: Checks, plan: Plan, report: Report, named: ServerState | None, after: ServerState, place: Workplace
) -> ServerState:
    """What the report says of the state is what follows. `after` is the state after the round, not measured yet; gives
    it as it should be, under the name that the report has for it."""
    path = place.directory / f"state-{report.round}"
    expected, decision = conclude(after, report.metrics.after, plan, path)
    _compare(checks, report, named, expected, decision)
    checks.equal(report.round, "CID of the server state", expected.cid, report.server_state)
    return replace(load_state(path), cid=report.server_state)


def check_unseen_state(
    checks: Checks, plan: Plan, report: Report, named: ServerState | None, previous: ServerState, place: Workplace
) -> ServerState | None:
    """As `check_state`, for a round that is not settled again: `previous` is the state before it.

    Only with the updates can be told which tensors follow. So those of the state that the report names are taken as
    they are, and its CID is compared where neither it nor the state before has any. None where nothing is left to tell.
    """
    path = place.directory / f"state-{report.round}"
    expected, decision = conclude_unseen(previous, report.round, report.metrics.after, plan, path)
    _compare(checks, report, named, expected, decision)
    if expected.cid is None or (named is not None and named.tensors):
        return named
    checks.equal(report.round, "CID of the server state", expected.cid, report.server_state)
    return replace(expected, cid=report.server_state)


def _compare(
    checks: Checks, report: Report, named: ServerState | None, expected: ServerState, decision: str | None
) -> None:
    if named is not None:
        checks.equal(report.round, "server state", expected.header, named.header)
    checks.equal(report.round, "stopping rule", decision, report.stop)


def forget_older_states(number: int, place: Workplace) -> None:
    """Once the state after a round is known, or lost, those of rounds before are of no use."""
    for path in place.directory.glob("state-*"):
        if _round_in(path) != number:
            path.unlink()


def _round_in(path: Path) -> int:
    return int(path.name.split("-")[1])


def _state_at(
    checks: Checks, number: int, cid: Cid, path: Path, place: Workplace, form: ModelForm | None
) -> ServerState | None:
    def read() -> ServerState:
        place.library.fetch(STATE, cid, path, None if form is None else form.state_bytes)
        return load_state(path)

    return checks.artifact(number, f"server state {cid}", read)
