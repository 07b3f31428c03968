"""The audit: without a key, recompute every round from the chain and the artifacts, and compare.

Nothing the organization says is taken on trust but what it keeps private by the plan: its validation data, and with it
the metric and the stopping rule. Those are listed as claimed. State holds the latest round and the record of all; what
older rounds were is taken from reports, a kept folder and logs, and is true if it hashes to the record.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from processor.artifacts.report import REPORT
from processor.artifacts.round import RoundFile
from processor.chain.federation import Federation
from processor.chain.snapshot import Snapshots
from processor.protocol.audit.announced import PostedPlans
from processor.protocol.audit.artifacts import Workplace
from processor.protocol.audit.between import FIRST
from processor.protocol.audit.chain import check_keys
from processor.protocol.audit.money import Balance, check_money, clients_of
from processor.protocol.audit.on_chain import read_state
from processor.protocol.audit.plans import Posted
from processor.protocol.audit.rounds import Told, audit_round
from processor.protocol.audit.verdict import (
    Audit,
    Checks,
    Lowered,
    PlanChange,
    RoundAudit,
    Stop,
    Unproved,
    Violation,
    describe,
    unreadable,
)
from processor.protocol.measuring import Measure
from processor.protocol.model_form import Forms
from processor.protocol.opened import Identity
from processor.protocol.walk import Walk, walk_back
from processor.protocol.walk.kept import Kept
from processor.protocol.walk.sources import logged_rounds
from processor.storage.base import Storage
from processor.storage.library import Library
from processor.types import Block, Phase

__all__ = ["Audit", "Lowered", "PlanChange", "RoundAudit", "Stop", "Unproved", "Violation", "audit", "describe"]


def audit(
    federation: Federation,
    storage: Storage,
    directory: Path,
    measure: Measure,
    forms: Forms,
    progress: Callable[[int, int], None] = lambda done, total: None,
    keep: Path | None = None,
    logs_from: int | None = 0,
) -> Audit:
    """Audits every round of a federation at its latest block.

    Models are measured by `measure`, where the validation data is published and nowhere else, and `forms` says what a
    plan fixes of them: nothing larger is fetched. `keep` is a folder that
    is read as one more source, and in which the rounds that were proved are kept. The node's logs are read from the
    block `logs_from` on, and only where something is missing without them; None reads none. `progress(done, total)` is
    called after every round.

    Raises ChainError where the chain cannot be read, StorageError where no storage can be reached at all, MachineError
    and Unreadable where this machine fails, and ConfigurationError for a folder of another federation. A single
    artifact that is missing is a violation, but for a report or a list, and whatever a newer version wrote: these leave
    rounds without a proof, and so do models that could not be measured here.
    """
    block = federation.block()
    if not federation.genuine(at=block):
        foreign = Violation(
            0, "code of the contract", "the code that this version ships", "another, which may say anything"
        )
        return Audit(federation.address, federation.chain_id, block.number, None, (), 1, (foreign,))
    checks = Checks(federation.asset(), count=1)
    snapshot = Snapshots(federation).at(block)
    state = read_state(snapshot)
    kept = None if keep is None else Kept(keep, state.chain_id, state.federation)
    library = Library(storage) if kept is None else Library(storage, kept.artifact)
    logged = None if logs_from is None else partial(_logged, federation, logs_from, block)
    found = walk_back(state, library, () if kept is None else kept.rounds(), logged)
    for broken in found.broken:
        checks.broken(broken.round, broken.subject, broken.why)
    unproved = [Unproved(step.round, step.because) for step in found.steps.values() if step.because is not None]
    for newer in found.newer:
        if not any(newer.why in one.because for one in unproved):
            unproved.append(Unproved(newer.round, unreadable(newer.subject, newer.why)))
    steps = found.steps
    place = Workplace(Identity(state.chain_id, state.federation), library, directory, measure, forms)
    clients = clients_of(state, found.lists)
    posted = PostedPlans(federation, logs_from, block, clients).before
    lineage, rows, over = FIRST, [], []
    for round, step in steps.items():
        done = audit_round(checks, state, step, _told(found, round, posted), lineage, place)
        lineage = done.lineage
        rows.append(done.row)
        over += [] if done.settled is None else [done.settled]
        progress(round, state.head)
    check_keys(checks, state, steps)
    if lineage.release is not None:
        checks.equal(0, "latest model", lineage.release.model, state.latest.model)
        checks.equal(0, "latest report", lineage.release.report, state.latest.report)
    balances = {client: Balance(*held) for client, held in snapshot.balances(clients).items()}
    check_money(checks, state, balances, over, found.proved)
    if kept is not None:
        _keep(kept, found)
    return Audit(
        federation=federation.address,
        chain_id=federation.chain_id,
        block=block.number,
        asset=checks.asset,
        rounds=tuple(rows),
        checks=checks.count,
        violations=tuple(checks.violations),
        unproved=tuple(sorted(unproved + checks.unread, key=lambda one: one.round)),
        files=found.files,
    )


def _logged(federation: Federation, first: int, block: Block) -> list[RoundFile]:
    files, _ = logged_rounds(federation, first, block)
    return files


def _told(found: Walk, round: int, posted: Posted) -> Told:
    cid, report = found.report_of(round)
    secret = found.claims.secret_of(report) if report is not None else None
    return Told(report, cid, secret, found.steps, found.listed, posted)


def _keep(kept: Kept, found: Walk) -> None:
    """Keeps every round that is proved, and its report. The list of a live round in training is not whole yet."""
    view = found.start.view
    for file in found.files:
        if file.round == view.round and view.phase is Phase.TRAINING:
            continue
        kept.keep_round(file)
        cid, report = found.report_of(file.round)
        if cid is not None and report is not None:
            kept.keep_artifact(cid, REPORT.encode(report))
