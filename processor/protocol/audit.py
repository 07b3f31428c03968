"""The audit: without a key, recompute every round from the chain and the artifacts, and compare.

Nothing the organization says is taken on trust but what it keeps private by the plan: its validation data, and with it
the metric and the stopping rule. Those are listed as claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from processor.artifacts.model import MODEL_LIMIT, ModelHeader, open_model
from processor.artifacts.plan import PLAN_LIMIT, Plan
from processor.artifacts.report import REPORT_LIMIT, Report
from processor.artifacts.state import STATE_LIMIT, StateHeader, open_state, write_state
from processor.chain.asset import Asset
from processor.chain.federation import Federation
from processor.errors import ArtifactError, ArtifactUnavailable, ConfigurationError
from processor.learning.aggregation import next_state, should_stop
from processor.privacy.sealing import public_key_of
from processor.protocol.rewards import guaranteed_rate, money_of, payable
from processor.protocol.settlement import Identity, Settlement, settle
from processor.protocol.stakes import stakes_of
from processor.protocol.validation import METRIC, TOLERANCE, metric_of, published_validation
from processor.storage.base import Storage, get_bytes
from processor.types import (
    Address,
    AuditPolicy,
    Block,
    Cid,
    ClientView,
    FederationTerms,
    Phase,
    Release,
    RoundView,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Violation:
    """Something that is not as it should be. `round` is 0 for what concerns the whole federation."""

    round: int
    subject: str
    expected: str
    found: str


@dataclass(frozen=True)
class Lowered:
    """An update that is credited less than was claimed, 0 if it was rejected, with the reason that the report gives.

    `slash_rate` is what it cost beside, in basis points of what was left of the client's stake.
    """

    client: Address
    claimed_ms: int
    credited_ms: int
    slash_rate: int
    reason: str | None


@dataclass(frozen=True)
class RoundAudit:
    """What the audit found out about one round."""

    round: int
    phase: Phase
    updates: int
    rejected: int
    metric: float | None
    pool: int
    paid: int
    carried: int
    forfeited: int
    lowered: tuple[Lowered, ...]
    checks: int
    recomputed: bool


@dataclass(frozen=True)
class Audit:
    """The verdict: `ok` means that every check held.

    Amounts are in the smallest unit of `asset`, which is None where the contract's word on it could not be taken.
    """

    federation: str
    chain_id: int
    block: int
    asset: Asset | None
    rounds: tuple[RoundAudit, ...]
    checks: int
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        return not self.violations


@dataclass
class Checks:
    """Counts checks and keeps the violations. Amounts are said in the federation's asset."""

    asset: Asset
    count: int = 0
    violations: list[Violation] = field(default_factory=list)

    def equal(self, round: int, subject: str, expected: object, found: object) -> bool:
        self.count += 1
        if expected != found:
            self.violations.append(Violation(round, subject, _text(expected), _text(found)))
        return expected == found

    def amount(self, round: int, subject: str, expected: int, found: int) -> bool:
        return self.equal(round, subject, self.asset.format(expected), self.asset.format(found))

    def holds(self, round: int, subject: str, holds: bool, expected: str, found: str) -> bool:
        return self.equal(round, subject, expected, expected if holds else found)

    def artifact(self, round: int, subject: str, use: Callable[[], T]) -> T | None:
        """What `use` makes of artifacts that must be there and be what they say; None, and a violation, otherwise."""
        self.count += 1
        try:
            return use()
        except (ArtifactError, ArtifactUnavailable, ConfigurationError) as error:
            self.violations.append(Violation(round, subject, "an artifact that is available and intact", str(error)))
            return None


def _text(value: object) -> str:
    return "nothing" if value is None else str(value)


@dataclass(frozen=True)
class _Lineage:
    """What one round hands to the next: what it released, the server state, and the money that it carries."""

    release: Release
    state: StateHeader | None
    state_cid: Cid | None
    carried: int


@dataclass(frozen=True)
class _Chain:
    """All that the chain says at one block, read at once: a usual node forgets the past within minutes."""

    terms: FederationTerms
    rounds: list[tuple[RoundView, list[ClientView]]]
    members: list[Address | None]
    latest: Release
    carried: int
    holdings: int


def _read_chain(federation: Federation, block: Block) -> _Chain:
    numbers = range(1, federation.round_count(at=block) + 1)
    return _Chain(
        terms=federation.terms(),
        rounds=[(federation.round_view(n, at=block), federation.updates(n, at=block)) for n in numbers],
        members=federation.members(at=block),
        latest=federation.latest_release(at=block),
        carried=federation.carried(at=block),
        holdings=federation.holdings(at=block),
    )


