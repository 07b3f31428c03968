"""The stopping rule followed for every value that a metric may have: what some values lead to is found, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.aggregation.stopping import stop
from processor.aggregation.undecided import START, Span, Standing
from processor.artifacts.metrics import ACCURACY, OF_TASKS, Metric
from processor.artifacts.plan import Stopping
from processor.artifacts.state import FIRST_STATE, ServerState
from processor.cid import cid_of
from tests.unit.artifacts import examples

RULE = Stopping(min_rounds=2, max_rounds=8, patience=2, min_improvement=0.01)
ERROR = Metric("error", higher_is_better=False, tolerance=0.01)
METRICS = st.lists(st.floats(0, 1), min_size=1, max_size=8)
RULES = st.builds(
    Stopping,
    min_rounds=st.integers(1, 3),
    max_rounds=st.integers(3, 9),
    patience=st.integers(1, 3),
    min_improvement=st.sampled_from([0.0, 0.001, 0.01, 0.1]),
)


def followed(values: list[float], rule: Stopping, metric: Metric, tolerance: float | None = None) -> Standing:
    """Where the rule may stand after rounds that reached these values: exactly, or give or take a tolerance."""
    standing = START
    for value in values:
        span = Span(value, value) if tolerance is None else Span.around(value, tolerance, metric)
        standing = standing.after(span, metric, rule)
    return standing


def by_the_rule(values: list[float], rule: Stopping, metric: Metric) -> tuple[ServerState, str | None]:
    """What the rule itself makes of these values."""
    plan = replace(examples.PLAN, stopping=rule, task=replace(examples.PLAN.task, name="guessing"))
    state, decision = FIRST_STATE, None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OF_TASKS, "guessing", metric)
        for round, value in enumerate(values, start=1):
            measured, decision = stop(state.after(round), value, plan)
            state = replace(measured, cid=cid_of(b"state"))
    return state, decision


@given(METRICS, RULES, st.sampled_from([ACCURACY, ERROR]))
def test_where_all_is_known_exactly_it_decides_what_the_rule_decides(
    values: list[float], rule: Stopping, metric: Metric
) -> None:
    state, decision = by_the_rule(values, rule, metric)
    standing = followed(values, rule, metric)
    assert standing == Standing.of(state)
    assert standing.decisions(len(values), rule) == {decision}


@given(METRICS, RULES, st.sampled_from([ACCURACY, ERROR]), st.randoms(use_true_random=False))
def test_whatever_values_within_the_tolerance_are_reported_their_decision_is_among_the_possible(
    values: list[float], rule: Stopping, metric: Metric, random: object
) -> None:
    reported = [value + random.choice([-1, -0.95, 0, 0.3, 0.95, 1]) * metric.tolerance for value in values]  # type: ignore[attr-defined]
    _, decision = by_the_rule(reported, rule, metric)
    assert decision in followed(values, rule, metric, metric.tolerance).decisions(len(values), rule)


@pytest.mark.parametrize(
    ("values", "possible"),
    [
        ([0.50, 0.525, 0.56], {None}),
        ([0.50, 0.80, 0.80], {None}),
        ([0.50, 0.50, 0.50], {None, "patience"}),
        ([0.50, 0.45, 0.40], {"patience"}),
    ],
)
def test_a_decision_is_open_only_where_some_values_turn_it(values: list[float], possible: set[str | None]) -> None:
    assert followed(values, RULE, ACCURACY, tolerance=0.01).decisions(len(values), RULE) == possible


def test_the_most_rounds_end_a_federation_whatever_was_measured() -> None:
    rule = replace(RULE, patience=100)
    assert followed([0.5] * 8, rule, ACCURACY, tolerance=0.01).decisions(8, rule) == {"max_rounds"}


def test_values_that_exclude_each_other_do_not_add_up() -> None:
    """That the second round was no improvement means that the first reached more than 0.505: from there on the third,
    at most 0.514, is none either."""
    rule = Stopping(min_rounds=1, max_rounds=9, patience=9, min_improvement=0.01)
    standing = START
    for span in (Span(0.49, 0.51), Span(0.515, 0.525), Span(0.514, 0.514)):
        standing = standing.after(span, ACCURACY, rule)
    assert set(standing.last) == {1, 2}
    assert standing.last[2].worst == pytest.approx(0.505)
