"""When rounds end: the plan's stopping rule, asked once a round's model is measured."""

from __future__ import annotations

from dataclasses import replace

from processor.artifacts.metrics import Metric, metric_of
from processor.artifacts.plan import Plan, Stopping
from processor.artifacts.state import ServerState


def stop(state: ServerState, metric: float, plan: Plan) -> tuple[ServerState, str | None]:
    """The state of a round whose model reached `metric`, and why no round should follow.

    The plan's task says which way is better. An improvement is measured from the last improvement, not from the last
    round: slow progress counts once it adds up to `min_improvement`. The decision is that of `decision`.

    Raises ConfigurationError for a task that this version does not know.
    """
    measured = _measured(state, metric, metric_of(plan.task.name), plan.stopping)
    return measured, decision(measured, plan)


def decision(state: ServerState, plan: Plan) -> str | None:
    """Why no round should follow that of a measured state: "max_rounds", "patience", or None if one should."""
    return decided(state.round, state.rounds_without_improvement, plan.stopping)


def decided(round: int, without_improvement: int, rule: Stopping) -> str | None:
    """As `decision`, of so many finalized rounds without an improvement."""
    if round >= rule.max_rounds:
        return "max_rounds"
    if round >= rule.min_rounds and without_improvement >= rule.patience:
        return "patience"
    return None


def improves(gained: float, rule: Stopping) -> bool:
    """Whether a metric that is better by `gained` than at the last improvement is another improvement."""
    return gained > 0 and gained >= rule.min_improvement


def _measured(state: ServerState, reached: float, metric: Metric, rule: Stopping) -> ServerState:
    best = state.best_metric
    if best is None or improves(metric.improvement(best, reached), rule):
        return replace(state, best_metric=reached, rounds_without_improvement=0)
    return replace(state, rounds_without_improvement=state.rounds_without_improvement + 1)
