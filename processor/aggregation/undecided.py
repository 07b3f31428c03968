"""What the stopping rule may decide where nobody knows a metric to the last digit. Pure.

Two machines measure the same model a little differently, and whoever reports a metric may use that room. So the rule is
followed for every value within it at once: all the states that some values lead to, and the decisions of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from processor.aggregation.stopping import decided, improves
from processor.artifacts.metrics import Metric
from processor.artifacts.plan import Stopping
from processor.artifacts.state import ServerState


@dataclass(frozen=True)
class Span:
    """Values of a metric, from the worst to the best as the metric goes."""

    worst: float
    best: float

    @staticmethod
    def around(value: float, tolerance: float, metric: Metric) -> Span:
        low, high = value - tolerance, value + tolerance
        return Span(low, high) if metric.higher_is_better else Span(high, low)


@dataclass(frozen=True)
class Standing:
    """Where the stopping rule may stand after a finalized round: for each possible number of rounds without an
    improvement, the values that the metric of the last improvement may have had.

    Empty before the first evaluation.
    """

    last: Mapping[int, Span]

    @staticmethod
    def of(state: ServerState) -> Standing:
        """Where a state says that the rule stands."""
        best = state.best_metric
        return Standing({} if best is None else {state.rounds_without_improvement: Span(best, best)})

    def after(self, reached: Span, metric: Metric, rule: Stopping) -> Standing:
        """Once a round's model has reached some value of the span."""
        if not self.last:
            return Standing({0: reached})
        found: dict[int, Span] = {}
        for count, before in self.last.items():
            if improves(metric.improvement(before.worst, reached.best), rule):
                least = _better_by(before.worst, rule.min_improvement, metric)
                improved = Span(_best_of(reached.worst, least, reached.best, metric), reached.best)
                found[0] = improved if 0 not in found else _wider(found[0], improved, metric)
            if not improves(metric.improvement(before.best, reached.worst), rule):
                least = _better_by(reached.worst, -rule.min_improvement, metric)
                found[count + 1] = Span(_best_of(before.worst, least, before.best, metric), before.best)
        return Standing(found)

    def decisions(self, round: int, rule: Stopping) -> frozenset[str | None]:
        """What the rule may decide after the round with this number; None where a round should follow."""
        return frozenset(decided(round, count, rule) for count in self.last)


START = Standing({})


def _better_by(value: float, gain: float, metric: Metric) -> float:
    return value + gain if metric.higher_is_better else value - gain


def _best_of(first: float, second: float, most: float, metric: Metric) -> float:
    """The better of two, but no better than `most`."""
    choose, bound = (max, min) if metric.higher_is_better else (min, max)
    return bound(most, choose(first, second))


def _wider(one: Span, other: Span, metric: Metric) -> Span:
    """Both, of which the best is the same."""
    return Span(min(one.worst, other.worst) if metric.higher_is_better else max(one.worst, other.worst), one.best)
