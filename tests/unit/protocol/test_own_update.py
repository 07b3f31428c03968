"""A client compares its own line of a report with what it knows better than anybody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processor.artifacts.report import Report
from processor.protocol.own_update import OwnUpdate, Reported, reported
from tests.unit.artifacts.examples import REPORT

(REJECTED, ACCEPTED) = REPORT.updates
OWN = OwnUpdate(ACCEPTED.update, samples=300, claimed_ms=812, credited_ms=812, slash_rate=0)


def with_line(**changes: Any) -> Report:
    return replace(REPORT, updates=(REJECTED, replace(ACCEPTED, **changes)))


def told(report: Report = REPORT, own: OwnUpdate = OWN, max_weight: int = 10_000) -> Reported:
    return reported(report, ACCEPTED.client, own, max_weight)


def test_a_line_that_says_what_the_client_knows_differs_in_nothing() -> None:
    assert told() == Reported((), None)
    assert told().outcome == "accepted"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"update": REJECTED.update}, f"it says update {REJECTED.update}: expected {ACCEPTED.update}"),
        ({"claimed_ms": 813}, "it says claimed_ms 813: expected 812"),
        ({"credited_ms": 811}, "it says credited_ms 811: expected 812"),
        ({"weight": 299}, "it says weight 299: expected 300, of our 300 samples"),
        ({"weight": 10_000}, "it says weight 10000: expected 300, of our 300 samples"),
    ],
)
def test_each_thing_that_differs_is_said(changes: dict[str, Any], said: str) -> None:
    found = told(with_line(**changes))
    assert (found.differs, found.outcome) == ((said,), "differs")


def test_no_more_samples_count_than_the_plan_says() -> None:
    assert told(with_line(weight=200), max_weight=200).differs == ()
    assert told(with_line(weight=300), max_weight=200).differs == (
        "it says weight 300: expected 200, of our 300 samples",
    )


def test_a_slash_that_the_chain_does_not_have_differs() -> None:
    own = OwnUpdate(REJECTED.update, samples=10, claimed_ms=977, credited_ms=0, slash_rate=0)
    found = reported(REPORT, REJECTED.client, own, 10_000)
    assert found == Reported(("it says slash_rate 2500: expected 0",), "not_finite")


def test_an_update_that_was_not_taken_as_it_is_comes_with_the_reason() -> None:
    own = OwnUpdate(REJECTED.update, samples=10, claimed_ms=977, credited_ms=0, slash_rate=2_500)
    found = reported(REPORT, REJECTED.client, own, 10_000)
    assert (found, found.outcome) == (Reported((), "not_finite"), "adjusted")


def test_what_is_not_known_any_more_is_not_compared() -> None:
    own = OwnUpdate(ACCEPTED.update, samples=300, claimed_ms=None, credited_ms=None, slash_rate=None)
    assert told(with_line(claimed_ms=900, credited_ms=5), own).differs == ()


def test_a_report_without_our_line_differs() -> None:
    assert told(replace(REPORT, updates=(REJECTED,))) == Reported(("it does not list our update",), None)
