"""The client's daemon: for every round that selects it, fetch, verify, train, meter, seal, submit, publish; claim."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from structlog.typing import FilteringBoundLogger

from processor.aggregation.facts import check_base
from processor.artifacts.model import MODEL, Model, load_model, open_model
from processor.artifacts.plan import Plan
from processor.artifacts.update import write_update
from processor.chain.federation import Federation
from processor.chain.fees import gas_price
from processor.chain.snapshot import Snapshot, Snapshots
from processor.config import ClientSettings
from processor.daemons.base import emptied, keep_up
from processor.daemons.consents import agreed
from processor.daemons.meter import Meter, claimable_ms
from processor.daemons.outbox import Outbox
from processor.daemons.own_reports import OwnReports
from processor.daemons.relayed import Relayed
from processor.daemons.retention import release_updates
from processor.daemons.setbacks import Setbacks
from processor.daemons.situations import SeenByClient, voucher_in
from processor.daemons.training import Learned, Training, forget_checkpoints, memory_errors, seconds_to_submit
from processor.daemons.updates import forget_updates, keep_update, saved_update
from processor.errors import (
    ArtifactError,
    ArtifactTooLarge,
    ConfigurationError,
    DatasetError,
    IntegrityError,
    NewerVersion,
    OutOfMemory,
    StorageError,
    TrainingError,
)
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.learning.device import CPU, device_of
from processor.learning.tasks import Dataset
from processor.metrics import Metrics
from processor.privacy.sealing import seal_file
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
    asset_refusal,
    decide_client,
)
from processor.protocol.examine import content_of, opened
from processor.protocol.limits import Limits, offer_of, refusal, work_of
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.resolve import check_plan, size_of, task_of
from processor.storage.library import Library
from processor.types import Address, Admission, Block, Cid, Phase, RoundView


@dataclass
class ClientDaemon:
    """One wallet in one federation. `cycle` reads one block, decides, does at most one thing, and says what it did."""

    address: Address
    settings: ClientSettings
    federation: Federation
    transactions: Outbox
    library: Library
    journal: Journal
    log: FilteringBoundLogger
    stopping: threading.Event = field(default_factory=threading.Event)
    metrics: Metrics = field(default_factory=Metrics)
    relayed: Relayed | None = None
    _datasets: dict[Cid, Dataset] = field(default_factory=dict)
    _snapshots: Snapshots = field(init=False)
    _hand_over_again: bool = False
    _reports: OwnReports = field(init=False)
    _setbacks: Setbacks = field(init=False)
    _device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self._snapshots = Snapshots(self.federation, self.address)
        self._reports = OwnReports(self.address, self.library, self.journal, self.metrics, self.log)
        self._setbacks = Setbacks(self.settings.poll_interval)
        self._device = device_of(self.settings.device)

    def cycle(self) -> ClientAction:
        block = self.federation.block()
        if keep_up(self.federation, self.transactions, self.journal, block, self.metrics):
            self._snapshots.forget()
            self._hand_over_again = True
        view = self.latest_round(block)
        self._follow_update(view, block)
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
        snapshot, saved = self._snapshots.at(block), self._saved(view)
        return decide_client(
            SeenByClient(snapshot, self.address, self.transactions, self.settings, saved, self._refusal)
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
            case Train():
                self._train(view, block)
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

    def _refusal(self, snapshot: Snapshot) -> str | None:
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
            round = self._opened(view)
        except (StorageError, IntegrityError) as error:  # wrong bytes are the doing of whoever served them
            return self._setbacks.for_now(view.sealing_key, error)
        except ArtifactError as error:
            return self._setbacks.for_good(view.sealing_key, f"its plan cannot be used: {error}")
        plan, cid = round.plan, round.opening.plan
        agreement = Agreement(federation.chain_id, federation.address, cid, plan, federation.terms())
        if agreement.digest() not in agreed(self.settings.state, self.log):
            return consent_refusal(agreement)
        try:
            with memory_errors():
                dataset, task = self._dataset(cid, plan), task_of(plan)
                return refusal(limits, work_of(plan, size_of(plan), task.features, task.classes, len(dataset)))
        except OutOfMemory as error:
            return self._setbacks.for_now(view.sealing_key, error)
        except (ConfigurationError, DatasetError) as error:
            return str(error)

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

    def _opened(self, view: RoundView) -> OpenedRound:
        identity = Identity(self.federation.chain_id, self.federation.address)
        return OpenedRound.read(identity, view.opening, self.library)

    def _dataset(self, cid: Cid, plan: Plan) -> Dataset:
        """Our data for the plan behind a CID. Raises ConfigurationError for a plan that cannot be carried out,
        DatasetError for data that is not its task's."""
        if cid not in self._datasets:
            check_plan(plan)
            self._datasets = {cid: task_of(plan).load(self.settings.data)}
        return self._datasets[cid]

    # ---------------------------------------------------------------------------------------------------- acting

    def _register(self) -> None:
        federation = self.federation
        by_voucher = federation.terms().admission is Admission.VOUCHER
        voucher = voucher_in(self.settings.voucher) if by_voucher else None
        call = federation.register() if voucher is None else federation.register_with_voucher(voucher)
        self.transactions.send("registered", call, stake=federation.asset().format(federation.terms().stake))

    def _train(self, view: RoundView, block: Block) -> None:
        """Trains and seals the round's one update, and writes it into the journal; nobody sees it before the chain
        shows it. One that was sealed before, which the journal does not know of, is taken as it is: none is ever made
        twice.

        A round in which training fails is not tried again: its time would only be metered for nothing. Storage and
        memory may be there later, and what was trained so far is kept: then it is tried again.
        """
        updates, opening = updates_folder(self.settings.state), view.opening
        saved = saved_update(updates, opening.round, opening.sealing_key, opening.base_model, self.log)
        if saved is None:
            try:
                saved = self._sealed(self._opened(view), block, updates)
            except (StorageError, IntegrityError, OutOfMemory) as error:
                self._setbacks.for_now(view.sealing_key, error)
                return
            except NewerVersion:  # of our own state: the base model's is a TrainingError
                raise
            except (TrainingError, ArtifactError) as error:  # an artifact's bytes never change
                self._setbacks.for_good(view.sealing_key, str(error))
                self.log.warning("training failed", round=view.round, error=str(error))
                return
        self.journal.save_update(saved)
        forget_updates(updates, but=saved)
        forget_checkpoints(self._checkpoints)
        self.log.info(
            "trained", round=saved.round, compute_ms=saved.compute_ms, samples=saved.samples, update=saved.cid
        )

    def _sealed(self, round: OpenedRound, block: Block, updates: Path) -> SavedUpdate:
        """Trains, and seals what was learned.

        Raises TrainingError and ArtifactError where that leads to no usable update; StorageError, IntegrityError and
        OutOfMemory where it may later; NewerVersion where a newer Koinon began the training.
        """
        opening = round.opening
        dataset = self._dataset(opening.plan, round.plan)
        work = emptied(self.settings.state / "work")
        ends_at = time.monotonic() + opening.training_deadline - block.timestamp - seconds_to_submit(opening)
        with tempfile.TemporaryDirectory(dir=work) as folder, memory_errors():
            plain, sealed, base_path = (Path(folder) / name for name in ("update", "sealed", "base"))
            training = Training(
                round=round,
                base=self._fetch_base(round, base_path),
                dataset=dataset,
                folder=self._checkpoints,
                meter=Meter(self.journal, opening.round, opening.sealing_key),
                log=self.log,
                ends_at=ends_at,
                max_seconds=self.settings.max_seconds,
                checkpoint_interval=self.settings.checkpoint_interval,
                device=self._device,
                stopping=self.stopping,
                on_progress=self.metrics.training,
            )
            header = round.update_header(self.address, len(dataset))
            learned = self._learned(training)
            fisher = learned.fisher if round.plan.sends_fisher else {}
            write_update(plain, header, learned.delta, learned.buffers, fisher)
            with open_model(base_path) as base, opened(plain, header, base, round.plan) as update:
                content_of(update, base, round.plan)
            seal_file(plain, sealed, opening.sealing_key)
            named = (opening.round, opening.sealing_key, opening.base_model)
            metered = self.journal.metered_ms(opening.round, opening.sealing_key)
            return keep_update(updates, sealed, *named, metered, len(dataset), opening.aggregation_deadline)

    def _learned(self, training: Training) -> Learned:
        """What comes of a training; one that does not fit into the memory of a GPU goes on on the processor."""
        try:
            with memory_errors():
                return training.run()
        except OutOfMemory as error:
            if training.device == CPU:
                raise
            said = {"round": training.round.number, "device": str(training.device), "error": str(error)}
            self.log.warning("training goes on on the processor", **said)
        return replace(training, device=CPU).run()

    @property
    def _checkpoints(self) -> Path:
        return self.settings.state / "training"

    def _fetch_base(self, round: OpenedRound, path: Path) -> Model:
        limit = min(MODEL.limit, self.settings.max_bytes or MODEL.limit)
        try:
            self.library.fetch(MODEL, round.opening.base_model, path, limit)
        except ArtifactTooLarge as error:
            raise TrainingError(
                f"its base model has more than the {limit} bytes that client.max_bytes and this version allow"
            ) from error
        try:
            with open_model(path) as base:
                check_base(base, round.plan)
            return load_model(path)
        except NewerVersion as error:
            raise TrainingError(f"its base model cannot be read: {error}") from error

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
        elif shown and not saved.final:
            self._finish_update(saved, block)

    def _finish_update(self, saved: SavedUpdate, block: Block) -> None:
        if saved.seen_at is not None and block.number - saved.seen_at >= self.transactions.confirmations:
            self.journal.finish_update(saved)

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


def use_threads(count: int) -> None:
    """How many threads training may use; 0 leaves it to torch."""
    if count:
        torch.set_num_threads(count)
