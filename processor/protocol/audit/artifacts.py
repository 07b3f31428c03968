"""What a round's artifacts must say: its plan, its model, its server state, its metrics; and the model made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processor.aggregation.left_out import left_out
from processor.artifacts.metrics import metric_of
from processor.artifacts.model import ModelHeader, open_model
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.report import Report
from processor.artifacts.state import FIRST_STATE, ServerState
from processor.errors import (
    ArtifactError,
    ConfigurationError,
    MachineError,
    OutOfMemory,
    StorageError,
    WorkerDied,
)
from processor.privacy.sealing import public_key_of
from processor.protocol.audit.verdict import Checks, unreadable
from processor.protocol.measuring import Measure, Measured, Models
from processor.protocol.model_form import Forms, ModelForm, fetch_model
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.settlement import Settlement, settle
from processor.protocol.validation import UNUSABLE, fetch_validation, is_published
from processor.protocol.walk.claims import RoundList
from processor.storage.library import Library
from processor.types import Cid, Opening, Outcome

RELEASED = "released"
"""The file of a released model that is another than the updates make."""


@dataclass(frozen=True)
class Workplace:
    """Where artifacts come from, where working files go, who measures models, and what a plan fixes of them."""

    identity: Identity
    library: Library
    directory: Path
    measure: Measure
    forms: Forms

    def form(self, opening: Opening) -> ModelForm | None:
        """What the plan of a round fixes of its models; None where that cannot be told here."""
        try:
            return self.forms(opening.plan, self.library.read(PLAN, opening.plan))
        except (ArtifactError, StorageError, WorkerDied, OutOfMemory, MachineError):
            return None


def read_plan(checks: Checks, opening: Opening, place: Workplace) -> Plan | None:
    return checks.artifact(opening.round, f"plan {opening.plan}", lambda: place.library.read(PLAN, opening.plan))


def check_task(checks: Checks, opening: Opening, plan: Plan) -> None:
    """A task that this program does not know leaves the round without a proof: which way its metric is better decides
    on the server state and on the stopping rule."""
    try:
        metric_of(plan.task.name)
    except ConfigurationError as error:
        checks.unproved(opening.round, unreadable(f"plan {opening.plan}", str(error)))


def check_model(checks: Checks, opening: Opening, model: Cid, place: Workplace) -> None:
    """The released model is there, intact, and says where it comes from. An unchanged model keeps its older header."""
    number = opening.round
    found = model_header(checks, number, f"model {model}", model, place, place.form(opening))
    if found is not None and model != opening.base_model:
        checks.equal(number, "round in the model's header", number, found.round)
        checks.equal(number, "parent in the model's header", opening.base_model, found.parent)
        checks.equal(number, "plan in the model's header", opening.plan, found.plan)


def model_header(
    checks: Checks, round: int, subject: str, cid: Cid, place: Workplace, form: ModelForm | None
) -> ModelHeader | None:
    path = place.directory / "model"

    def header() -> ModelHeader:
        fetch_model(place.library, cid, path, form)
        with open_model(path) as model:
            return model.header

    found = checks.artifact(round, subject, header)
    path.unlink(missing_ok=True)
    return found


def check_secret(checks: Checks, opening: Opening, secret: bytes) -> None:
    """The secret that was published belongs to the round's sealing key."""
    found = public_key_of(secret)
    checks.equal(opening.round, "sealing key of the published secret", opening.sealing_key, found)


@dataclass(frozen=True)
class Made:
    """What a round came to when it was settled again: the server state that follows, before its model is measured, and
    what its base model and its model reached, None where this audit did not measure them."""

    state: ServerState
    measured: tuple[float, float] | None


def check_recomputed(
    checks: Checks,
    known: RoundList,
    plan: Plan,
    outcome: Outcome,
    report: Report | None,
    previous: ServerState | None,
    place: Workplace,
) -> Made | None:
    """Opens every update with the published secret and settles the round again; None where that cannot be done.

    The server state that it gives follows from `previous`. Where `previous` is lost the model is made again all the
    same, as from the first state, and what is given says nothing of the state.
    """
    number = known.opening.round

    def settle_again() -> Made:
        round, secret = OpenedRound(place.identity, known.opening, plan), outcome.secret
        start = FIRST_STATE if previous is None else previous
        form = place.form(known.opening)
        with settle(round, known.updates, secret, start, form, place.library, place.directory) as settlement:
            released = _released(settlement, outcome.model, form, place)
            why = _explained(round, settlement, start, outcome.model, released, place)
            checks.equal(number, "recomputed model", settlement.model, f"{outcome.model}{why}")
            if report is None:
                checks.equal(number, "recomputed adjustments", settlement.adjustments, outcome.adjustments)
                return Made(settlement.state, None)
            _compare_lines(checks, number, report, settlement)
            if released is None:
                return Made(settlement.state, None)
            models = ((known.opening.base_model, settlement.base_path), (outcome.model, released))
            return Made(settlement.state, _measured(checks, number, plan, report, models, place))

    made = checks.artifact(number, "inputs of the aggregate", settle_again)
    (place.directory / RELEASED).unlink(missing_ok=True)
    return made


