"""When rounds end: the plan's stopping rule, asked once a round's model is measured."""

from __future__ import annotations

from dataclasses import replace

from processor.artifacts.plan import Plan, Stopping
from processor.artifacts.state import ServerState


def stop(state: ServerState, metric: float, plan: Plan) -> tuple[ServerState, str | None]:
    """The state of a round whose model reached `metric` (higher is better), and why no round should follow.

    An improvement is measured from the last improvement, not from the last round: slow progress counts once it adds up
    to `min_improvement`. The decision is that of `decision`.
    """
    measured = _measured(state, metric, plan.stopping)
    return measured, decision(measured, plan)


def decision(state: ServerState, plan: Plan) -> str | None:
    """Why no round should follow that of a measured state: "max_rounds", "patience", or None if one should."""
    rule = plan.stopping
    if state.round >= rule.max_rounds:
        return "max_rounds"
    if state.round >= rule.min_rounds and state.rounds_without_improvement >= rule.patience:
        return "patience"
    return None


def _measured(state: ServerState, metric: float, rule: Stopping) -> ServerState:
    best = state.best_metric
    if best is None or (metric > best and metric - best >= rule.min_improvement):
        return replace(state, best_metric=metric, rounds_without_improvement=0)
    return replace(state, rounds_without_improvement=state.rounds_without_improvement + 1)
