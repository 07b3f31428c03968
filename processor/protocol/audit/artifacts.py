"""What a round's artifacts must say: its plan, its model, its server state, its metrics; and the model made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processor.artifacts.model import MODEL_LIMIT, ModelHeader, open_model
from processor.artifacts.plan import PLAN_LIMIT, Plan
from processor.artifacts.report import Report
from processor.artifacts.state import STATE_LIMIT, StateHeader, open_state, write_state
from processor.learning.aggregation import next_state, should_stop
from processor.privacy.sealing import public_key_of
from processor.protocol.audit.between import Lineage
from processor.protocol.audit.claims import RoundList
from processor.protocol.audit.verdict import Checks
from processor.protocol.settlement import Identity, Settlement, settle
from processor.protocol.validation import METRIC, TOLERANCE, metric_of, published_validation
from processor.storage.base import Storage, get_bytes
from processor.types import Cid, Opening, Outcome


@dataclass(frozen=True)
class Workplace:
    """Where artifacts come from, and where working files go."""

    identity: Identity
    storage: Storage
    directory: Path


def read_plan(checks: Checks, opening: Opening, place: Workplace) -> Plan | None:
    def read() -> Plan:
        return Plan.decode(get_bytes(place.storage, opening.plan, PLAN_LIMIT))

    return checks.artifact(opening.round, f"plan {opening.plan}", read)


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
        place.storage.get(cid, path, MODEL_LIMIT)
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
    checks: Checks, known: RoundList, plan: Plan, outcome: Outcome, report: Report | None, place: Workplace
) -> bool:
    """Opens every update with the published secret and settles the round again; False where that cannot be done."""
    number = known.opening.round

    def settle_again() -> bool:
        parts = (known.opening, known.updates, plan, outcome.secret, place.identity, place.storage, place.directory)
        with settle(*parts) as settlement:
            checks.equal(number, "recomputed model", settlement.model, outcome.model)
            if report is None:
                checks.equal(number, "recomputed adjustments", settlement.adjustments, outcome.adjustments)
            else:
                _compare_lines(checks, number, report, settlement)
                _compare_metrics(checks, number, plan, report, settlement, place.storage)
        return True

    return checks.artifact(number, "inputs of the aggregate", settle_again) is not None


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
    checks: Checks, number: int, plan: Plan, report: Report, settlement: Settlement, storage: Storage
) -> None:
    """Measures both models again where the validation data is published; private data leaves the metrics a claim."""
    validation = published_validation(plan, storage)
    if validation is None:
        return
    for subject, path, claimed in (
        ("base model", settlement.base_path, report.metrics.before),
        ("model", settlement.model_path, report.metrics.after),
    ):
        measured = metric_of(plan, path, validation)
        checks.holds(
            number,
            f"{METRIC} of the {subject} in the report",
            abs(measured - claimed) <= TOLERANCE,
            f"{measured:.4f}, give or take {TOLERANCE}",
            f"{claimed:.4f}",
        )


def check_state(
    checks: Checks, number: int, plan: Plan, report: Report, before: Lineage, place: Workplace
) -> StateHeader | None:
    """The server state follows from the one before and the metric; with the stopping rule it decides what is next.

    Where the report that names the state before is lost, this one's parent is taken for it. Returns the state as it
    should be, None where it cannot be told.
    """
    found = _state_header(checks, number, report.server_state, place)
    previous, parent = before.state, before.state_cid
    if not before.state_known:
        if found is None:
            return None
        parent = found.parent
        previous = None if parent is None else _state_header(checks, number, parent, place)
        if previous is None and parent is not None:
            return found
    expected = next_state(previous, parent, number, report.metrics.after, plan.stopping)
    if found is not None:
        checks.equal(number, "server state", expected, found)
    path = place.directory / "state"
    checks.equal(number, "CID of the server state", write_state(path, expected), report.server_state)
    path.unlink()
    checks.equal(number, "stopping rule", should_stop(expected, number, plan.stopping), report.stop)
    return expected


def _state_header(checks: Checks, number: int, cid: Cid, place: Workplace) -> StateHeader | None:
    path = place.directory / "state"

    def header() -> StateHeader:
        place.storage.get(cid, path, STATE_LIMIT)
        with open_state(path) as state:
            return state.header

    found = checks.artifact(number, f"server state {cid}", header)
    path.unlink(missing_ok=True)
    return found
