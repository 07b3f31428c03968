"""The organization's daemon: publish the initial model and the plan, open a round, wait, settle, evaluate, finalize;
again, until the stopping rule holds."""

from __future__ import annotations

import platform
import tempfile
import threading
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from structlog.typing import FilteringBoundLogger

from processor.aggregation.facts import check_base
from processor.aggregation.stopping import decision
from processor.artifacts.committed import OpeningFields
from processor.artifacts.model import open_model
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.report import REPORT, Report
from processor.artifacts.report import Metrics as ModelMetrics
from processor.artifacts.round import ROUND
from processor.artifacts.state import FIRST_STATE, NO_TENSORS, ServerState
from processor.chain.commitments import DIGEST_SIZE
from processor.chain.federation import Federation
from processor.chain.posts import PLAN as ANNOUNCED
from processor.chain.snapshot import Snapshot, Snapshots
from processor.cid import cid_of
from processor.config import OrganizationSettings
from processor.daemons.announcements import Announcements, announcing
from processor.daemons.base import emptied, keep_up
from processor.daemons.hindrance import Hindrance
from processor.daemons.kept import KeptRounds, rounds_folder
from processor.daemons.outbox import Outbox
from processor.daemons.past_rounds import PastRounds
from processor.daemons.prospects import Prospects
from processor.daemons.retention import release_rounds
from processor.daemons.rounds import RoundKeeper
from processor.daemons.sealing_keys import SealingKeys
from processor.daemons.situations import SeenByOrganization
from processor.daemons.workbench import Workbench
from processor.errors import ArtifactError, ConfigurationError, IntegrityError, Unreadable
from processor.journal import Journal
from processor.metrics import Metrics
from processor.protocol.decide import (
    Announce,
    Approve,
    Finalize,
    OpenRound,
    OrganizationAction,
    Retire,
    SetInitialModel,
    Wait,
    decide_organization,
)
from processor.protocol.history import ReportHistory
from processor.protocol.jobs.worker import Worker
from processor.protocol.measuring import carried_on
from processor.protocol.model_form import ModelForm, fetch_model, form_of
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.rewards import MOST, least_pool_under, most_selected
from processor.protocol.settlement import Settlement, conclude, settle, state_at
from processor.protocol.validation import is_published
from processor.storage.library import Library
from processor.tensors import Layout
from processor.types import Address, AuditPolicy, Block, Cid, Phase, RoundTerms, RoundView
from processor.words import counted