def audit(
    federation: Federation,
    storage: Storage,
    directory: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Audits every round of a federation at its latest block.

    `progress(done, total)` is called after every round. Raises ChainError where the chain cannot be read, and
    StorageError where no storage can be reached at all; a single artifact that is missing is a violation.
    """
    block = federation.block()
    if not federation.genuine(at=block):
        foreign = Violation(
            0, "code of the contract", "the code that this version ships", "another, which may say anything"
        )
        return Audit(federation.address, federation.chain_id, block.number, None, (), 1, (foreign,))
    checks = Checks(federation.asset(), count=1)
    chain = _read_chain(federation, block)
    lineage: _Lineage | None = None
    rounds = []
    for view, clients in chain.rounds:
        before = checks.count
        if lineage is None:
            initial = view.base.model  # the organization's own choice
            _model_header(checks, view.round, f"initial model {initial}", initial, storage, directory)
            lineage = _Lineage(Release(view.base.model, None), None, None, 0)
        _check_opening(checks, view, lineage)
        _check_money(checks, chain.terms, view, clients)
        settled = _check_outcome(checks, federation, view, clients, lineage, storage, directory)
        rounds.append(_summary(view, clients, settled, checks.count - before))
        lineage = settled.lineage
        progress(view.round, len(chain.rounds))
    _check_federation(checks, chain, rounds, lineage)
    return Audit(
        federation.address,
        federation.chain_id,
        block.number,
        checks.asset,
        tuple(rounds),
        checks.count,
        tuple(checks.violations),
    )


# ------------------------------------------------------------------------------------------------- what the chain says


def _check_opening(checks: Checks, view: RoundView, before: _Lineage) -> None:
    checks.equal(view.round, "base model", before.release.model, view.base.model)
    checks.equal(view.round, "report of the base model", before.release.report, view.base.report)
    checks.holds(
        view.round,
        "pool holds what the round before carried",
        view.pool >= before.carried,
        f"at least {checks.asset.format(before.carried)}",
        checks.asset.format(view.pool),
    )
    checks.amount(
        view.round,
        "guaranteed rate",
        guaranteed_rate(view.pool, view.reward_rate_cap, view.max_updates, view.max_compute_ms),
        view.guaranteed_rate,
    )


def _check_money(checks: Checks, terms: FederationTerms, view: RoundView, clients: list[ClientView]) -> None:
    """Counts, totals and every reward, recomputed from what each client claimed and was credited."""
    number = view.round
    checks.equal(number, "number of updates", view.update_count, len(clients))
    checks.equal(number, "claimed compute time in total", sum(client.compute_ms for client in clients), view.claimed_ms)
    for client in clients:
        checks.holds(
            number,
            f"claimed compute time of {client.client}",
            1 <= client.compute_ms <= view.max_compute_ms,
            f"1 to {view.max_compute_ms} ms",
            f"{client.compute_ms} ms",
        )
        checks.holds(
            number,
            f"credited compute time of {client.client}",
            client.credited_ms <= client.compute_ms,
            f"at most the {client.compute_ms} ms claimed",
            f"{client.credited_ms} ms",
        )
        checks.holds(
            number,
            f"slash rate of {client.client}",
            client.slash_rate <= terms.max_slash_rate,
            f"at most {terms.max_slash_rate} basis points",
            str(client.slash_rate),
        )
    if not view.phase.over:
        return
    credited = {client.client: client.credited_ms for client in clients}
    checks.equal(number, "credited compute time in total", sum(credited.values()), view.credited_ms)
    money = money_of(view.pool, view.reward_rate_cap, view.claimed_ms, credited)
    for client in clients:
        checks.amount(number, f"reward of {client.client}", money.rewards[client.client], client.reward)
    due = payable(view.pool, view.reward_rate_cap, sum(credited.values()))
    checks.amount(number, "amount payable", due, view.payable)
    checks.amount(number, "amount carried", money.carried, view.surplus)
    checks.amount(number, "amount forfeited", money.forfeited, view.forfeited)


def _check_federation(checks: Checks, chain: _Chain, rounds: list[RoundAudit], lineage: _Lineage | None) -> None:
    """Nobody's money is missing: the contract holds what is owed, live, carried and staked, and what is forfeited for
    ever."""
    if lineage is not None:
        checks.equal(0, "latest model", lineage.release.model, chain.latest.model)
        checks.equal(0, "latest report", lineage.release.report, chain.latest.report)
    live = sum(row.pool for row in rounds if row.phase.live)
    owed = sum(row.pool - row.carried - row.forfeited - row.paid for row in rounds if row.phase.over)
    staked, slashed = _check_stakes(checks, chain)
    forfeited = sum(row.forfeited for row in rounds) + slashed
    needed, say = owed + live + chain.carried + staked + forfeited, checks.asset.format
    checks.holds(
        0,
        "balance of the contract",
        chain.holdings >= needed,
        f"at least {say(needed)} (owed {say(owed)}, live {say(live)}, carried {say(chain.carried)}, "
        f"staked {say(staked)}, forfeited {say(forfeited)})",
        say(chain.holdings),
    )


def _check_stakes(checks: Checks, chain: _Chain) -> tuple[int, int]:
    """Every stake is what its slashes leave of it; returns what is staked and what was slashed, in total."""
    stakes = stakes_of(chain.terms.stake, chain.members, [clients for _, clients in chain.rounds])
    for stake in stakes:
        checks.holds(
            0,
            f"stake of {stake.client}",
            stake.as_it_should_be,
            f"{checks.asset.format(stake.least)} to {checks.asset.format(stake.most)}",
            checks.asset.format(stake.held),
        )
    return sum(stake.held for stake in stakes), sum(stake.slashed for stake in stakes)


# --------------------------------------------------------------------------------------- what the artifacts must say


@dataclass(frozen=True)
class _Outcome:
    lineage: _Lineage
    report: Report | None
    recomputed: bool


def _check_outcome(
    checks: Checks,
    federation: Federation,
    view: RoundView,
    clients: list[ClientView],
    before: _Lineage,
    storage: Storage,
    directory: Path,
) -> _Outcome:
    plan = _read_plan(checks, view, storage)
    if view.phase is not Phase.FINALIZED:
        unchanged = _Lineage(before.release, before.state, before.state_cid, view.surplus)
        _check_nothing_released(checks, view, clients)
        return _Outcome(unchanged, None, recomputed=False)
    if view.released.model is None or view.released.report is None:
        checks.holds(view.round, "release", False, "a model and a report", _text(view.released))
    public = federation.terms().audit_policy is AuditPolicy.OPEN
    if public:
        checks.equal(
            view.round, "sealing key of the published secret", view.sealing_key.hex(), public_key_of(view.secret).hex()
        )
    report = _read_report(checks, view, storage)
    _check_model(checks, view, storage, directory)
    state_cid = report.server_state if report is not None else before.state_cid
    state, recomputed = before.state, False
    if plan is not None and report is not None:
        _check_report(checks, federation, view, clients, plan, report)
        state = _check_state(checks, view, plan, report, before, storage, directory)
        recomputed = public and _check_recomputed(checks, federation, view, clients, plan, report, storage, directory)
    lineage = _Lineage(view.released, state, state_cid, view.surplus)
    return _Outcome(lineage, report, recomputed)


def _check_nothing_released(checks: Checks, view: RoundView, clients: list[ClientView]) -> None:
    """A round that is live or abandoned has published nothing and adjusted nobody."""
    checks.equal(view.round, "release", Release(None, None), view.released)
    checks.equal(view.round, "published secret", bytes(32).hex(), view.secret.hex())
    for client in clients:
        checks.equal(view.round, f"credited compute time of {client.client}", client.compute_ms, client.credited_ms)
        checks.equal(view.round, f"slash rate of {client.client}", 0, client.slash_rate)


def _read_plan(checks: Checks, view: RoundView, storage: Storage) -> Plan | None:
    def read() -> Plan:
        return Plan.decode(get_bytes(storage, _named(view.plan), PLAN_LIMIT))

    return checks.artifact(view.round, f"plan {view.plan}", read)


def _read_report(checks: Checks, view: RoundView, storage: Storage) -> Report | None:
    def read() -> Report:
        return Report.decode(get_bytes(storage, _named(view.released.report), REPORT_LIMIT))

    return checks.artifact(view.round, f"report {view.released.report}", read)


def _check_model(checks: Checks, view: RoundView, storage: Storage, directory: Path) -> None:
    """The released model is there, intact, and says where it comes from. An unchanged model keeps its older header."""
    cid = view.released.model
    found = _model_header(checks, view.round, f"model {cid}", cid, storage, directory)
    if found is not None and cid != view.base.model:
        checks.equal(view.round, "round in the model's header", view.round, found.round)
        checks.equal(view.round, "parent in the model's header", view.base.model, found.parent)
        checks.equal(view.round, "plan in the model's header", view.plan, found.plan)


def _model_header(
    checks: Checks, round: int, subject: str, cid: Cid | None, storage: Storage, directory: Path
) -> ModelHeader | None:
    path = directory / "model"

    def header() -> ModelHeader:
        storage.get(_named(cid), path, MODEL_LIMIT)
        with open_model(path) as model:
            return model.header

    found = checks.artifact(round, subject, header)
    path.unlink(missing_ok=True)
    return found


def _named(cid: Cid | None) -> Cid:
    if cid is None:
        raise ArtifactError("the chain names no CID")
    return cid


def _check_report(
    checks: Checks, federation: Federation, view: RoundView, clients: list[ClientView], plan: Plan, report: Report
) -> None:
    """The report speaks of this round, and of exactly the updates and the credits that the chain holds."""
    number = view.round
    for subject, expected, found in (
        ("chain id", federation.chain_id, report.chain_id),
        ("federation", federation.address, report.federation),
        ("round", number, report.round),
        ("plan", view.plan, report.plan),
        ("base model", view.base.model, report.base_model),
        ("model", view.released.model, report.model),
        ("model-initialization seed", plan.initialization_seed, report.initialization_seed),
    ):
        checks.equal(number, f"{subject} in the report", expected, found)
    reported = {update.client: update for update in report.updates}
    checks.equal(number, "clients in the report", sorted(client.client for client in clients), sorted(reported))
    for client in clients:
        entry = reported.get(client.client)
        if entry is not None:
            checks.equal(number, f"update of {client.client} in the report", client.update, entry.update)
            checks.equal(number, f"credited time of {client.client} on chain", entry.credited_ms, client.credited_ms)
            checks.equal(number, f"slash rate of {client.client} on chain", entry.slash_rate, client.slash_rate)


def _check_recomputed(
    checks: Checks,
    federation: Federation,
    view: RoundView,
    clients: list[ClientView],
    plan: Plan,
    report: Report,
    storage: Storage,
    directory: Path,
) -> bool:
    """Opens every update with the published secret and settles the round again."""
    identity = Identity(federation.chain_id, federation.address)

    def settle_again() -> bool:
        with settle(view, clients, plan, view.secret, identity, storage, directory) as settlement:
            _compare_settlement(checks, view, report, settlement)
            _compare_metrics(checks, view, plan, report, settlement, storage)
        return True

    return checks.artifact(view.round, "inputs of the aggregate", settle_again) is not None


def _compare_settlement(checks: Checks, view: RoundView, report: Report, settlement: Settlement) -> None:
    reported = {update.client: update for update in report.updates}
    for update in settlement.updates:
        entry = reported.get(update.client)
        if entry is None:
            continue
        for subject, expected, found in (
            ("reason for", update.reason, entry.reason),
            ("weight of", update.weight, entry.weight),
            ("credited time of", update.credited_ms, entry.credited_ms),
            ("slash rate of", update.slash_rate, entry.slash_rate),
        ):
            checks.equal(view.round, f"{subject} {update.client} in the report", expected, found)
    checks.equal(view.round, "recomputed model", settlement.model, view.released.model)


def _compare_metrics(
    checks: Checks, view: RoundView, plan: Plan, report: Report, settlement: Settlement, storage: Storage
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
            view.round,
            f"{METRIC} of the {subject} in the report",
            abs(measured - claimed) <= TOLERANCE,
            f"{measured:.4f}, give or take {TOLERANCE}",
            f"{claimed:.4f}",
        )


def _check_state(
    checks: Checks, view: RoundView, plan: Plan, report: Report, before: _Lineage, storage: Storage, directory: Path
) -> StateHeader:
    """The server state follows from the one before and the metric; with the stopping rule it decides what is next."""
    expected = next_state(before.state, before.state_cid, view.round, report.metrics.after, plan.stopping)
    path = directory / "state"

    def header() -> StateHeader:
        storage.get(report.server_state, path, STATE_LIMIT)
        with open_state(path) as state:
            return state.header

    found = checks.artifact(view.round, f"server state {report.server_state}", header)
    if found is not None:
        checks.equal(view.round, "server state", expected, found)
    checks.equal(view.round, "CID of the server state", write_state(path, expected), report.server_state)
    path.unlink()
    checks.equal(view.round, "stopping rule", should_stop(expected, view.round, plan.stopping), report.stop)
    return expected


def _summary(view: RoundView, clients: list[ClientView], settled: _Outcome, checks: int) -> RoundAudit:
    report = settled.report
    reasons = {update.client: update.reason for update in report.updates} if report is not None else {}
    return RoundAudit(
        round=view.round,
        phase=view.phase,
        updates=view.update_count,
        rejected=sum(client.credited_ms == 0 for client in clients),
        metric=report.metrics.after if report is not None else None,
        pool=view.pool,
        paid=sum(client.reward for client in clients if client.claimed),
        carried=view.surplus,
        forfeited=view.forfeited,
        lowered=tuple(
            Lowered(
                client.client,
                client.compute_ms,
                client.credited_ms,
                client.slash_rate,
                reasons.get(client.client),
            )
            for client in clients
            if client.credited_ms < client.compute_ms
        ),
        checks=checks,
        recomputed=settled.recomputed,
    )


def describe(violation: Violation) -> str:
    """A violation as one sentence."""
    where = f"round {violation.round}" if violation.round else "federation"
    return f"{where}: {violation.subject}: expected {violation.expected}, found {violation.found}"
