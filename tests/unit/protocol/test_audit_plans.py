"""A changed plan is listed with what changed; one that nobody announced, and one that has come to its end, is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from processor.artifacts.plan import Plan
from processor.artifacts.report import Report
from processor.chain.asset import Asset
from processor.cid import cid_of
from processor.protocol.audit.plans import Plans, check_plan, differences
from processor.protocol.audit.verdict import Checks, PlanChange, describe
from processor.types import ZERO_ADDRESS, Cid, Opening
from tests.unit.artifacts.examples import OPENING, PLAN, REPORT

OTHER = replace(PLAN, stopping=replace(PLAN.stopping, patience=6), validation=cid_of(b"validation data"))
FIRST, SECOND = cid_of(b"first plan"), cid_of(b"second plan")


def opening(round: int, plan: Cid) -> Opening:
    return replace(OPENING, round=round, plan=plan)


def reporting(round: int, stop: str | None = None, next_plan: Cid | None = None) -> Report:
    return replace(REPORT, opening=replace(REPORT.opening, round=round), stop=stop, next_plan=next_plan)


def seen(
    before: Plans, round: int, cid: Cid, plan: Plan | None = PLAN, posted: bool | None = None
) -> tuple[list[str], PlanChange | None]:
    checks = Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    change = check_plan(checks, before, opening(round, cid), plan, lambda plan, round: posted)
    return [describe(violation) for violation in checks.violations], change


def test_the_first_plan_and_the_same_plan_are_no_change() -> None:
    assert seen(Plans(), 1, FIRST) == ([], None)
    assert seen(Plans().after(opening(1, FIRST), PLAN, None), 2, FIRST) == ([], None)


def test_a_change_is_listed_with_its_difference_and_is_no_violation() -> None:
    before = Plans().after(opening(1, FIRST), PLAN, reporting(1, next_plan=SECOND))
    found, change = seen(before, 2, SECOND, OTHER)
    assert found == []
    assert change is not None and change.compared
    assert (change.round, change.since, change.announced) == (2, 1, "by the report of round 1")
    assert change.differences == (
        ("stopping.patience", "5", "6"),
        ("validation", '"private"', f'"{OTHER.validation}"'),
    )


@pytest.mark.parametrize(
    ("posted", "announced", "violations"), [(True, "by a post", 0), (False, None, 1), (None, None, 0)]
)
def test_silence_is_a_violation_where_the_logs_would_show_an_announcement(
    posted: bool | None, announced: str | None, violations: int
) -> None:
    before = Plans().after(opening(1, FIRST), PLAN, reporting(1))
    found, change = seen(before, 2, SECOND, OTHER, posted)
    assert change is not None and change.announced == announced
    assert len(found) == violations
    assert all(line.startswith("round 2: plan: expected one that is announced before") for line in found)


def test_an_announcement_holds_over_rounds_that_are_abandoned_or_lost_and_logs_are_not_asked_for() -> None:
    before = Plans().after(opening(1, FIRST), PLAN, reporting(1, next_plan=SECOND))
    before = before.after(opening(2, FIRST), PLAN, None, abandoned=True)
    found, change = seen(before, 4, SECOND, OTHER, posted=False)
    assert found == []
    assert change is not None and (change.since, change.announced) == (2, "by the report of round 1")


def test_where_a_report_is_lost_that_may_have_announced_the_plan_silence_is_no_violation() -> None:
    before = Plans().after(opening(1, FIRST), PLAN, None).after(opening(2, FIRST), PLAN, reporting(2))
    found, change = seen(before, 3, SECOND, OTHER, posted=False)
    assert found == []
    assert change is not None and change.announced is None


def test_a_plan_that_cannot_be_read_is_a_change_without_a_difference() -> None:
    before = Plans().after(opening(1, FIRST), None, None)
    _, change = seen(before, 2, SECOND, OTHER)
    assert change is not None and (change.compared, change.differences) == (False, ())


def test_a_round_after_a_stop_is_named_until_another_plan_comes() -> None:
    before = Plans().after(opening(3, FIRST), PLAN, reporting(3, stop="patience"))
    found, _ = seen(before, 4, FIRST)
    assert found == [
        "round 4: round after a stop: expected another plan, or no round, found the plan "
        f"{FIRST}, under which no round follows by the report of round 3"
    ]
    assert seen(before, 4, SECOND, OTHER, posted=True)[0] == []
    later = before.after(opening(4, SECOND), OTHER, reporting(4))
    assert len(seen(later, 5, FIRST, posted=True)[0]) == 1


def test_a_round_above_the_most_of_its_plan_is_named() -> None:
    most = PLAN.stopping.max_rounds
    assert seen(Plans(), most, FIRST)[0] == []
    assert seen(Plans(), most + 1, FIRST)[0] == [
        f"round {most + 1}: number of the round: expected at most the plan's max_rounds {most}, found {most + 1}"
    ]


def test_settings_that_only_one_of_two_plans_has_are_differences() -> None:
    grown = replace(PLAN, model=replace(PLAN.model, arguments={**PLAN.model.arguments, "depth": 2}))
    assert list(differences(PLAN, grown)) == [("model.arguments.depth", "nothing", "2")]
    assert list(differences(grown, PLAN)) == [("model.arguments.depth", "2", "nothing")]
    assert list(differences(PLAN, PLAN)) == []
