"""The audit of what a finalized round published: its model, its server state, its metrics, its stopping decision."""

from __future__ import annotations

from dataclasses import dataclass, replace

from processor.artifacts.plan import Plan
from processor.artifacts.report import Report
from processor.artifacts.state import ServerState
from processor.protocol.audit.artifacts import (
    Made,
    Workplace,
    check_metric_name,
    check_model,
    check_recomputed,
    check_secret,
    check_task,
)
from processor.protocol.audit.between import Learned, Lineage, check_same_metric
from processor.protocol.audit.server_state import (
    check_state,
    check_unseen_state,
    forget_older_states,
    named_state,
    state_before,
)
from processor.protocol.audit.stopping import stop_of
from processor.protocol.audit.verdict import Checks, Stop
from processor.protocol.walk.claims import RoundList
from processor.types import Outcome, Release


@dataclass(frozen=True)
class Released:
    """What a finalized round hands on, whether its model was made again, what that reached where this audit measured
    it, and what the stopping rule may say; None for what nobody can tell."""

    lineage: Lineage
    recomputed: bool = False
    measured: float | None = None
    stop: Stop | None = None


def check_released(
    checks: Checks,
    known: RoundList,
    plan: Plan | None,
    outcome: Outcome,
    report: Report | None,
    before: Lineage,
    public: bool,
    place: Workplace,
) -> Released:
    """Everything that a finalized round published. `public` tells that its secret is, so that it can be made again."""
    opening = known.opening
    check_model(checks, opening, outcome.model, place)
    if public:
        check_secret(checks, opening, outcome.secret)
    if plan is not None and report is not None:
        seed = plan.initialization_seed
        checks.equal(opening.round, "model-initialization seed in the report", seed, report.initialization_seed)
    learned = replace(before.learned, reached=None, course=None)
    release = Release(outcome.model, outcome.report)
    lineage = Lineage(release=release, state=None, carried=None, offset=None, learned=learned)
    if plan is None:
        return Released(lineage)
    return _check_made(checks, known, plan, outcome, report, before, lineage, public, place)


def _check_made(
    checks: Checks,
    known: RoundList,
    plan: Plan,
    outcome: Outcome,
    report: Report | None,
    before: Lineage,
    lineage: Lineage,
    public: bool,
    place: Workplace,
) -> Released:
    """Model and server state follow from the updates, and the metric from that of the model before."""
    number = known.opening.round
    form = place.form(known.opening)
    named = None if report is None else named_state(checks, report, place, form)
    previous = state_before(checks, number, before.state, named, place, form)
    check_task(checks, known.opening, plan)
    if not checks.readable(number):  # this program cannot make what it cannot read
        return Released(replace(lineage, state=named))
    made = check_recomputed(checks, known, plan, outcome, report, previous, place) if public else None
    if report is None:
        forget_older_states(number, place)
        return Released(lineage, made is not None)
    check_metric_name(checks, known.opening, plan, report)
    after = _state_after(checks, plan, report, named, previous, made, place)
    forget_older_states(number, place)
    measured = None if made is None or made.measured is None else made.measured[1]
    stop, course = stop_of(plan, report, measured, before.learned.course, previous)
    reached = check_same_metric(checks, before.learned.reached, known.opening, plan, report, outcome.model)
    learned = Learned(reached, course, lineage.learned.plans)
    return Released(replace(lineage, state=after, learned=learned), made is not None, measured, stop)


def _state_after(
    checks: Checks,
    plan: Plan,
    report: Report,
    named: ServerState | None,
    previous: ServerState | None,
    made: Made | None,
    place: Workplace,
) -> ServerState | None:
    """The server state after the round as it should be; None where it cannot be told."""
    if previous is None:
        return named
    if made is None:
        return check_unseen_state(checks, plan, report, named, previous, place)
    return check_state(checks, plan, report, named, made.state, place)
