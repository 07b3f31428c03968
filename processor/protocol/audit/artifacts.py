"""What a round's artifacts must say: its plan, its model, its server state, its metrics; and the model made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processor.artifacts.metrics import metric_of
from processor.artifacts.model import MODEL, ModelHeader, open_model
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.report import Report
from processor.artifacts.state import FIRST_STATE, ServerState
from processor.errors import ConfigurationError, OutOfMemory, WorkerDied
from processor.privacy.sealing import public_key_of
from processor.protocol.audit.verdict import Checks, unreadable
from processor.protocol.measuring import Measure
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.settlement import Settlement, settle
from processor.protocol.validation import fetch_validation, is_published
from processor.protocol.walk.claims import RoundList
from processor.storage.library import Library
from processor.types import Cid, Opening, Outcome


@dataclass(frozen=True)
class Workplace:
    """Where artifacts come from, where working files go, and who measures models."""

    identity: Identity
    library: Library
    directory: Path
    measure: Measure


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
    found = model_header(checks, number, f"model {model}", model, place)
    if found is not None and model != opening.base_model:
        checks.equal(number, "round in the model's header", number, found.round)
        checks.equal(number, "parent in the model's header", opening.base_model, found.parent)
        checks.equal(number, "plan in the model's header", opening.plan, found.plan)


def model_header(checks: Checks, round: int, subject: str, cid: Cid, place: Workplace) -> ModelHeader | None:
    path = place.directory / "model"

    def header() -> ModelHeader:
        place.library.fetch(MODEL, cid, path)
        with open_model(path) as model:
            return model.header

    found = checks.artifact(round, subject, header)
    path.unlink(missing_ok=True)
    return found


def check_secret(checks: Checks, opening: Opening, secret: bytes) -> None:
    """The secret that was published belongs to the round's sealing key."""
    found = public_key_of(secret)
    checks.equal(opening.round, "sealing key of the published secret", opening.sealing_key, found)


def check_recomputed(
    checks: Checks,
    known: RoundList,
    plan: Plan,
    outcome: Outcome,
    report: Report | None,
    previous: ServerState | None,
    place: Workplace,
) -> ServerState | None:
    """Opens every update with the published secret and settles the round again; None where that cannot be done.

    Gives the server state that follows from `previous`, before its model is measured. Where `previous` is lost the
    model is made again all the same, as from the first state, and what is given says nothing of the state.
    """
    number = known.opening.round

    def settle_again() -> ServerState:
        round, secret = OpenedRound(place.identity, known.opening, plan), outcome.secret
        start = FIRST_STATE if previous is None else previous
        with settle(round, known.updates, secret, start, place.library, place.directory) as settlement:
            checks.equal(number, "recomputed model", settlement.model, outcome.model)
            if report is None:
                checks.equal(number, "recomputed adjustments", settlement.adjustments, outcome.adjustments)
            else:
                _compare_lines(checks, number, report, settlement)
                _compare_metrics(checks, known.opening, plan, report, settlement, place)
            return settlement.state

    return checks.artifact(number, "inputs of the aggregate", settle_again)


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


def _compare_metrics(
    checks: Checks, opening: Opening, plan: Plan, report: Report, settlement: Settlement, place: Workplace
) -> None:
    """Measures both models again where the validation data is published; private data leaves the metrics a claim.

    Where the worker dies, or has too little memory, the metrics stay without a proof: this machine may be too small.
    """
    metric = metric_of(plan.task.name)
    checks.equal(opening.round, "name of the metric in the report", metric.name, report.metrics.name)
    if not is_published(plan):
        return
    models = ((opening.base_model, settlement.base_path), (settlement.model, settlement.model_path))
    path = place.directory / "validation"
    try:
        fetch_validation(plan, place.library, path)
        measured = place.measure(plan, models, path)
    except (WorkerDied, OutOfMemory) as error:
        checks.unproved(opening.round, f"its models cannot be measured again: {error}")
        return
    finally:
        path.unlink(missing_ok=True)
    claims = (("base model", report.metrics.before), ("model", report.metrics.after))
    for (subject, claimed), value in zip(claims, measured.values, strict=True):
        checks.holds(
            opening.round,
            f"{metric.name} of the {subject} in the report",
            abs(value - claimed) <= metric.tolerance,
            f"{value:.4f}, give or take {metric.tolerance}",
            f"{claimed:.4f}",
        )
