"""A report is held against what the record proves, field by field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from processor.artifacts.report import Report
from processor.chain.asset import Asset
from processor.protocol.audit.reports import check_history, check_report
from processor.protocol.audit.verdict import Checks, describe
from processor.protocol.walk.claims import walk
from processor.types import ZERO_ADDRESS
from tests.unit.protocol.histories import History, cid, secret_of

LETTERS = "FAFAF"
LAST = len(LETTERS)


def found_in(change: Callable[[Report], Report], *without: str) -> list[str]:
    """What is found in the report of the last round once it was changed, with the files of all rounds at hand."""
    history = History.of(LETTERS, {LAST: change})
    claims = history.claims()
    for file in history.files if "files" not in without else ():
        claims.add_file(file)
    state, checks = history.state(), Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    steps = {step.round: step for step in walk(state, claims, {})}
    name, report = history.report(LAST)
    check_report(checks, state, steps[LAST], report, name, secret_of(LAST))
    check_history(checks, LAST, report, steps, {})
    return [describe(violation) for violation in checks.violations]


def changed(**changes: Any) -> Callable[[Report], Report]:
    return lambda report: replace(report, **changes)


def opened_with(**changes: Any) -> Callable[[Report], Report]:
    return lambda report: replace(report, opening=replace(report.opening, **changes))


def line(**changes: Any) -> Callable[[Report], Report]:
    return lambda report: replace(report, updates=(replace(report.updates[0], **changes), *report.updates[1:]))


def before(**changes: Any) -> Callable[[Report], Report]:
    return lambda report: replace(report, before=(replace(report.before[0], **changes), *report.before[1:]))


def abandoned(**changes: Any) -> Callable[[Report], Report]:
    return lambda report: replace(report, abandoned=(replace(report.abandoned[0], **changes),))


def test_a_true_report_is_found_true() -> None:
    assert found_in(lambda report: report) == []
    assert found_in(lambda report: report, "files") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (changed(chain_id=1), "chain id in the report: expected 31337, found 1"),
        (changed(federation="0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), "federation in the report"),
        (changed(record_before="ab" * 32), "record before the round in the report"),
        (changed(model=cid("other model", 5)), "model in the report"),
        (lambda report: replace(report, updates=report.updates[::-1]), "order of the updates in the report"),
        (lambda report: replace(report, updates=report.updates[1:]), "clients in the report"),
        (line(update=cid("other update", 5)), "update of 0x"),
        (line(claimed_ms=10_000), "claimed time of 0x"),
        (line(credited_ms=1), "credited time of 0x"),
        (opened_with(plan=cid("other plan", 5)), "plan of the opening in the report"),
        (opened_with(pool="12345"), "pool of the opening in the report"),
        (opened_with(sealing_key="ab" * 32), "sealing_key of the opening in the report"),
        (opened_with(base_report=None), "base_report of the opening in the report"),
        (opened_with(selection_offset=3), "selection_offset of the opening in the report"),
        (before(secret="ab" * 32), "secret in before of the report, round 3"),
        (before(record="ab" * 32), "record in before of the report, round 3"),
        (before(record_before="ab" * 32), "record before it in before of the report, round 3"),
        (before(digest="ab" * 20), "digest in before of the report, round 3"),
        (before(update_count=9), "number of updates in before of the report, round 3"),
        (before(claimed_ms=9), "claimed time in before of the report, round 3"),
        (before(credited_ms=9), "credited time in before of the report, round 3"),
        (before(model=cid("other model", 3)), "model in before of the report, round 3"),
        (before(report=cid("other report", 3)), "report in before of the report, round 3"),
        (before(adjustments=()), "adjustments in before of the report, round 3"),
        (before(abandoned=()), "abandoned rounds before round 3 in the report: expected [2], found []"),
        (lambda report: replace(report, before=report.before[:1]), "rounds in before of the report: expected [3, 1]"),
        (lambda report: replace(report, before=report.before[1:]), "rounds in before of the report: expected [3, 1]"),
        (changed(abandoned=()), "abandoned rounds before round 5 in the report: expected [4], found []"),
        (abandoned(digest="ab" * 20), "digest of abandoned round 4 in the report"),
        (abandoned(update_count=9), "number of updates of abandoned round 4 in the report"),
        (abandoned(claimed_ms=9), "claimed time of abandoned round 4 in the report"),
    ],
)
def test_every_field_that_lies_is_named(change: Callable[[Report], Report], field: str) -> None:
    found = found_in(change)
    assert any(line.startswith("round 5: ") and field in line for line in found), found
    assert found_in(change, "files") != []


def test_a_list_under_the_cid_of_an_abandoned_round_that_is_another_is_named() -> None:
    history = History.of(LETTERS)
    name, report = history.report(LAST)
    state, checks = history.state(), Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    steps = {step.round: step for step in walk(state, history.claims(), {})}
    check_history(checks, LAST, report, steps, {report.abandoned[0].list: bytes(20), name: bytes(20)})
    (violation,) = checks.violations
    assert describe(violation).startswith("round 5: digest of the list of abandoned round 4 in the report: expected ")
