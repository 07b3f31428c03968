"""What one round hands to the next: the release, the server state, the money that it carries, the turn of selection,
and what is known of learning so far."""

from __future__ import annotations

from dataclasses import dataclass

from processor.artifacts.metrics import metric_of
from processor.artifacts.plan import Factory, Plan
from processor.artifacts.report import Report
from processor.artifacts.state import FIRST_STATE, ServerState
from processor.protocol.audit.plans import Plans
from processor.protocol.audit.stopping import BEGINNING, Course
from processor.protocol.audit.verdict import Checks
from processor.types import Cid, Opening, Release


@dataclass(frozen=True)
class Reached:
    """What the report of a round says that its model reached, on which validation data."""

    round: int
    model: Cid
    validation: str
    task: Factory
    metric: float


@dataclass(frozen=True)
class Learned:
    """What the latest release reached, where the stopping rule stands, each None where it is not known, and the plans
    so far."""

    reached: Reached | None = None
    course: Course | None = None
    plans: Plans = Plans()


@dataclass(frozen=True)
class Lineage:
    """Each part is None where the rounds before do not tell it: something of them is missing."""

    release: Release | None
    state: ServerState | None
    carried: int | None
    offset: int | None
    learned: Learned = Learned()


FIRST = Lineage(release=None, state=FIRST_STATE, carried=0, offset=0, learned=Learned(course=BEGINNING))
"""Before the first round; its model is the organization's own choice."""


def check_follows(checks: Checks, before: Lineage, opening: Opening) -> None:
    """The round starts from what the rounds before left."""
    number = opening.round
    if before.release is not None:
        checks.equal(number, "base model", before.release.model, opening.base_model)
        checks.equal(number, "report of the base model", before.release.report, opening.base_report)
    if before.carried is not None:
        checks.holds(
            number,
            "pool holds what the round before carried",
            opening.pool >= before.carried,
            f"at least {checks.asset.format(before.carried)}",
            checks.asset.format(opening.pool),
        )
    if before.offset is not None:
        turn = (before.offset + opening.selected_count) % opening.member_count if opening.member_count else 0
        checks.equal(number, "selection offset", turn, opening.selection_offset)


def check_same_metric(
    checks: Checks, before: Reached | None, opening: Opening, plan: Plan, report: Report, model: Cid
) -> Reached:
    """One model has one metric on the same validation data: what the report before says of it, to the last digit, also
    where nobody else has the data. Gives what the round's `model` reached."""
    number, name = opening.round, metric_of(plan.task.name).name
    claimed = report.metrics
    if before is not None and (before.model, before.validation, before.task) == (
        opening.base_model,
        plan.validation,
        plan.task,
    ):
        checks.holds(
            number,
            f"{name} of the base model next to the report of round {before.round}",
            before.metric == claimed.before,
            f"{before.metric}, which that says of the same model on the same validation data",
            f"{claimed.before}",
        )
    if model == opening.base_model:
        checks.equal(number, f"{name} of a model that is the base model", claimed.before, claimed.after)
    return Reached(number, model, plan.validation, plan.task, claimed.after)
