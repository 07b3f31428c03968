"""Whether a stopping decision holds within what two machines may measure of the same models. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from processor.aggregation.undecided import START, Span, Standing
from processor.artifacts.metrics import metric_of
from processor.artifacts.plan import Plan
from processor.artifacts.report import Report
from processor.artifacts.state import ServerState
from processor.protocol.audit.verdict import Stop


@dataclass(frozen=True)
class Course:
    """Where the stopping rule stands by the metrics so far: by each as it was measured, or else claimed, and by all
    values that were possible. `claims` tells that some were only claimed."""

    decided: Standing
    possible: Standing
    claims: bool

    @staticmethod
    def of(state: ServerState) -> Course:
        """By a state's own word."""
        return Course(Standing.of(state), Standing.of(state), claims=True)


BEGINNING = Course(START, START, claims=False)


def stop_of(
    plan: Plan, report: Report, measured: float | None, before: Course | None, previous: ServerState | None
) -> tuple[Stop | None, Course | None]:
    """What the rule may say after a report's round, and where it stands then; None where the rounds before are lost.

    `measured` is what this audit found of the model. A claim that it met exactly leaves nothing open; around any other,
    all is possible that lies within the metric's tolerance. `previous` stands in for an unknown course `before`.
    """
    course = before
    if course is None:
        if previous is None:
            return None, None
        course = Course.of(previous)
    metric, rule, claimed = metric_of(plan.task.name), plan.stopping, report.metrics.after
    value = claimed if measured is None else measured
    point = Span(value, value)
    span = point if value == claimed else Span.around(value, metric.tolerance, metric)
    after = Course(
        decided=course.decided.after(point, metric, rule),
        possible=course.possible.after(span, metric, rule),
        claims=course.claims or measured is None,
    )
    (decided,) = after.decided.decisions(report.round, rule)
    possible = after.possible.decisions(report.round, rule)
    return Stop(report.stop, decided, not after.claims, possible), after
