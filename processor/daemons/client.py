"""The client's daemon: for every round that selects it, fetch, verify, train, meter, seal, submit, publish; claim."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import cast

from structlog.typing import FilteringBoundLogger

from processor.artifacts.plan import PLAN, Plan
from processor.chain.calls import Call, gas_of_call
from processor.chain.federation import Federation
from processor.chain.fees import gas_price
from processor.chain.posts import AGREED
from processor.chain.snapshot import Snapshot, Snapshots
from processor.config import ClientSettings
from processor.daemons.base import keep_up
from processor.daemons.before_entry import BeforeEntry
from processor.daemons.consents import agreed
from processor.daemons.hindrance import Hindrance
from processor.daemons.inspection import Inspection
from processor.daemons.local_training import LocalTraining
from processor.daemons.outbox import Outbox
from processor.daemons.own_reports import OwnReports
from processor.daemons.past_rounds import PastRounds
from processor.daemons.plan_news import PlanNews, agreeing
from processor.daemons.relayed import Relayed
from processor.daemons.retention import release_updates
from processor.daemons.setbacks import Setbacks
from processor.daemons.situations import SeenByClient, voucher_in
from processor.daemons.updates import sweep
from processor.errors import (
    ArtifactError,
    ChainError,
    ConfigurationError,
    DatasetError,
    IntegrityError,
    MachineError,
    OutOfMemory,
    SealError,
    StorageError,
    Unreadable,
    WorkerDied,
)
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.metrics import Metrics
from processor.privacy.sealing import check_public_key
from processor.protocol.consent import Agreement, consent_refusal, ended_refusal, number_refusal
from processor.protocol.decide import (
    Approve,
    Claim,
    ClientAction,
    PostAgreement,
    Publish,
    Register,
    Submit,
    Train,
    Wait,
    Working,
    asset_refusal,
    decide_client,
    remains,
)
from processor.protocol.gas import DAY, GasOfTheDay, training_refusal, within_gas
from processor.protocol.jobs.kinds import Device, InspectResult
from processor.protocol.jobs.worker import Worker
from processor.protocol.limits import CLAIM_GAS, Limits, ModelSize, Work, offer_of, refusal, work_of
from processor.protocol.metering import claimable_ms
from processor.protocol.model_form import ModelForm, form_of
from processor.protocol.opened import Identity
from processor.protocol.periods import seconds_to_submit
from processor.protocol.situations import Pending
from processor.storage.library import Library
from processor.types import Address, Admission, Block, Cid, Phase, RoundView

LEAST_GAS = 21_000
"""Of every transaction."""


@dataclass
class ClientDaemon:
    """One wallet in one federation. `cycle` reads one block, decides, does at most one thing, and says what it did.

    What takes long to compute is the worker's, and no cycle waits for that.
    """

    address: Address
    settings: ClientSettings
    federation: Federation
    transactions: Outbox
    library: Library
    journal: Journal
    worker: Worker
    log: FilteringBoundLogger
    metrics: Metrics = field(default_factory=Metrics)
    relayed: Relayed | None = None
    _snapshots: Snapshots = field(init=False)
    _hand_over_again: bool = False
    _warmed_for: Cid | None = None
    _claim_costs: tuple[tuple[str, int] | None, int] = (None, 0)
    _reports: OwnReports = field(init=False)
    _past: PastRounds = field(init=False)
    _setbacks: Setbacks = field(init=False)
    _inspection: Inspection = field(init=False)
    _training: LocalTraining = field(init=False)
    _before_entry: BeforeEntry = field(init=False)
    _news: PlanNews = field(init=False)
    _farewell: bytes | None = None
    _not_read: bytes | None = None
    _read_ahead: tuple[Cid | None, Cid | None] = (None, None)

    def __post_init__(self) -> None:
        self._snapshots = Snapshots(self.federation, self.address)
        self._reports = OwnReports(self.address, self.library, self.journal, self.metrics, self.log)
        self._past = PastRounds(self.library, self.journal, self.log)
        self._setbacks = Setbacks(self.settings.poll_interval)
        device = cast(Device, self.settings.device)
        hindrance = Hindrance(self.metrics, self.log)
        self._inspection = Inspection(
            self.worker, self.settings.state, self.settings.data, device, hindered=hindrance.say
        )
        self._news = PlanNews(self.federation, self.settings, self.journal, self.log)
        self._before_entry = BeforeEntry(
            self.federation, self.settings, self.library, self._inspection, self._past, self._coming, self.log
        )
        self._training = LocalTraining(
            identity=Identity(self.federation.chain_id, self.federation.address),
            client=self.address,
            settings=self.settings,
            worker=self.worker,
            library=self.library,
            journal=self.journal,
            setbacks=self._setbacks,
            metrics=self.metrics,
            log=self.log,
        )

    def cycle(self) -> ClientAction:
        block = self.federation.block()
        if keep_up(self.federation, self.transactions, self.journal, block, self.metrics):
            self._snapshots.forget()
            self._hand_over_again = True
            self._past.forget(self.latest_round(block))
            self._news.forget()
        view = self.latest_round(block)
        self._past.see(view)
        self._follow_update(view, block)
        self._finish_updates(block)
        self._training.follow(view, block, self._wanted(view))
        action = self.act(self.decide(view, block), view, block)
        if isinstance(action, Wait):
            self._setbacks.tell()
            if not self._setbacks.passing(view.sealing_key):
                self._reports.look(view)
                self._past.look(view)
                self._look_ahead(self._snapshots.at(block))
            self._inspection.watch()
            self._release_expired(block)
        return action

    def require_fitting_data(self, stopping: threading.Event) -> None:
        """At the start, what would be said in every round: raises DatasetError for data that is not of the task of the
        federation's plan, where that is known; Interrupted once `stopping` is set."""
        self._before_entry.require_fitting_data(self._snapshots.latest(), stopping)

    def decide(self, view: RoundView, block: Block) -> ClientAction:
        """What to do next, by what the block says; changes nothing on the chain and in the storage."""
        self.metrics.head(block.number, block.timestamp)
        self.metrics.round(view.round, view.phase.name.lower())
        return decide_client(
            SeenByClient(
                snapshot=self._snapshots.at(block),
                address=self.address,
                transactions=self.transactions,
                settings=self.settings,
                saved=self._saved(view),
                trained=self._training.trained,
                underway=self._training.underway,
                refuse=self._refusal,
                passing=self._setbacks.passing,
                cost_of_claim=self._cost_of_claim,
                unfit_for=self._before_entry.refusal,
                agreement=lambda snapshot: self._news.to_post(snapshot, self._next_plan(snapshot.view)),
            )
        )

    def act(self, action: ClientAction, view: RoundView, block: Block) -> ClientAction:
        """Does what was decided, with one transaction at most, and says what was done: with relays, what is to be sent
        is handed over to them where they can send it."""
        if isinstance(action, Submit) and (why := self._promise_refusal(self._snapshots.at(block))) is not None:
            return Wait(f"round {view.round} refused: {why}")
        if self.relayed is not None:
            action = self._by_relay(self.relayed, action, view, block)
        action = self._within_gas(action, view, block)
        match action:
            case Approve():
                self.transactions.approve(self.federation, action.amount)
            case Register():
                self._register()
                self.worker.warm()  # a round may be near
            case Train():
                return self._train(action, view, block)
            case Submit():
                self._submit(view)
            case Publish():
                self._publish(view)
            case Claim():
                amount = self.federation.asset().format(action.amount)
                self.transactions.send("claimed", self._claim(action), amount=amount)
            case PostAgreement():
                return self._post_agreement(action, block)
        return action

    def _claim(self, action: Claim) -> Call:
        """In the chain's coin, one whose gas costs no more than it brings, whatever becomes of the price of gas."""
        worth = action.amount if self.federation.asset().native else None
        return replace(self.federation.claim(self.address), worth=worth)

    def _within_gas(self, action: ClientAction, view: RoundView, block: Block) -> ClientAction:
        """The action, where the day's gas reaches for it; otherwise waiting, with the reason."""
        if isinstance(action, Wait):
            return action
        gas = CLAIM_GAS
        if isinstance(action, Claim) and not self.federation.asset().native:  # a token takes whatever gas it likes
            gas = gas_of_call(self.federation.web3, self.address, self._claim(action))
        return within_gas(action, self._gas_of_the_day(view, block), gas)

    def _gas_of_the_day(self, view: RoundView, block: Block) -> GasOfTheDay:
        client, live = view.client, view.phase is Phase.TRAINING
        ahead = live and client.selected and client.update is None and not client.declined
        spent = self.journal.gas_spent(block.timestamp - DAY)
        return GasOfTheDay(spent, self.settings.max_gas_per_day, ahead)

    def _by_relay(self, relayed: Relayed, action: ClientAction, view: RoundView, block: Block) -> ClientAction:
        """What is left to do where relays are asked first."""
        match action:
            case Register():
                by_voucher = self.federation.terms().admission is Admission.VOUCHER
                self.worker.warm()
                return relayed.register(action, view, block, voucher_in(self.settings.voucher) if by_voucher else None)
            case Submit() if (saved := self._saved(view)) is not None:
                claimed = claimable_ms(saved.compute_ms, view.max_compute_ms, view.opened_at, block.timestamp)
                again, self._hand_over_again = self._hand_over_again, False
                return relayed.submit(action, view, block, saved.cid, claimed, again)
            case Claim():
                return relayed.claim(action, block)
        return action

    # --------------------------------------------------------------------------------------------------- reading

    def latest_round(self, block: Block) -> RoundView:
        """The latest round with this client in it; of phase NONE before the first opens."""
        return self._snapshots.at(block).view

    def _wanted(self, view: RoundView) -> bool:
        """Whether the round asks for an update that we do not have."""
        client = view.client
        asked = view.phase is Phase.TRAINING and client.selected and client.update is None and not client.declined
        return asked and self._saved(view) is None

    def _refusal(self, snapshot: Snapshot) -> str | Pending | None:
        """Why this client takes no part in the round, or not now; looked into only where it is asked to train.

        What the chain says comes first, then what the client agreed to, and then what the plan asks for.
        """
        view, block = snapshot.view, snapshot.block
        if view.phase is not Phase.TRAINING or not view.client.selected or view.client.update is not None:
            return None
        if view.client.declined:
            return None
        signed = None if self.relayed is None else self.relayed.handover.signed(view)
        if signed is not None and signed.handed.declines:
            return "we have signed that we decline"
        if (saved := self._saved(view)) is not None:
            return f"our sealed update of it, {saved.path}, is lost, and none is ever made twice"
        federation, limits = self.federation, Limits.of(self.settings)
        if refused := asset_refusal(federation.terms(), self.settings.asset):
            return refused
        if refused := self._setbacks.refusal(view.sealing_key) or self._promise_refusal(snapshot):
            return refused
        margin = seconds_to_submit(view.opening)
        if view.training_deadline - block.timestamp <= margin:
            return f"the last {margin:g} s of its training period are kept for publishing and submitting an update"
        if self.relayed is None and (refused := training_refusal(self._gas_of_the_day(view, block))):
            return refused
        offer = offer_of(view, federation.asset(), gas_price(federation.web3, block))
        if refused := refusal(limits, offer):
            return refused
        try:
            plan = self._plan(view)
        except (StorageError, IntegrityError, OutOfMemory) as error:  # wrong bytes are the doing of whoever served them
            return self._setbacks.for_now(view.sealing_key, error)
        except ArtifactError as error:
            return self._setbacks.for_good(view.sealing_key, f"its plan cannot be used: {error}")
        cid = view.opening.plan
        agreement = Agreement(federation.chain_id, federation.address, cid, plan, federation.terms())
        if agreement.digest() not in agreed(self.settings.state, self.log):
            return consent_refusal(agreement)
        if refused := number_refusal(plan, view.round):
            return refused
        self._past.tell(snapshot)
        try:
            found = self._inspection.of(cid, plan)
        except WorkerDied as error:
            return self._setbacks.died(view.sealing_key, error)
        except (OutOfMemory, Unreadable) as error:
            return self._setbacks.for_now(view.sealing_key, error)
        except MachineError as error:
            return self._setbacks.for_now(view.sealing_key, error, told=False)
        except (ConfigurationError, DatasetError) as error:
            return str(error)
        if found is None:
            return Pending("looking at its plan, its model and our data")
        return refusal(limits, _work(plan, found))

    def _promise_refusal(self, snapshot: Snapshot) -> str | None:
        """Why nothing leaves us for the round, by what is known of those before: its plan has come to its end, or its
        key is no key of its own."""
        self._past.look(snapshot.view)
        ended = None if snapshot.view.plan is None else self._past.ended(snapshot.view.plan)
        return self._key_refusal(snapshot) if ended is None else ended_refusal(ended)

    def _key_refusal(self, snapshot: Snapshot) -> str | None:
        """Why nothing is sealed to the round's key: whoever knows the secret of another round with it could open our
        update before the round is over."""
        view, key = snapshot.view, snapshot.view.sealing_key
        try:
            check_public_key(key)
        except SealError as error:
            return str(error)
        number = self._past.round_with_key(snapshot, view.round, key)
        if number is not None:
            return (
                f"its sealing key is that of round {number}, whose secret may be known: updates would be open to read"
            )
        if self.journal.sealed_elsewhere(key, view.round):
            return "we trained for another round with its sealing key, whose secret may be known since"
        return None

    def _plan(self, view: RoundView) -> Plan:
        """The round's plan, which is read once. A worker is likely to be asked about it soon."""
        cid = view.opening.plan
        if self._warmed_for != cid:
            self.worker.warm()
            self._warmed_for = cid
        return self.library.read(PLAN, cid)

    def _cost_of_claim(self, block: Block) -> int:
        """What a claim costs in wei, at the price that gas has at a block; the base fee alone says that of a small
        amount without a request."""
        web3 = self.federation.web3
        owed = self._snapshots.at(block).view.client.owed
        least = LEAST_GAS * (block.base_fee or 0)
        if least > owed:
            return least
        found, cost = self._claim_costs
        if found != (block.hash, owed):
            cost = gas_of_call(web3, self.address, self.federation.claim(self.address)) * gas_price(web3, block)
            self._claim_costs = ((block.hash, owed), cost)
        return cost

    def _form(self, view: RoundView) -> ModelForm | None:
        """What the round's plan fixes of its base model, as it was found when the plan was looked at."""
        plan = self._plan(view)
        found = self._inspection.of(view.opening.plan, plan)
        return None if found is None else form_of(plan, found.model_layout)

    # ---------------------------------------------------------------------------------------------------- acting

    def _register(self) -> None:
        federation = self.federation
        by_voucher = federation.terms().admission is Admission.VOUCHER
        voucher = voucher_in(self.settings.voucher) if by_voucher else None
        call = federation.register() if voucher is None else federation.register_with_voucher(voucher)
        self.transactions.send("registered", call, stake=federation.asset().format(federation.terms().stake))

    def _train(self, action: Train, view: RoundView, block: Block) -> ClientAction:
        """Has the round trained for and its one update sealed, and writes that into the journal; nobody sees it before
        the chain shows it."""
        saved = self._training.go_on(view, block, lambda: self._plan(view), lambda: self._form(view))
        if saved is not None:
            self.log.info(
                "trained", round=saved.round, compute_ms=saved.compute_ms, samples=saved.samples, update=saved.cid
            )
        if (underway := self._training.underway) is not None:
            return Working(f"round {view.round}: {underway}")
        return action

    def _post_agreement(self, action: PostAgreement, block: Block) -> ClientAction:
        """Says that we agreed to a plan. Nothing depends on it but how long the organization waits, so what keeps us
        from it is no trouble."""
        call = self.federation.post(AGREED, action.plan, f"say that you agreed to the plan {action.plan}")
        try:
            if self.relayed is not None and not self.relayed.can_pay(block):
                raise ChainError("we have no coins, and no relay posts for us")
            self.transactions.send(agreeing(action.plan), call)
        except ChainError as error:
            self._news.keep_silent(action.plan, str(error))
            return Wait("our agreement is not posted: rounds go on without it")
        return action

    # ----------------------------------------------------------------------------------------------- what is to come

    def _look_ahead(self, snapshot: Snapshot) -> None:
        """Hears of plans that are announced, and says once that a federation has finished and what remains to do."""
        view = snapshot.view
        self._news.look(snapshot, self._next_plan(view))
        over = view.sealing_key if view.phase.over else None
        if over is not None and over != self._farewell and (ended := self._ended(view)) is not None:
            self._farewell = over
            self.log.info("the federation has finished", reason=ended, remains=remains(view, self.federation.asset()))

    def _ended(self, view: RoundView) -> str | None:
        """Why no round follows under the plan of the latest: a report says so, or the number of the round does."""
        if view.plan is None:
            return None
        if (ended := self._past.ended(view.plan)) is not None:
            return ended
        if self._not_read == view.sealing_key:
            return None
        try:
            return number_refusal(self.library.read(PLAN, view.plan), view.round + 1)
        except (ArtifactError, StorageError):  # it is asked for again with the next round
            self._not_read = view.sealing_key
            return None

    def _coming(self, snapshot: Snapshot) -> Cid | None:
        """The plan of rounds to come, where the latest has another."""
        return self._news.coming(snapshot, self._next_plan(snapshot.view))

    def _next_plan(self, view: RoundView) -> Cid | None:
        """The plan of rounds to come that the latest report names, once that can be had."""
        cid = view.released.report or view.base.report
        if cid is None or cid == self._read_ahead[0]:
            return self._read_ahead[1] if cid is not None else None
        report = self._past.report(cid)
        if report is None:
            return None
        self._read_ahead = cid, report.next_plan
        return report.next_plan

    def _saved(self, view: RoundView) -> SavedUpdate | None:
        """Our update of the very round, made from its base model; one of a round that a reorganization undid is not.
        Once a round is finalized, the chain does not name its base any more."""
        if view.base.model is None:
            return self.journal.update_in(view.round, view.sealing_key)
        return self.journal.update_for(view.round, view.sealing_key, view.base.model)

    # ------------------------------------------------------------------------------------------- our update on chain

    def _follow_update(self, view: RoundView, block: Block) -> None:
        """Writes down whether the chain shows our update of the latest round, and since which block."""
        saved = self._saved(view)
        if saved is None:
            return
        shown = view.client.update == saved.cid
        if shown and saved.seen_at is None and not view.client.adjusted:
            self.journal.see_update(saved, block.number, view.client.compute_ms)
        elif not shown and saved.seen_at is not None and view.phase.live:
            self.journal.miss_update(saved)
            self.log.warning("our update is not on chain any more", round=view.round, update=saved.cid)

    def _finish_updates(self, block: Block) -> None:
        """Updates that no reorganization can take away any more let go of what was kept for those before."""
        if self.journal.finish_updates(block.number - self.transactions.confirmations):
            sweep(updates_folder(self.settings.state), self.journal, self.log)

    def _release_expired(self, block: Block) -> None:
        release_updates(
            storage=self.library.storage,
            updates=self.journal.updates(),
            keep_days=self.settings.keep_days,
            state=self.settings.state,
            block=block,
            log=self.log,
        )

    def _submit(self, view: RoundView) -> None:
        """Names the saved update on the chain; after a restart or a reorganization, the very same one again."""
        saved = self._saved(view)
        if saved is None:
            raise ValueError(f"no update of round {view.round} is in the journal")
        block = self.federation.block()  # sealing and waiting took their time
        now = self.latest_round(block)
        if (now.phase, now.sealing_key, now.base) != (Phase.TRAINING, view.sealing_key, view.base) or now.client.update:
            self.log.warning("not submitted", round=view.round, reason="the round has changed in the meantime")
            return
        signed = None if self.relayed is None else self.relayed.handover.signed(view)
        claimed = claimable_ms(saved.compute_ms, view.max_compute_ms, view.opened_at, block.timestamp)
        if signed is not None:  # what a relay has is what counts, whoever sends it
            claimed = signed.handed.compute_ms
        call = self.federation.submit_update(view.round, view.sealing_key, saved.cid, claimed)
        self.transactions.send("submitted", call, view.round, update=saved.cid, compute_ms=claimed)

    def _publish(self, view: RoundView) -> None:
        """Puts the sealed bytes where the organization finds them; the very same bytes after a restart."""
        saved = self._saved(view)
        if saved is None:
            raise ValueError(f"no update of round {view.round} is in the journal")
        if saved.path.exists():
            published = self.library.storage.put(saved.path)
            if published != saved.cid:
                raise IntegrityError(f"the saved update {saved.path} has the CID {published}, expected {saved.cid}")
        else:  # lost, but perhaps it was published
            self.library.storage.pin(saved.cid)
        self.journal.publish_update(saved)
        self.log.info("published", round=view.round, update=saved.cid)


def _work(plan: Plan, found: InspectResult) -> Work:
    size = ModelSize.of(found.model_layout)
    return work_of(plan, size, found.example_bytes, found.outputs, found.samples or 0)