def _released(settlement: Settlement, cid: Cid, form: ModelForm | None, place: Workplace) -> Path | None:
    """The file of the model that was released; None where it cannot be had, which is said elsewhere."""
    if settlement.model == cid:
        return settlement.model_path
    path = place.directory / RELEASED
    try:
        fetch_model(place.library, cid, path, form)
    except (ArtifactError, StorageError):
        return None
    return path


def _explained(
    round: OpenedRound, settlement: Settlement, start: ServerState, cid: Cid, released: Path | None, place: Workplace
) -> str:
    """In what a wrong average lies, where that is one update left out, or all: words to add to its CID."""
    if settlement.model == cid:
        return ""
    if cid == round.opening.base_model:
        return ", the base model, as if no update had been accepted"
    if released is None:
        return ""
    out, header = place.directory / "without-one", round.model_header()
    try:
        client = left_out(settlement.base_path, released, cid, start, settlement.accepted, round.plan, header, out)
    except ArtifactError:
        return ""  # the released model is none
    return "" if client is None else f", the average without the update of {client}"


def _compare_lines(checks: Checks, number: int, report: Report, settlement: Settlement) -> None:
    reported = {line.client: line for line in report.updates}
    for line in settlement.updates:
        entry = reported.get(line.client)
        if entry is None:
            continue
        for subject, expected, found in (
            ("reason for", line.reason, entry.reason),
            ("weight of", line.weight, entry.weight),
            ("credited time of", line.credited_ms, entry.credited_ms),
            ("slash rate of", line.slash_rate, entry.slash_rate),
        ):
            checks.equal(number, f"{subject} {line.client} in the report", expected, found)


def check_metric_name(checks: Checks, opening: Opening, plan: Plan, report: Report) -> None:
    expected = metric_of(plan.task.name).name
    checks.equal(opening.round, "name of the metric in the report", expected, report.metrics.name)


def _measured(
    checks: Checks, number: int, plan: Plan, report: Report, models: Models, place: Workplace
) -> tuple[float, float] | None:
    """Measures both models again where the validation data is published; private data leaves the metrics a claim.

    Where the worker dies, or has too little memory, the metrics stay without a proof: this machine may be too small.
    """
    if not is_published(plan):
        return None
    path = place.directory / "validation"
    try:
        found = _measuring(checks, number, plan, models, path, place)
    except (WorkerDied, OutOfMemory) as error:
        checks.unproved(number, f"its models cannot be measured again: {error}")
        return None
    finally:
        path.unlink(missing_ok=True)
    if found is None:
        return None
    (before, after), metric = found.values, metric_of(plan.task.name)
    claims = (("base model", report.metrics.before, before), ("model", report.metrics.after, after))
    for subject, claimed, value in claims:
        checks.holds(
            number,
            f"{metric.name} of the {subject} in the report",
            abs(value - claimed) <= metric.tolerance,
            f"{value:.4f}, give or take {metric.tolerance}",
            f"{claimed:.4f}",
        )
    return before, after


def _measuring(
    checks: Checks, number: int, plan: Plan, models: Models, path: Path, place: Workplace
) -> Measured | None:
    """What the models reach on the published data; None where these are not what they should be, which is then said of
    the one that is not."""
    data = f"validation data {plan.validation}"

    def fetched() -> Path:
        fetch_validation(plan, place.library, path)
        return path

    def measured() -> Measured | None:
        try:
            return place.measure(plan, models, path)
        except ArtifactError as error:
            if error.code != UNUSABLE:
                raise
            checks.broken(number, data, str(error))
            return None

    if checks.artifact(number, data, fetched) is None:
        return None
    return checks.artifact(number, "models to measure", measured)
