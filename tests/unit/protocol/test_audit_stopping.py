"""A stopping decision that the tolerance of the metric could turn is told from one that was measured again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from processor.artifacts.plan import Stopping
from processor.artifacts.report import Report
from processor.artifacts.state import ServerState
from processor.cid import cid_of
from processor.protocol.audit.stopping import BEGINNING, Course, stop_of
from processor.protocol.audit.verdict import Stop
from tests.unit.artifacts.examples import PLAN, REPORT

RULE = Stopping(min_rounds=2, max_rounds=9, patience=1, min_improvement=0.005)
UNDER = replace(PLAN, stopping=RULE)
SHIFT = 0.0095
"""Of a metric whose tolerance is 0.01."""


def report(round: int, after: float, stop: str | None = None) -> Report:
    opening = replace(REPORT.opening, round=round)
    return replace(REPORT, opening=opening, metrics=replace(REPORT.metrics, after=after), stop=stop)


def stops(*rounds: tuple[float, float | None, str | None]) -> list[Stop]:
    """Of rounds that claimed a metric, of which the audit measured another or none, and reported a decision."""
    course: Course | None = BEGINNING
    found = []
    for number, (claimed, measured, decision) in enumerate(rounds, start=1):
        stop, course = stop_of(UNDER, report(number, claimed, decision), measured, course, None)
        assert stop is not None
        found.append(stop)
    return found


@pytest.mark.parametrize(
    ("claimed", "reported", "measured"),
    [(0.5 + SHIFT, None, "patience"), (0.508 - SHIFT, "patience", None)],
    ids=["go on", "patience"],
)
def test_a_shift_within_the_tolerance_that_flips_the_decision_leaves_it_undecided(
    claimed: float, reported: str | None, measured: str | None
) -> None:
    true = 0.5 if reported is None else 0.508
    first, second = stops((0.5, 0.5, None), (claimed, true, reported))
    assert not first.undecided
    assert second.undecided and second.measured
    assert (second.reported, second.decided, second.possible) == (reported, measured, {None, "patience"})


def test_a_shift_of_an_earlier_round_leaves_later_decisions_undecided() -> None:
    """The first round claims less than it reached, so that the second looks like an improvement."""
    _, second = stops((0.5 - SHIFT, 0.5, None), (0.5, 0.5, None))
    assert second.undecided and second.decided == "patience"


def test_a_metric_that_is_met_exactly_leaves_nothing_open() -> None:
    _, second = stops((0.5, 0.5, None), (0.5, 0.5, "patience"))
    assert (second.undecided, second.decided) == (False, "patience")


def test_a_shift_that_no_decision_hangs_on_leaves_nothing_open() -> None:
    _, second = stops((0.5, 0.5, None), (0.8 - SHIFT, 0.8, None))
    assert not second.undecided


def test_private_data_leaves_the_decision_a_claim_that_follows_from_claims() -> None:
    _, second = stops((0.5, None, None), (0.5, None, "patience"))
    assert (second.undecided, second.measured, second.decided) == (False, False, "patience")


def test_a_round_whose_models_could_not_be_measured_leaves_what_follows_a_claim() -> None:
    first, second, third = stops((0.5, 0.5, None), (0.6, None, None), (0.6, 0.6, "patience"))
    assert [each.measured for each in (first, second, third)] == [True, False, False]
    assert (third.undecided, third.decided) == (False, "patience")


def test_the_state_before_stands_in_for_rounds_that_are_lost() -> None:
    state = ServerState(1, None, best_metric=0.5, rounds_without_improvement=0, cid=cid_of(b"state"))
    stop, _ = stop_of(UNDER, report(2, 0.5, "patience"), None, None, state)
    assert stop is not None and stop.decided == "patience"
    assert stop_of(UNDER, report(2, 0.5, "patience"), None, None, None) == (None, None)
