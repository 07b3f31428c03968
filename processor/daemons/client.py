"""The client's daemon: for every round that selects it, fetch, verify, train, meter, seal, submit, publish; claim."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from structlog.typing import FilteringBoundLogger

from processor.artifacts.model import MODEL_LIMIT, Model, load_model
from processor.artifacts.plan import PLAN_LIMIT, Plan
from processor.artifacts.report import REPORT_LIMIT, Report
from processor.artifacts.update import write_update
from processor.chain.federation import Federation
from processor.chain.fees import gas_price
from processor.chain.vouchers import Voucher, load_voucher
from processor.config import ClientSettings
from processor.daemons.base import emptied, keep_up, purse_of
from processor.daemons.consents import agreed
from processor.daemons.meter import Meter, claimable_ms
from processor.daemons.outbox import Outbox
from processor.daemons.relayed import Relayed
from processor.daemons.retention import release_updates
from processor.daemons.setbacks import Setbacks
from processor.daemons.training import Learned, Training, forget_checkpoints, memory_errors, seconds_to_submit
from processor.daemons.updates import forget_updates, keep_update, saved_update
from processor.errors import (
    ArtifactError,
    ArtifactTooLarge,
    ChainError,
    ConfigurationError,
    DatasetError,
    IntegrityError,
    OutOfMemory,
    StorageError,
    TrainingError,
)
from processor.journal import Journal, SavedUpdate
from processor.learning.device import CPU, device_of
from processor.learning.tasks import Dataset
from processor.metrics import Metrics
from processor.privacy.sealing import seal_file
from processor.protocol.consent import Agreement, consent_refusal
from processor.protocol.decide import (
    Approve,
    Claim,
    ClientAction,
    ClientSituation,
    Entry,
    Publish,
    Register,
    Submit,
    Train,
    Wait,
    asset_refusal,
    decide_client,
    voucher_refusal,
)
from processor.protocol.limits import Limits, offer_of, refusal, work_of
from processor.protocol.own_update import OwnUpdate, reported
from processor.protocol.resolve import check_plan, size_of, task_of
from processor.protocol.settlement import Identity, check_content, update_header
from processor.storage.base import Storage, get_bytes
from processor.types import Address, Admission, Block, Cid, Phase, RoundView

KEY_PREFIX = 12
"""Bytes of every sealing key of a finalized round that stand on chain."""
EVERY = 60.0
"""Seconds between two attempts to read a report that cannot be had."""


@dataclass
class ClientDaemon:
    """One wallet in one federation. `cycle` reads one block, decides, does at most one thing, and says what it did."""

    address: Address
    settings: ClientSettings
    federation: Federation
    transactions: Outbox
    storage: Storage
    journal: Journal
    log: FilteringBoundLogger
    stopping: threading.Event = field(default_factory=threading.Event)
    metrics: Metrics = field(default_factory=Metrics)
    relayed: Relayed | None = None
    _plans: dict[Cid, Plan] = field(default_factory=dict)
    _datasets: dict[Cid, Dataset] = field(default_factory=dict)
    _used_keys: list[bytes] = field(default_factory=list)
    _checked: Cid | None = None
    _check_after: float = 0.0
    _hand_over_again: bool = False
    _setbacks: Setbacks = field(init=False)
    _device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self._setbacks = Setbacks(self.settings.poll_interval)
        self._device = device_of(self.settings.device)

    def cycle(self) -> ClientAction:
        block = self.federation.block()
        if keep_up(self.federation, self.transactions, self.journal, block, self.metrics):
            self._used_keys.clear()
            self._hand_over_again = True
        view = self.latest_round(block)
        self._follow_update(view, block)
        action = self.act(self.decide(view, block), view, block)
        if isinstance(action, Wait):
            self._setbacks.tell()
            self._check_report(view)
            self._release_expired(block)
        return action

    def decide(self, view: RoundView, block: Block) -> ClientAction:
        """What to do next, by what the block says; changes nothing on the chain and in the storage."""
        self.metrics.head(block.number, block.timestamp)
        self.metrics.round(view.round, view.phase.name.lower())
        return decide_client(self._situation(view, block))

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
                return relayed.register(action, view, block, self._voucher() if by_voucher else None)
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
        return self.federation.round_view(self.address, at=block)

    def _situation(self, view: RoundView, block: Block) -> ClientSituation:
        closed, saved = self.federation.closed(at=block), self._saved(view)
        has_update = saved is not None and (saved.published or saved.path.exists())
        return ClientSituation(
            closed=closed,
            asset=self.federation.asset(),
            stake=view.client.stake,
            entry=None if closed or view.client.member else self._entry(view, block),
            round=None if view.phase is Phase.NONE else view,
            has_update=has_update,
            unpublished=saved is not None and view.client.update == saved.cid and not saved.published,
            refusal=None if has_update else self._refusal(view, block),
            owed=view.client.owed,
            claim_threshold=self.settings.claim_threshold,
            transaction_pending=self.transactions.pending(),
            unconfirmed=self.transactions.unconfirmed(),
        )

    def _entry(self, view: RoundView, block: Block) -> Entry:
        return Entry(
            terms=self.federation.terms(),
            purse=purse_of(self.federation, self.address, block),
            accepted_asset=self.settings.asset,
            max_stake=self.settings.max_stake,
            stake_held=view.client.stake,
            update_live=view.phase.live and view.client.update is not None,
            voucher_refusal=self._voucher_refusal(block),
        )

    def _voucher_refusal(self, block: Block) -> str | None:
        """Why the voucher that is configured does not admit us; None where it does, or where none is asked for."""
        if self.federation.terms().admission is Admission.OPEN:
            return None
        try:
            voucher = self._voucher()
        except ChainError as error:
            return str(error)
        spent = voucher is not None and self.federation.voucher_spent(voucher.id, at=block)
        federation = self.federation
        identity, nonce = (federation.chain_id, federation.address, self.address), federation.owner_nonce(at=block)
        return voucher_refusal(voucher, spent, *identity, block.timestamp, nonce)

    def _voucher(self) -> Voucher | None:
        """Raises ChainError where the file holds none."""
        return None if self.settings.voucher is None else load_voucher(self.settings.voucher)

    def _refusal(self, view: RoundView, block: Block) -> str | None:
        """Why this client takes no part in the round, or not now; looked into only where it is asked to train.

        What the chain says comes first, then what the client agreed to, and then what the plan asks for.
        """
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
        if refused := self._setbacks.refusal(view.sealing_key) or self._key_refusal(view, block):
            return refused
        margin = seconds_to_submit(view)
        if view.training_deadline - block.timestamp <= margin:
            return f"the last {margin:g} s of its training period are kept for publishing and submitting an update"
        offer = offer_of(view, federation.asset(), gas_price(federation.web3))
        if refused := refusal(limits, offer):
            return refused
        try:
            plan = self._plan(view)
        except (StorageError, IntegrityError) as error:  # wrong bytes are the doing of whoever served them
            return self._setbacks.for_now(view.sealing_key, error)
        except ArtifactError as error:
            return self._setbacks.for_good(view.sealing_key, f"its plan cannot be used: {error}")
        agreement = Agreement(federation.chain_id, federation.address, view.plan or "", plan, federation.terms())
        if agreement.digest() not in agreed(self.settings.state, self.log):
            return consent_refusal(agreement)
        try:
            with memory_errors():
                dataset, task = self._dataset(view, plan), task_of(plan)
                return refusal(limits, work_of(plan, size_of(plan), task.features, task.classes, len(dataset)))
        except OutOfMemory as error:
            return self._setbacks.for_now(view.sealing_key, error)
        except (ConfigurationError, DatasetError) as error:
            return str(error)

    def _key_refusal(self, view: RoundView, block: Block) -> str | None:
        """Why nothing is sealed to the round's key: whoever knows the secret of another round with it could open our
        update before the round is over."""
        known, key = self._used_keys, view.sealing_key
        if len(known) < view.round - 1:  # of the rounds before, all of which are over, nothing changes any more
            new = self.federation.results(block, first=len(known) + 1)
            known += [result.sealing_key for result in new][: view.round - 1 - len(known)]
        if key[:KEY_PREFIX] in known:
            number = known.index(key[:KEY_PREFIX]) + 1
            return (
                f"its sealing key is that of round {number}, whose secret may be known: updates would be open to read"
            )
        if self.journal.sealed_elsewhere(key, view.round):
            return "we trained for another round with its sealing key, whose secret may be known since"
        return None

    def _plan(self, view: RoundView) -> Plan:
        if view.plan is None:
            raise ValueError(f"round {view.round} was never opened")
        return self._plan_at(view.plan)

    def _plan_at(self, cid: Cid) -> Plan:
        if cid not in self._plans:
            self._plans[cid] = Plan.decode(get_bytes(self.storage, cid, PLAN_LIMIT))
        return self._plans[cid]

    def _dataset(self, view: RoundView, plan: Plan) -> Dataset:
        """Our data for the plan. Raises ConfigurationError for a plan that cannot be carried out, DatasetError for data
        that is not its task's."""
        cid = view.plan or ""
        if cid not in self._datasets:
            check_plan(plan)
            self._datasets = {cid: task_of(plan).load(self.settings.data)}
        return self._datasets[cid]

    # ---------------------------------------------------------------------------------------------------- acting

    def _register(self) -> None:
        federation = self.federation
        voucher = self._voucher() if federation.terms().admission is Admission.VOUCHER else None
        call = federation.register() if voucher is None else federation.register_with_voucher(voucher)
        self.transactions.send("registered", call, stake=federation.asset().format(federation.terms().stake))

    def _train(self, view: RoundView, block: Block) -> None:
        """Trains and seals the round's one update, and writes it into the journal; nobody sees it before the chain
        shows it. One that was sealed before, which the journal does not know of, is taken as it is: none is ever made
        twice.

        A round in which training fails is not tried again: its time would only be metered for nothing. Storage and
        memory may be there later, and what was trained so far is kept: then it is tried again.
        """
        if view.base.model is None:
            raise ValueError(f"round {view.round} was never opened")
        updates = self.settings.state / "updates"
        saved = saved_update(updates, view.round, view.sealing_key, view.base.model, self.log)
        if saved is None:
            try:
                saved = self._sealed(view, view.base.model, block, updates)
            except (StorageError, IntegrityError, OutOfMemory) as error:
                self._setbacks.for_now(view.sealing_key, error)
                return
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

    def _sealed(self, view: RoundView, base_model: Cid, block: Block, updates: Path) -> SavedUpdate:
        """Trains, and seals what was learned.

        Raises TrainingError and ArtifactError where that leads to no usable update; StorageError, IntegrityError and
        OutOfMemory where it may later.
        """
        plan = self._plan(view)
        dataset = self._dataset(view, plan)
        work = emptied(self.settings.state / "work")
        ends_at = time.monotonic() + view.training_deadline - block.timestamp - seconds_to_submit(view)
        with tempfile.TemporaryDirectory(dir=work) as folder, memory_errors():
            plain, sealed, base_path = (Path(folder) / name for name in ("update", "sealed", "base"))
            training = Training(
                view=view,
                plan=plan,
                base=self._fetch_base(view, base_path),
                dataset=dataset,
                folder=self._checkpoints,
                meter=Meter(self.journal, view.round, view.sealing_key),
                log=self.log,
                ends_at=ends_at,
                max_seconds=self.settings.max_seconds,
                checkpoint_interval=self.settings.checkpoint_interval,
                device=self._device,
                stopping=self.stopping,
                on_progress=self.metrics.training,
            )
            header = update_header(self._identity, view.opening, self.address, len(dataset))
            learned = self._learned(training)
            write_update(plain, header, learned.delta, learned.buffers, learned.fisher)
            check_content(plain, header, base_path, plan)
            seal_file(plain, sealed, view.sealing_key)
            metered, ends_at = self.journal.metered_ms(view.round, view.sealing_key), view.aggregation_deadline
            named = (view.round, view.sealing_key, base_model)
            return keep_update(updates, sealed, *named, metered, len(dataset), ends_at)

    def _learned(self, training: Training) -> Learned:
        """What comes of a training; one that does not fit into the memory of a GPU goes on on the processor."""
        try:
            with memory_errors():
                return training.run()
        except OutOfMemory as error:
            if training.device == CPU:
                raise
            said = {"round": training.view.round, "device": str(training.device), "error": str(error)}
            self.log.warning("training goes on on the processor", **said)
        return replace(training, device=CPU).run()

    @property
    def _checkpoints(self) -> Path:
        return self.settings.state / "training"

    def _fetch_base(self, view: RoundView, path: Path) -> Model:
        if view.base.model is None:
            raise ValueError(f"round {view.round} was never opened")
        limit = min(MODEL_LIMIT, self.settings.max_bytes or MODEL_LIMIT)
        try:
            self.storage.get(view.base.model, path, limit)
        except ArtifactTooLarge as error:
            raise TrainingError(
                f"its base model has more than the {limit} bytes that client.max_bytes and this version allow"
            ) from error
        return load_model(path)

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

    def _check_report(self, view: RoundView) -> None:
        """Looks, once, what the latest report says of our update: nobody else knows how many samples are in it."""
        cid = view.released.report or view.base.report
        if cid is None or cid == self._checked or time.monotonic() < self._check_after:
            return
        if self._setbacks.passing(view.sealing_key):
            return
        if not any(update.seen_at is not None for update in self.journal.updates()):
            return
        try:
            report = Report.decode(get_bytes(self.storage, cid, REPORT_LIMIT))
            max_weight = self._plan_at(report.plan).aggregation.max_weight
        except StorageError as error:
            self._check_after = time.monotonic() + EVERY
            self.log.info("the report cannot be had yet", report=cid, error=str(error))
            return
        except ArtifactError as error:
            self._checked = cid
            self.metrics.reported("differs")
            self.log.warning("the report cannot be used", report=cid, error=str(error))
            return
        self._checked = cid
        saved = self.journal.update_in(report.round, report.opening.value().sealing_key)
        if saved is None or saved.seen_at is None:
            return
        latest = view.phase is Phase.FINALIZED and view.round == report.round and view.client.update is not None
        credited, slash_rate = (view.client.compute_ms, view.client.slash_rate) if latest else (None, None)
        own = OwnUpdate(saved.cid, saved.samples, saved.claimed_ms, credited, slash_rate)
        found = reported(report, self.address, own, max_weight)
        self.metrics.reported(found.outcome)
        facts = {"round": report.round, "report": cid, "update": saved.cid}
        if found.differs:
            self.log.warning("the report differs from what we know", differs="; ".join(found.differs), **facts)
        if found.reason is not None:
            self.log.warning("our update was not taken as it is", reason=found.reason, **facts)

    def _release_expired(self, block: Block) -> None:
        release_updates(
            storage=self.storage,
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
            published = self.storage.put(saved.path)
            if published != saved.cid:
                raise IntegrityError(f"the saved update {saved.path} has the CID {published}, expected {saved.cid}")
        else:  # lost, but perhaps it was published
            self.storage.pin(saved.cid)
        self.journal.publish_update(saved)
        self.log.info("published", round=view.round, update=saved.cid)

    @property
    def _identity(self) -> Identity:
        return Identity(self.federation.chain_id, self.federation.address)


def use_threads(count: int) -> None:
    """How many threads training may use; 0 leaves it to torch."""
    if count:
        torch.set_num_threads(count)
