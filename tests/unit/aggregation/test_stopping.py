from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.aggregation.stopping import decision, stop
from processor.artifacts.metrics import OF_TASKS, Metric
from processor.artifacts.plan import Plan, Stopping
from processor.artifacts.state import FIRST_STATE, ServerState
from processor.cid import cid_of
from processor.errors import ConfigurationError
from tests.unit.artifacts import examples

RULE = Stopping(min_rounds=2, max_rounds=10, patience=3, min_improvement=0.01)


def under(rule: Stopping) -> Plan:
    return replace(examples.PLAN, stopping=rule)


def reach(metrics: list[float], rule: Stopping = RULE) -> list[tuple[ServerState, str | None]]:
    """The server states of rounds 1, 2, ... that reached these metrics, each with why no round should follow."""
    reached: list[tuple[ServerState, str | None]] = []
    before = FIRST_STATE
    for round, metric in enumerate(metrics, start=1):
        reached.append(stop(before.after(round), metric, under(rule)))
        before = replace(reached[-1][0], cid=cid_of(b"before"))
    return reached


def states(metrics: list[float], rule: Stopping = RULE) -> list[ServerState]:
    return [state for state, _ in reach(metrics, rule)]


def decisions(metrics: list[float], rule: Stopping = RULE) -> list[str | None]:
    return [why for _, why in reach(metrics, rule)]


def stale(metrics: list[float], rule: Stopping = RULE) -> list[int]:
    return [state.rounds_without_improvement for state in states(metrics, rule)]


def test_the_first_round_is_an_improvement_whatever_it_reached() -> None:
    assert states([0.0]) == [ServerState(round=1, parent=None, best_metric=0.0, rounds_without_improvement=0)]


def test_a_state_names_its_round_and_its_parent() -> None:
    second = states([0.1, 0.2])[1]
    assert (second.round, second.parent) == (2, cid_of(b"before"))


def test_rounds_without_enough_improvement_are_counted() -> None:
    assert stale([0.5, 0.505, 0.4, 0.52, 0.52]) == [0, 1, 2, 0, 1]


def test_slow_progress_counts_once_it_adds_up() -> None:
    assert stale([0.5, 0.504, 0.508, 0.512]) == [0, 1, 2, 0]


def test_standing_still_is_no_improvement_even_where_any_would_do() -> None:
    rule = Stopping(min_rounds=1, max_rounds=10, patience=3, min_improvement=0.0)
    assert stale([0.5, 0.5, 0.500001], rule) == [0, 1, 0]


def test_the_best_metric_stays_when_the_model_gets_worse() -> None:
    assert states([0.5, 0.3])[1].best_metric == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_best_metric_never_falls_and_is_never_missed_by_the_improvement_asked_for(metrics: list[float]) -> None:
    best = [state.best_metric or 0.0 for state in states(metrics)]
    assert best == sorted(best)
    assert all(max(metrics[: n + 1]) - value <= RULE.min_improvement for n, value in enumerate(best))


def test_rounds_stop_at_the_most_that_the_plan_allows() -> None:
    first = states([0.5])[0]
    assert decision(replace(first, round=9), under(RULE)) is None
    assert decision(replace(first, round=10), under(RULE)) == "max_rounds"
    assert decision(replace(first, round=11), under(RULE)) == "max_rounds"


def test_rounds_stop_when_patience_is_spent() -> None:
    assert decisions([0.5, 0.5, 0.5, 0.5]) == [None, None, None, "patience"]


def test_patience_waits_for_the_fewest_rounds_that_the_plan_asks_for() -> None:
    rule = Stopping(min_rounds=6, max_rounds=10, patience=1, min_improvement=0.01)
    assert decisions([0.5] * 6, rule) == [None] * 5 + ["patience"]


def test_a_measured_state_keeps_its_decision_until_the_plan_is_another() -> None:
    state, why = reach([0.5, 0.5, 0.5, 0.5])[-1]
    assert decision(state, under(RULE)) == why == "patience"
    assert decision(state, under(replace(RULE, patience=4))) is None


def test_a_state_that_stands_in_no_file_cannot_be_followed() -> None:
    with pytest.raises(ValueError, match="after round 1 has no CID"):
        states([0.5])[0].after(2)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20))
def test_where_lower_is_better_a_metric_counts_as_its_negative_would_where_higher_is(metrics: list[float]) -> None:
    asked = replace(examples.PLAN, stopping=RULE, task=replace(examples.PLAN.task, name="guessing"))
    before, mirrored = FIRST_STATE, FIRST_STATE
    for round, metric in enumerate(metrics, start=1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(OF_TASKS, "guessing", Metric("error", higher_is_better=False, tolerance=0.01))
            state, why = stop(before.after(round), metric, asked)
        mirror, expected = stop(mirrored.after(round), -metric, under(RULE))
        assert (-(state.best_metric or 0.0), state.rounds_without_improvement, why) == (
            mirror.best_metric or 0.0,
            mirror.rounds_without_improvement,
            expected,
        )
        before, mirrored = replace(state, cid=cid_of(b"before")), replace(mirror, cid=cid_of(b"before"))


def test_a_task_that_this_version_does_not_know_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no metric for a task called 'guessing'"):
        stop(FIRST_STATE.after(1), 0.5, replace(examples.PLAN, task=replace(examples.PLAN.task, name="guessing")))
