"""The audit: without a key, recompute every round from the chain and the artifacts, and compare.

Nothing the organization says is taken on trust but what it keeps private by the plan: its validation data, and with it
the metric and the stopping rule. Those are listed as claimed. State holds the latest round and the record of all; what
older rounds were is taken from reports, a kept folder and logs, and is true if it hashes to the record.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from processor.artifacts.round import RoundFile
from processor.chain.federation import Federation
from processor.protocol.audit.artifacts import Workplace
from processor.protocol.audit.between import FIRST
from processor.protocol.audit.chain import check_keys
from processor.protocol.audit.claims import Claims, Step, walk
from processor.protocol.audit.kept import Kept
from processor.protocol.audit.money import Balance, Settled, check_money, clients_of
from processor.protocol.audit.rounds import Told, audit_round
from processor.protocol.audit.sources import Sources, logged_rounds
from processor.protocol.audit.state import State, read_state
from processor.protocol.audit.verdict import (
    Audit,
    Checks,
    Lowered,
    RoundAudit,
    Unproved,
    Violation,
    describe,
)
from processor.protocol.settlement import Identity
from processor.storage.base import Storage
from processor.types import Block, Phase

__all__ = ["Audit", "Lowered", "RoundAudit", "Unproved", "Violation", "audit", "describe"]


def audit(
    federation: Federation,
    storage: Storage,
    directory: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    keep: Path | None = None,
    logs_from: int | None = 0,
) -> Audit:
    """Audits every round of a federation at its latest block.

    `keep` is a folder that is read as one more source, and in which the rounds that were proved are kept. The node's
    logs are read from the block `logs_from` on, and only where something is missing without them; None reads none.
    `progress(done, total)` is called after every round. Raises ChainError where the chain cannot be read, StorageError
    where no storage can be reached at all, and ConfigurationError for a folder of another federation; a single artifact
    that is missing is a violation, and a report or a list leaves rounds without a proof.
    """
    block = federation.block()
    if not federation.genuine(at=block):
        foreign = Violation(
            0, "code of the contract", "the code that this version ships", "another, which may say anything"
        )
        return Audit(federation.address, federation.chain_id, block.number, None, (), 1, (foreign,))
    checks = Checks(federation.asset(), count=1)
    state = read_state(federation, block)
    kept = None if keep is None else Kept(keep, state.chain_id, state.federation)
    sources, found = _gathered(federation, block, state, storage, kept, logs_from)
    for broken in sources.broken:
        checks.broken(broken.round, broken.subject, broken.why)
    steps = {step.round: step for step in found}
    place = Workplace(Identity(state.chain_id, state.federation), storage, directory)
    lineage, rows, over = FIRST, [], []
    for round in range(1, state.head + 1):
        told = _told(sources, steps, round)
        done = audit_round(checks, state, steps[round], told, lineage, place)
        lineage = done.lineage
        rows.append(done.row)
        over += [] if done.settled is None else [done.settled]
        progress(round, state.head)
    check_keys(checks, state, steps)
    if lineage.release is not None:
        checks.equal(0, "latest model", lineage.release.model, state.latest.model)
        checks.equal(0, "latest report", lineage.release.report, state.latest.report)
    _check_money(checks, federation, block, state, steps, over)
    files = _files(state, steps)
    if kept is not None:
        _keep(kept, state, sources.claims, files)
    return Audit(
        federation=federation.address,
        chain_id=federation.chain_id,
        block=block.number,
        asset=checks.asset,
        rounds=tuple(rows),
        checks=checks.count,
        violations=tuple(checks.violations),
        unproved=tuple(
            Unproved(round, because) for round in sorted(steps) if (because := steps[round].because) is not None
        ),
        files=files,
    )


def _gathered(
    federation: Federation, block: Block, state: State, storage: Storage, kept: Kept | None, logs_from: int | None
) -> tuple[Sources, list[Step]]:
    """All that the sources give, and the walk over it."""
    claims = Claims(state.chain_id, state.federation)
    claims.add_state(state)
    sources = Sources(state, storage, kept, claims)
    sources.read(kept.rounds() if kept is not None else ())
    steps = walk(state, claims, sources.missing)
    if logs_from is not None and not all(step.proved for step in steps):
        logged, _ = logged_rounds(federation, logs_from, block)
        sources.read(logged)
        steps = walk(state, claims, sources.missing)
    return sources, steps


def _told(sources: Sources, steps: dict[int, Step], round: int) -> Told:
    """The report that the round's finalization named; where nothing proves which, one that says it is the round's."""
    known, link = sources.claims.reports.get(round, {}), steps[round].link
    cid = next(iter(known), None)
    if link is not None:
        cid = link.outcome.report if link.outcome is not None else None
    report = known.get(cid) if cid is not None else None
    secret = sources.claims.secret_of(report) if report is not None else None
    return Told(report, cid, secret, steps, sources.listed)


def _check_money(
    checks: Checks, federation: Federation, block: Block, state: State, steps: dict[int, Step], over: list[Settled]
) -> None:
    lists = [step.list for step in steps.values() if step.list is not None]
    balances = {client: Balance(*federation.balance_of(client, at=block)) for client in clients_of(state, lists)}
    whole = all(step.proved for step in steps.values())
    check_money(checks, state, balances, over, whole)


def _files(state: State, steps: dict[int, Step]) -> tuple[RoundFile, ...]:
    """The rounds that are proved, in order."""
    return tuple(
        RoundFile.of(
            chain_id=state.chain_id,
            federation=state.federation,
            opening=step.list.opening,
            updates=step.list.updates,
            record_before=state.record if step.link is None else step.link.record_before,
            outcome=None if step.link is None else step.link.outcome,
        )
        for _, step in sorted(steps.items())
        if step.proved and step.list is not None
    )


def _keep(kept: Kept, state: State, claims: Claims, files: tuple[RoundFile, ...]) -> None:
    """Keeps every round that is proved, and its report. The list of a live round in training is not whole yet."""
    for file in files:
        if file.round == state.head and state.view.phase is Phase.TRAINING:
            continue
        kept.keep_round(file)
        named = None if file.outcome is None else file.outcome.report
        report = claims.reports.get(file.round, {}).get(named) if named is not None else None
        if named is not None and report is not None:
            kept.keep_artifact(named, report.encode())