@dataclass
class OrganizationDaemon:
    """The owner's or the operator's wallet of one federation. `cycle` reads one block, decides, does at most one thing,
    and says what.

    `worker` does what takes torch: whoever makes it gives it the folder of the state's jobs. `state_key` encrypts the
    rounds' sealing secrets in the journal. Once `stopping` is set, a step that waits for the worker ends early.
    """

    address: Address
    settings: OrganizationSettings
    plan: Plan
    federation: Federation
    transactions: Outbox
    library: Library
    journal: Journal
    log: FilteringBoundLogger
    worker: Worker
    state_key: bytes = field(repr=False)
    stopping: threading.Event = field(default_factory=threading.Event)
    metrics: Metrics = field(default_factory=Metrics)
    _reached: ServerState = FIRST_STATE
    _fitting: set[Cid] = field(default_factory=set)
    _first_look: dict[bytes, int] = field(default_factory=dict)
    _prepared: bool = False
    _layout: Layout = field(default_factory=dict)
    _keys: SealingKeys = field(init=False)
    _rounds: RoundKeeper = field(init=False)
    _past: PastRounds = field(init=False)
    _prospects: Prospects = field(init=False)
    _hindrance: Hindrance = field(init=False)
    _snapshots: Snapshots = field(init=False)

    def __post_init__(self) -> None:
        state = self.settings.state
        self._snapshots = Snapshots(self.federation)
        self._keys = SealingKeys(self.journal, state, self.state_key)
        kept = KeptRounds(rounds_folder(state), self.log)
        self._rounds = RoundKeeper(kept, self.library, self._keys, self.log)
        self._past = PastRounds(self.library, self.journal, self.log)
        self._hindrance = Hindrance(self.metrics, self.log)
        announcements = Announcements(self.federation, self.journal, self.log)
        self._prospects = Prospects(lambda: self.settings, announcements, self.library, kept)

    def cycle(self) -> OrganizationAction:
        try:
            action = self._cycle()
        except Unreadable as error:
            self._hindrance.say(str(error))
            raise
        self._hindrance.say(self._missing_data())
        return action

    def _cycle(self) -> OrganizationAction:
        if not self._prepared:
            self.prepare()
        block = self.federation.block()
        if keep_up(self.federation, self.transactions, self.journal, block, self.metrics):
            self._first_look.clear()
            self._snapshots.forget()
            self._past.forget(self._snapshots.at(block).view)
            self._prospects.forget()
        view = self.latest_round(block)
        if view is not None:
            self._past.see(view)
            self._rounds.keep(self._snapshots.at(block))
            self._prospects.note_pace(view, block)
        action = self.act(self.decide(view, block), view, block)
        if isinstance(action, Wait):
            self._release_expired(block)
        return action

    def decide(self, view: RoundView | None, block: Block) -> OrganizationAction:
        """What to do next, by what the block says; changes nothing on the chain and in the storage."""
        self.metrics.head(block.number, block.timestamp)
        self.metrics.round(*(0, "none") if view is None else (view.round, view.phase.name.lower()))
        snapshot = self._snapshots.at(block)
        return decide_organization(
            SeenByOrganization(
                snapshot,
                self.address,
                self.transactions,
                self.settings,
                self._stop_reason,
                self._prospects,
                self.plan,
            )
        )

    def act(self, action: OrganizationAction, view: RoundView | None, block: Block) -> OrganizationAction:
        """Does what was decided, with one transaction at most, and says what was done."""
        match action:
            case SetInitialModel():
                self._set_initial_model()
            case Approve():
                self.transactions.approve(self.federation, action.amount)
            case Announce():
                self._announce(action.plan, view)
            case Retire():
                self.transactions.send("retired", self.federation.retire(action.client), client=action.client)
            case OpenRound():
                self._open_round(view, block)
            case Finalize() if view is not None:
                return self._finalize(view, block) or action
        return action

    def prepare(self) -> None:
        """Publishes the validation data where the settings say so, and checks what rounds will need.

        Raises ConfigurationError or DatasetError now for what would otherwise fail in the middle of a round.
        """
        self._check_federation()
        self._past.take(self._rounds.kept)
        emptied(self._work)
        self.plan, inspected = self._bench.prepared(self.plan, self.settings.publish_validation)
        self._layout, self._prepared = inspected.model_layout, True

    def _check_federation(self) -> None:
        """Raises ConfigurationError for a federation that this wallet, this plan or this version cannot serve."""
        federation, terms = self.federation, self.federation.terms()
        owner, operator = federation.owner(), federation.operator()
        if self.address not in (owner, operator):
            raise ConfigurationError(
                f"the federation {federation.address} belongs to {owner} and its operator is {operator or 'nobody'}, "
                f"but the wallet is {self.address}: name the wallet of one of them, or your own federation"
            )
        if terms.audit_policy is AuditPolicy.APPOINTED:
            raise ConfigurationError(
                f"the federation {federation.address} has the audit policy `appointed`, and this version finalizes "
                "rounds by publishing their secret: it serves federations with the policy `open`"
            )
        if self.plan.slashing.rate > terms.max_slash_rate:
            raise ConfigurationError(
                f"the plan's slashing.rate is {self.plan.slashing.rate} basis points, and the federation "
                f"{federation.address} allows at most {terms.max_slash_rate}: lower the rate in [plan.slashing]"
            )
        fewest = least_pool_under(self.settings.round, self.settings.min_members, terms.max_spread)
        if self.settings.round.reward and fewest > MOST:
            asset = federation.asset()
            raise ConfigurationError(
                f"with the {counted(self.settings.min_members, 'member')} that organization.min_members asks for, the "
                f"federation's max_spread of {terms.max_spread} asks for a pool of {asset.format(fewest)}, and none "
                f"holds more than {asset.format(MOST)}: lower round.reward_rate_cap, round.max_compute_ms or "
                "round.max_updates"
            )

    def _missing_data(self) -> str | None:
        """What the next settlement would fail for; None where nothing is missing."""
        path = self.settings.validation
        if is_published(self.plan) or path.is_file():
            return None
        return f"there is no validation data at {path}: put back the file that this daemon started with"

    @property
    def _work(self) -> Path:
        """Where opened updates are while a round is settled."""
        return self.settings.state / "work"

    @property
    def _bench(self) -> Workbench:
        settings = self.settings
        return Workbench(self.worker, settings.state, settings.validation, self.library, self.stopping)

    # --------------------------------------------------------------------------------------------------- reading

    def latest_round(self, block: Block) -> RoundView | None:
        """The latest round; None before the first opens."""
        view = self._snapshots.at(block).view
        return None if view.phase is Phase.NONE else view

    def _stop_reason(self, snapshot: Snapshot) -> str | None:
        """Why no round follows the latest under the plan that is configured now: its rule holds; the number of rounds,
        of which those that were abandoned are a part, is all that it promises; or the report of an earlier round under
        it said so, and nobody may train under it any more."""
        report = snapshot.release.report
        decided = None if report is None else self._decision_after(report)
        if decided is None and snapshot.view.round >= self.plan.stopping.max_rounds:
            return "max_rounds"
        if decided is None and report is not None:
            self._past.look(snapshot.view)
            return self._past.ended(cid_of(PLAN.encode(self.plan)))
        return decided

    def _decision_after(self, report: Cid) -> str | None:
        """Whether the rule of the plan that is configured now holds after the round of a report."""
        cid = self.library.read(REPORT, report).server_state
        if self._reached.cid != cid:
            with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
                reached = state_at(cid, self.library, Path(folder) / "state")
            self._reached = replace(reached, tensors=NO_TENSORS)  # their file is gone
        return decision(self._reached, self.plan)

    # ---------------------------------------------------------------------------------------------------- acting

    def _set_initial_model(self) -> None:
        self.library.publish(PLAN, self.plan)
        model = self._bench.initial_model(self.plan)
        self.transactions.send("initial model set", self.federation.set_initial_model(model), model=model)

    def _announce(self, plan: Cid, view: RoundView | None) -> None:
        """Publishes the plan of the next round, and says so on the chain."""
        self.library.publish(PLAN, self.plan)
        number = 0 if view is None else view.round
        call = self.federation.post(ANNOUNCED, plan, f"announce the plan {plan} of the next round")
        self.transactions.send(announcing(plan), call, number)

    def _open_round(self, view: RoundView | None, block: Block) -> None:
        """Opens the next round after the very one that was seen, under a sealing key whose secret is in the journal
        before the key is known."""
        self._check_current_model(block)
        plan = self.library.publish(PLAN, self.plan)
        rounds = self.settings.round
        terms = RoundTerms(
            plan=plan,
            sealing_key=self._sealing_key(plan, view, block),
            training_period=self._training_period(block),
            aggregation_period=rounds.aggregation_period,
            max_updates=self._max_updates(block),
            max_compute_ms=rounds.max_compute_ms,
            selection_rate=rounds.selection_rate,
            reward_rate_cap=rounds.reward_rate_cap,
            reward=rounds.reward,
        )
        digest = bytes(DIGEST_SIZE) if view is None else view.digest
        self.transactions.send("round opened", self.federation.open_round(terms, digest), plan=plan)

    def _training_period(self, block: Block) -> int:
        """Shorter than configured where the settings allow it, and the others would only wait for who sits still."""
        configured, period = (
            self.settings.round.training_period,
            self._prospects.training_period(self._snapshots.at(block)),
        )
        if period < configured:
            self.log.info("the training period is shortened: members sit still", seconds=period, configured=configured)
        return period

    def _max_updates(self, block: Block) -> int:
        """No more than the pool can pay: whoever registers while the opening is on its way cannot make it fail."""
        rounds = self.settings.round
        pool = self._snapshots.at(block).carried + rounds.reward
        if pool == 0:
            return rounds.max_updates
        spread = self.federation.terms().max_spread
        payable = most_selected(pool, rounds.reward_rate_cap, rounds.max_compute_ms, spread)
        return min(rounds.max_updates, payable)

    def _sealing_key(self, plan: Cid, view: RoundView | None, block: Block) -> bytes:
        number = 1 if view is None else view.round + 1
        snapshot = self._snapshots.at(block)
        base = snapshot.release.model or ""

        def used(key: bytes) -> bool:
            return self._past.round_with_key(snapshot, number, key) is not None

        return self._keys.for_opening(number, base, plan, used)

    def _check_current_model(self, block: Block) -> None:
        """Raises ConfigurationError for a plan whose model cannot go on from the one that is released: no client could
        train, and every round would be paid for and lost."""
        release = self._snapshots.at(block).release.model
        if release is None or release in self._fitting:
            return
        with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
            path = Path(folder) / "model"
            try:
                fetch_model(self.library, release, path, form_of(self.plan, self._layout))
                with open_model(path) as base:
                    check_base(base, self.plan)
            except IntegrityError:  # whoever serves other bytes says nothing about the model
                raise
            except ArtifactError as error:
                raise ConfigurationError(f"the plan cannot go on from the current model {release}: {error}") from None
        self._fitting = {release}

    def _form(self, cid: Cid, plan: Plan) -> ModelForm | None:
        """What the plan of a round fixes of its models; a round may have been opened under another plan than ours."""
        return form_of(plan, self._layout) if plan == self.plan else self._bench.form(cid, plan)

    def _finalize(self, view: RoundView, block: Block) -> Wait | None:
        """Settles the round and releases the next model; waits while an update cannot be had and time is left."""
        secret = self._keys.secret_of(view.sealing_key)
        if secret is None:
            return Wait(
                f"round {view.round}: the journal in {self.settings.state} does not hold the secret of its sealing "
                "key. Run the daemon with the one it was opened with; otherwise the round is abandoned at its "
                "aggregation deadline, and its clients are paid what they claimed"
            )
        patient_until, too_late = self._deadlines(view, block)
        if block.timestamp >= too_late:
            return Wait(f"round {view.round}: too late to finalize, and the secret would be shown for nothing")
        self._bench.warm()
        snapshot = self._snapshots.at(block)
        round, submitted = self._opened(view), self._rounds.submitted(snapshot)
        work = emptied(self._work)
        before = round.opening.base_report
        parent = None if before is None else self.library.read(REPORT, before).server_state
        form = self._form(view.opening.plan, round.plan)
        previous = state_at(parent, self.library, work / "state", None if form is None else form.state_bytes)
        budget = (too_late - block.timestamp) / 2
        keep = self.library.storage.put  # for the audit: only their senders hold the updates so far
        with settle(round, submitted, secret, previous, form, self.library, work, budget, keep) as settlement:
            now = self.federation.block().timestamp
            if settlement.unavailable and now < patient_until:
                return Wait(f"round {view.round}: {counted(settlement.unavailable, 'update')} cannot be fetched yet")
            report = self._publish(round, settlement, *self._rounds.before(snapshot))
            call = self.federation.finalize_round(
                view.round,
                view.digest,
                settlement.model,
                self.library.publish(REPORT, report),
                settlement.adjustments,
                secret,
            )
            head = self.federation.block()  # settling takes its time
            if head.timestamp >= too_late:
                return Wait(f"round {view.round}: settled too late to finalize it")
            latest = self._snapshots.at(head).view
            if (latest.phase, latest.round, latest.digest) != (Phase.AGGREGATING, view.round, view.digest):
                return Wait(f"round {view.round}: a reorganization changed it while it was settled")
        self._keys.show(view.sealing_key)
        self.transactions.send(
            "round finalized",
            call,
            view.round,
            model=settlement.model,
            metric=report.metrics.after,
            updates=view.update_count,
            adjusted=len(settlement.adjustments),
        )
        return None

    def _opened(self, view: RoundView) -> OpenedRound:
        """The live round, with the plan that it was opened with, which need not be the one that is configured now."""
        identity = Identity(self.federation.chain_id, self.federation.address)
        return OpenedRound.read(identity, view.opening, self.library)

    def _deadlines(self, view: RoundView, block: Block) -> tuple[int, int]:
        """Until when updates that cannot be had are waited for, and from when on it is too late, as block times.

        The waiting is half of what was left when the round was first looked at: clients publish only once they see
        their updates on chain, and whoever serves nothing cannot hold the others up for longer. The margin at the end
        keeps a transaction from being mined after the deadline: it would fail, and its secret be public all the same.
        """
        margin = (view.aggregation_deadline - view.training_deadline) // 10
        too_late = view.aggregation_deadline - margin
        first = self._first_look.setdefault(view.sealing_key, block.timestamp)
        return min(first + (view.aggregation_deadline - first) // 2, too_late - margin), too_late

    def _release_expired(self, block: Block) -> None:
        release_rounds(
            snapshot=self._snapshots.at(block),
            library=self.library,
            kept=self._rounds.kept,
            keep_days=self.settings.keep_days,
            state=self.settings.state,
            log=self.log,
        )

    def _publish(self, round: OpenedRound, settlement: Settlement, record: bytes, history: ReportHistory) -> Report:
        """Publishes model, server state and the lists of the rounds that were abandoned before, and writes the report
        about them."""
        for named in history.abandoned:
            file = self._rounds.kept.read(named.round)
            if file is not None:
                self.library.publish(ROUND, file)
        plan, base = round.plan, round.opening.base_model
        measured = self._bench.measured(plan, ((base, settlement.base_path), (settlement.model, settlement.model_path)))
        reached_before, reached = measured.values
        unchanged, reported = base == settlement.model, self._reported(round)
        before, after = carried_on(reached_before, reached, plan, unchanged, reported)
        metrics = ModelMetrics(name=measured.metric, before=before, after=after)
        published = self.library.storage.put(settlement.model_path)
        if published != settlement.model:
            raise ArtifactError(f"the storage gave the model the CID {published}, expected {settlement.model}")
        with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
            _, stop = conclude(settlement.state, metrics.after, plan, Path(folder) / "state")
            server_state = self.library.storage.put(Path(folder) / "state")
        return Report(
            chain_id=round.identity.chain_id,
            federation=round.identity.federation,
            opening=OpeningFields.of(round.opening),
            updates=settlement.updates,
            record_before=record.hex(),
            before=history.before,
            abandoned=history.abandoned,
            model=settlement.model,
            server_state=server_state,
            metrics=metrics,
            privacy={"where": plan.privacy.where},
            versions=versions(),
            initialization_seed=plan.initialization_seed,
            stop=stop,
            next_plan=self._prospects.other_plan(self.plan, round.opening.plan),
        )

    def _reported(self, round: OpenedRound) -> float | None:
        """What the report of the round's base model says that this reached on the same validation data; None where no
        report does."""
        if round.opening.base_report is None:
            return None
        report = self.library.read(REPORT, round.opening.base_report)
        before = self.library.read(PLAN, report.plan)
        same = (before.validation, before.task) == (round.plan.validation, round.plan.task)
        return report.metrics.after if same else None


def versions() -> dict[str, str]:
    """What made the numbers of a report."""
    return {
        "koinon": version("koinon"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": np.__version__,
    }
