"""The client's daemon: for every round that selects it, fetch, verify, train, meter, seal, publish, submit; claim."""

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
from processor.artifacts.update import write_update
from processor.chain.federation import Federation
from processor.chain.fees import gas_price
from processor.chain.vouchers import Voucher, load_voucher
from processor.config import ClientSettings
from processor.daemons.base import emptied, keep_up, purse_of
from processor.daemons.consents import agreed
from processor.daemons.meter import Meter, claimable_ms
from processor.daemons.outbox import Outbox
from processor.daemons.retention import release_expired
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
    Owed,
    Register,
    Submit,
    Train,
    Wait,
    asset_refusal,
    decide_client,
    voucher_refusal,
)
from processor.protocol.limits import Limits, offer_of, refusal, work_of
from processor.protocol.resolve import check_plan, size_of, task_of
from processor.protocol.settlement import Identity, check_content, update_header
from processor.storage.base import Storage, get_bytes
from processor.types import Address, Admission, Block, Cid, Phase, RoundView


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
    _plans: dict[Cid, Plan] = field(default_factory=dict)
    _datasets: dict[Cid, Dataset] = field(default_factory=dict)
    _nothing_owed: set[int] = field(default_factory=set)
    _setbacks: Setbacks = field(init=False)
    _device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self._setbacks = Setbacks(self.settings.poll_interval)
        self._device = device_of(self.settings.device)

    def cycle(self) -> ClientAction:
        block = self.federation.block()
        if keep_up(self.federation, self.transactions, self.journal, block, self.metrics):
            self._nothing_owed.clear()
        view = self.latest_round(block)
        action = self.decide(view, block)
        self.act(action, view, block)
        if isinstance(action, Wait):
            self._setbacks.tell()
            self._release_expired(block)
        return action

    def decide(self, view: RoundView, block: Block) -> ClientAction:
        """What to do next, by what the block says; changes nothing on the chain and in the storage."""
        self.metrics.head(block.number, block.timestamp)
        self.metrics.round(view.round, view.phase.name.lower())
        return decide_client(self._situation(view, block))

    def act(self, action: ClientAction, view: RoundView, block: Block) -> None:
        """Does what was decided: with one transaction at most."""
        match action:
            case Approve():
                self.transactions.approve(self.federation, action.amount)
            case Register():
                self._register()
            case Train():
                self._train(view, block)
            case Submit():
                self._submit(view)
            case Claim():
                call = self.federation.claim(action.rounds, self.address)
                amount = self.federation.asset().format(action.amount)
                self.transactions.send("claimed", call, amount=amount, rounds=len(action.rounds))

    # --------------------------------------------------------------------------------------------------- reading

    def latest_round(self, block: Block) -> RoundView:
        """The latest round with this client in it; of phase NONE before the first opens."""
        return self.federation.round_view(max(1, self.federation.round_count(at=block)), self.address, at=block)

    def _situation(self, view: RoundView, block: Block) -> ClientSituation:
        closed, has_update = self.federation.closed(at=block), self._saved(view) is not None
        return ClientSituation(
            closed=closed,
            asset=self.federation.asset(),
            stake=view.client.stake,
            entry=None if closed or view.client.member else self._entry(view, block),
            round=None if view.phase is Phase.NONE else view,
            has_update=has_update,
            refusal=None if has_update else self._refusal(view, block),
            owed=self._owed(view, block),
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
        return voucher_refusal(voucher, spent, federation.chain_id, federation.address, self.address, block.timestamp)

    def _voucher(self) -> Voucher | None:
        """Raises ChainError where the file holds none."""
        return None if self.settings.voucher is None else load_voucher(self.settings.voucher)

    def _refusal(self, view: RoundView, block: Block) -> str | None:
        """Why this client takes no part in the round, or not now; looked into only where it is asked to train.

        What the chain says comes first, then what the client agreed to, and then what the plan asks for.
        """
        if view.phase is not Phase.TRAINING or not view.client.selected or view.client.update is not None:
            return None
        federation, limits = self.federation, Limits.of(self.settings)
        if refused := asset_refusal(federation.terms(), self.settings.asset):
            return refused
        if refused := self._setbacks.refusal(view.sealing_key):
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

    def _owed(self, latest: RoundView, block: Block) -> tuple[Owed, ...]:
        """The rewards that can be claimed. A round that is over and owes nothing never will: it is asked about once."""
        owed = []
        for number in range(1, latest.round + 1):
            if number in self._nothing_owed:
                continue
            view = latest if number == latest.round else self.federation.round_view(number, self.address, at=block)
            if not view.phase.over:
                continue
            if view.client.claimed or view.client.reward == 0:
                self._nothing_owed.add(number)
            else:
                owed.append(Owed(number, view.client.reward))
        return tuple(owed)

    def _plan(self, view: RoundView) -> Plan:
        cid = view.plan
        if cid is None:
            raise ValueError(f"round {view.round} was never opened")
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
        """Trains and seals the round's one update, and writes it into the journal before anyone sees it. One that was
        sealed before, which the journal does not know of, is taken as it is: none is ever made twice.

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
            header = update_header(self._identity, view, self.address)
            learned = self._learned(training)
            write_update(plain, header, learned.delta, learned.buffers, learned.fisher)
            check_content(plain, header, base_path, plan)
            seal_file(plain, sealed, view.sealing_key)
            metered = self.journal.metered_ms(view.round, view.sealing_key)
            return keep_update(updates, sealed, view.round, view.sealing_key, base_model, metered, len(dataset))

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
        """Our update of the very round, made from its base model; one of a round that a reorganization undid is not."""
        return self.journal.update_for(view.round, view.sealing_key, view.base.model or "")

    def _release_expired(self, block: Block) -> None:
        release_expired(
            federation=self.federation,
            storage=self.storage,
            client=self.address,
            keep_days=self.settings.keep_days,
            state=self.settings.state,
            block=block,
            log=self.log,
        )

    def _submit(self, view: RoundView) -> None:
        """Publishes the saved update and hands it to the chain; after a restart, the very same bytes again."""
        saved = self._saved(view)
        if saved is None:
            raise ValueError(f"no update of round {view.round} is in the journal")
        if saved.path.exists():
            published = self.storage.put(saved.path)
            if published != saved.cid:
                raise IntegrityError(f"the saved update {saved.path} has the CID {published}, expected {saved.cid}")
        else:  # lost, but perhaps it was published
            self.storage.pin(saved.cid)
        block = self.federation.block()  # publishing takes its time
        now = self.latest_round(block)
        if (now.phase, now.sealing_key, now.base) != (Phase.TRAINING, view.sealing_key, view.base) or now.client.update:
            self.log.warning("not submitted", round=view.round, reason="the round changed while it was published")
            return
        claimed = claimable_ms(saved.compute_ms, view.max_compute_ms, view.opened_at, block.timestamp)
        call = self.federation.submit_update(view.round, view.sealing_key, saved.cid, claimed, saved.samples)
        self.transactions.send("submitted", call, view.round, update=saved.cid, compute_ms=claimed)

    @property
    def _identity(self) -> Identity:
        return Identity(self.federation.chain_id, self.federation.address)


def use_threads(count: int) -> None:
    """How many threads training may use; 0 leaves it to torch."""
    if count:
        torch.set_num_threads(count)
