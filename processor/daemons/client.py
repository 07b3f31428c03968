"""The client's daemon: for every round that selects it, fetch, verify, train, meter, seal, submit, publish; claim."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from structlog.typing import FilteringBoundLogger

from processor.artifacts.plan import PLAN, Plan
from processor.chain.federation import Federation
from processor.chain.fees import gas_price
from processor.chain.snapshot import Snapshot, Snapshots
from processor.config import ClientSettings
from processor.daemons.base import keep_up
from processor.daemons.consents import agreed
from processor.daemons.inspection import Inspection
from processor.daemons.local_training import LocalTraining
from processor.daemons.outbox import Outbox
from processor.daemons.own_reports import OwnReports
from processor.daemons.relayed import Relayed
from processor.daemons.retention import release_updates
from processor.daemons.setbacks import Setbacks
from processor.daemons.situations import SeenByClient, voucher_in
from processor.daemons.updates import sweep
from processor.errors import (
    ArtifactError,
    ConfigurationError,
    DatasetError,
    IntegrityError,
    MachineError,
    OutOfMemory,
    StorageError,
    Unreadable,
    WorkerDied,
)
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.metrics import Metrics
from processor.protocol.consent import Agreement, consent_refusal
from processor.protocol.decide import (
    Approve,
    Claim,
    ClientAction,
    Publish,
    Register,
    Submit,
    Train,
    Wait,
    Working,
    asset_refusal,
    decide_client,
)
from processor.protocol.jobs.kinds import Device, InspectResult
from processor.protocol.jobs.worker import Worker
from processor.protocol.limits import Limits, ModelSize, Work, offer_of, refusal, work_of
from processor.protocol.metering import claimable_ms
from processor.protocol.opened import Identity
from processor.protocol.periods import seconds_to_submit
from processor.protocol.situations import Pending
from processor.storage.library import Library
from processor.types import Address, Admission, Block, Cid, Phase, RoundView


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
    _reports: OwnReports = field(init=False)
    _setbacks: Setbacks = field(init=False)
    _inspection: Inspection = field(init=False)
    _training: LocalTraining = field(init=False)

    def __post_init__(self) -> None:
        self._snapshots = Snapshots(self.federation, self.address)
        self._reports = OwnReports(self.address, self.library, self.journal, self.metrics, self.log)
        self._setbacks = Setbacks(self.settings.poll_interval)
        device = cast(Device, self.settings.device)
        self._inspection = Inspection(self.worker, self.settings.state, self.settings.data, device)
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
        view = self.latest_round(block)
        self._follow_update(view, block)
        self._finish_updates(block)
        self._training.follow(view, block, self._wanted(view))
        action = self.act(self.decide(view, block), view, block)
        if isinstance(action, Wait):
            self._setbacks.tell()
            if not self._setbacks.passing(view.sealing_key):
                self._reports.look(view)
            self._release_expired(block)
        return action

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
            )
        )

    def act(self, action: ClientAction, view: RoundView, block: Block) -> ClientAction:
        """Does what was decided, with one transaction at most, and says what was done: with relays, what is to be sent
        is handed over to them where they can send it."""
        if self.relayed is not None:
            action = self._by_relay(self.relayed, action, view, block)
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
                self.transactions.send("claimed", self.federation.claim(self.address), amount=amount)
        return action

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
        if refused := self._setbacks.refusal(view.sealing_key) or self._key_refusal(snapshot):
            return refused
        margin = seconds_to_submit(view.opening)
        if view.training_deadline - block.timestamp <= margin:
            return f"the last {margin:g} s of its training period are kept for publishing and submitting an update"
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

    def _key_refusal(self, snapshot: Snapshot) -> str | None:
        """Why nothing is sealed to the round's key: whoever knows the secret of another round with it could open our
        update before the round is over."""
        view, key = snapshot.view, snapshot.view.sealing_key
        number = snapshot.round_with_key(key)
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
        saved = self._training.go_on(view, block, lambda: self._plan(view))
        if saved is not None:
            self.log.info(
                "trained", round=saved.round, compute_ms=saved.compute_ms, samples=saved.samples, update=saved.cid
            )
        if (underway := self._training.underway) is not None:
            return Working(f"round {view.round}: {underway}")
        return action

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
