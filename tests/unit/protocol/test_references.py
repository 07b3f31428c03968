"""What a round refers to is listed whole, and each artifact in its role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from processor.cid import cid_of
from processor.protocol.judge import REASONS
from processor.protocol.references import (
    OWN,
    Reference,
    Role,
    lists_before,
    of_file,
    of_opening,
    of_plan,
    of_report,
    reports_before,
)
from processor.types import Cid
from tests.unit.artifacts.examples import BEFORE, OPENING, PLAN, REPORT, ROUND

MODEL, STATE, LIST = REPORT.model, REPORT.server_state, REPORT.abandoned[0].list
FIRST, SECOND = (line.update for line in REPORT.updates)


def named(references: Iterable[Reference]) -> dict[Role, set[Cid]]:
    found: dict[Role, set[Cid]] = {}
    for reference in references:
        found.setdefault(reference.role, set()).add(reference.cid)
    return found


def test_an_opening_names_its_plan_and_the_release_that_it_began_with() -> None:
    assert named(of_opening(REPORT.opening)) == {
        Role.PLAN: {OPENING.plan},
        Role.MODEL: {OPENING.base_model},
        Role.REPORT: {OPENING.base_report},
    }


def test_a_first_round_names_no_report_of_its_base_model() -> None:
    assert Role.REPORT not in named(of_opening(replace(REPORT.opening, base_report=None)))


def test_a_file_names_what_its_round_released() -> None:
    outcome = ROUND.outcome
    assert outcome is not None
    found = named(of_file(ROUND))
    assert found[Role.MODEL] == {OPENING.base_model, outcome.model}
    assert found[Role.REPORT] == {OPENING.base_report, outcome.report}
    assert list(of_file(replace(ROUND, outcome=None))) == list(of_opening(ROUND.opening))


def test_a_report_names_its_model_its_state_its_updates_and_the_lists_of_abandoned_rounds() -> None:
    assert named(of_report(REPORT)) == {
        Role.PLAN: {OPENING.plan},
        Role.MODEL: {OPENING.base_model, MODEL},
        Role.STATE: {STATE},
        Role.REPORT: {OPENING.base_report},
        Role.UPDATE: {FIRST, SECOND},
        Role.LIST: {LIST},
    }


def test_an_update_that_was_never_opened_is_junk_and_one_that_nobody_served_was_never_kept() -> None:
    for reason in REASONS:
        lines = (replace(REPORT.updates[0], reason=reason), REPORT.updates[1])
        found = named(of_report(replace(REPORT, updates=lines)))
        role = {"unavailable": Role.MISSING, "sealed_wrong": Role.JUNK, "too_large": Role.JUNK}.get(reason, Role.UPDATE)
        assert FIRST in found[role], reason
        others = {Role.MISSING, Role.JUNK, Role.UPDATE} - {role}
        assert not any(FIRST in found.get(other, set()) for other in others), reason


def test_plans_states_and_validation_data_may_be_another_federations() -> None:
    assert not OWN & {Role.PLAN, Role.STATE, Role.VALIDATION, Role.JUNK, Role.MISSING}


def test_a_plan_names_its_validation_data_where_that_is_published() -> None:
    published = cid_of(b"validation data")
    assert list(of_plan(replace(PLAN, validation=published))) == [Reference(Role.VALIDATION, published)]
    assert list(of_plan(PLAN)) == []


def test_a_report_leads_to_the_two_before_it_each_of_the_round_that_is_named() -> None:
    assert reports_before(REPORT) == {BEFORE[0].report: 3, BEFORE[1].report: 1}


def test_a_report_that_names_none_before_leads_to_that_of_its_base_model() -> None:
    assert reports_before(replace(REPORT, before=())) == {OPENING.base_report: REPORT.round - 1}


@given(st.integers(1, 2**24 - 1))
def test_a_report_leads_to_no_round_that_is_not_before_its_own(round: int) -> None:
    liar = replace(REPORT, before=(replace(BEFORE[0], round=round), BEFORE[1]))
    assert all(latest < REPORT.round for latest in reports_before(liar).values())


def test_a_report_repeats_the_lists_of_the_reports_before_it() -> None:
    assert [one.round for one in lists_before(REPORT)] == [4, 2]


def test_the_page_on_the_protocol_has_every_reason() -> None:
    page = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
    assert all(f"| `{reason}` |" in page for reason in REASONS)
