"""The walk believes nobody: whatever the sources say, the record decides, and what nothing proves is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.artifacts.report import Report
from processor.protocol.history import link_of_file
from processor.protocol.walk.claims import Step, walk
from tests.unit.protocol.histories import History


def because(steps: list[Step]) -> dict[int, str]:
    return {step.round: step.because for step in steps if step.because is not None}


@pytest.fixture
def history() -> History:
    return History.of("AFAFFAAF")


def test_state_and_reports_prove_every_round_and_its_list_where_the_lists_are_published(history: History) -> None:
    claims = history.claims()
    for file in history.files:
        claims.add_file(replace(file, outcome=None, record_before="00" * 32))
    steps = walk(history.state(), claims, {})
    assert because(steps) == {}
    for step in steps:
        file = history.files[step.round - 1]
        assert step.link == link_of_file(file)
        assert step.list is not None
        assert (step.list.opening, step.list.updates) == (file.opening.value(), file.submitted)


def test_without_the_lists_of_abandoned_rounds_these_alone_are_not_proved(history: History) -> None:
    steps = walk(history.state(), history.claims(), {})
    assert list(because(steps)) == [7, 6, 3, 1]
    assert all(step.link == link_of_file(history.files[step.round - 1]) for step in steps)


@pytest.mark.parametrize("lost", [2, 4, 5])
def test_one_lost_report_costs_the_list_of_its_round_and_nothing_else(history: History, lost: int) -> None:
    name, _ = history.report(lost)
    steps = walk(history.state(), history.claims(lost), {name: "nobody serves it"})
    assert list(because(steps)) == sorted({7, 6, 3, 1, lost}, reverse=True)
    assert because(steps)[lost].startswith(f"its report {name} cannot be had (nobody serves it)")
    assert all(step.link == link_of_file(history.files[step.round - 1]) for step in steps)


def test_without_the_newest_report_state_alone_leads_nowhere(history: History) -> None:
    name, _ = history.report(8)
    claims = history.claims(2, 4, 5, 8)
    steps = walk(history.state(), claims, {name: "nobody serves it"})
    assert [step.link for step in steps] == [None] * 8
    assert "nothing leads back behind it" in because(steps)[8]


def test_files_prove_what_reports_do_not(history: History) -> None:
    claims = history.claims(2, 4, 5, 8)
    for file in history.files:
        claims.add_file(file)
    assert because(walk(history.state(), claims, {})) == {}


def test_behind_a_gap_the_walk_goes_on_with_what_is_claimed() -> None:
    history = History.of("FFAAF")
    claims = history.claims(5)
    claims.add_file(history.files[4])
    for file in history.files[:2]:
        claims.add_file(file)
    steps = walk(history.state(), claims, {})
    assert [step.link is not None for step in steps] == [True, False, False, True, True]
    assert [step.record is not None for step in steps] == [True, True, False, False, False]
    gap = "the record does not lead to it: round 4, which comes after it, is missing"
    assert because(steps)[1] == because(steps)[2] == gap


def test_secret_that_no_report_has_yet_is_taken_from_storage() -> None:
    """The latest round is abandoned and not chained: no view shows the secret of the one before."""
    history = History.of("FFA")
    history.claims()
    state = history.state()
    assert state.last_secret != bytes(32)
    steps = walk(state, history.claims(), {})
    assert list(because(steps)) == [3]
    blind = replace(state, last_secret=bytes(32))
    claims = history.claims()
    claims.add_state(blind)
    assert list(because(walk(blind, claims, {}))) == [3, 2, 1]


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_no_lie_of_any_source_proves_another_history(data: st.DataObject) -> None:
    letters = data.draw(st.text("FA", min_size=1, max_size=6))
    history = History.of(letters)
    claims = history.claims()
    for file in history.files:
        lie = data.draw(
            st.sampled_from(
                [
                    file,
                    replace(file, updates=file.updates[::-1]),
                    replace(file, updates=file.updates[1:]),
                    replace(file, record_before="ab" * 32),
                    replace(file, outcome=None),
                    replace(file, opening=replace(file.opening, pool="7")),
                ]
            )
        )
        claims.add_file(lie)
    for step in walk(history.state(), claims, {}):
        if step.link is not None and step.record is not None:  # behind a round that is missing a link is a claim
            assert step.link == link_of_file(history.files[step.round - 1])
        if step.proved:
            assert step.list is not None
            assert step.list.updates == history.files[step.round - 1].submitted


def test_a_lie_on_the_record_before_is_no_hindrance_where_the_rounds_before_tell_it() -> None:
    def lie(report: Report) -> Report:
        return replace(report, record_before="ab" * 32)

    history = History.of("FAF", {3: lie})
    steps = walk(history.state(), history.claims(), {})
    assert [step.link == link_of_file(history.files[step.round - 1]) for step in steps] == [True] * 3
