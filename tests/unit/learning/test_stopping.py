from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor.artifacts.plan import Stopping
from processor.artifacts.state import StateHeader
from processor.cid import cid_of
from processor.learning.aggregation import next_state, should_stop

RULE = Stopping(min_rounds=2, max_rounds=10, patience=3, min_improvement=0.01)


def states(metrics: list[float], rule: Stopping = RULE) -> list[StateHeader]:
    """The server states of rounds 1, 2, ... that reached these metrics."""
    reached: list[StateHeader] = []
    for round, metric in enumerate(metrics, start=1):
        previous = reached[-1] if reached else None
        reached.append(next_state(previous, cid_of(b"before") if reached else None, round, metric, rule))
    return reached


def stale(metrics: list[float], rule: Stopping = RULE) -> list[int]:
    return [state.rounds_without_improvement for state in states(metrics, rule)]


def test_the_first_round_is_an_improvement_whatever_it_reached() -> None:
    assert states([0.0]) == [StateHeader(round=1, parent=None, best_metric=0.0, rounds_without_improvement=0)]


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
    assert should_stop(states([0.5])[0], 9, RULE) is None
    assert should_stop(states([0.5])[0], 10, RULE) == "max_rounds"
    assert should_stop(states([0.5])[0], 11, RULE) == "max_rounds"


def test_rounds_stop_when_patience_is_spent() -> None:
    reached = states([0.5, 0.5, 0.5, 0.5])
    assert [should_stop(state, state.round, RULE) for state in reached] == [None, None, None, "patience"]


def test_patience_waits_for_the_fewest_rounds_that_the_plan_asks_for() -> None:
    rule = Stopping(min_rounds=6, max_rounds=10, patience=1, min_improvement=0.01)
    reached = states([0.5] * 6, rule)
    assert [should_stop(state, state.round, rule) for state in reached] == [None] * 5 + ["patience"]
