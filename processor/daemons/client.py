"""The client's daemon: for every round that selects it, fetch, verify, train, meter, seal, publish, submit; claim."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from structlog.typing import FilteringBoundLogger
from torch import nn

from processor.artifacts.model import MODEL_LIMIT, Model, load_model
from processor.artifacts.plan import PLAN_LIMIT, Plan
from processor.artifacts.update import write_update
from processor.chain.federation import Federation
from processor.chain.vouchers import Voucher, load_voucher
from processor.cid import cid_of_file
from processor.config import ClientSettings
from processor.daemons.base import Transactions, emptied, purse_of
from processor.daemons.meter import Meter, claimable_ms
from processor.errors import (
    ArtifactError,
    ChainError,
    ConfigurationError,
    DatasetError,
    IntegrityError,
    Interrupted,
    TrainingError,
)
from processor.journal import Journal, SavedUpdate
from processor.keystore import private_directory
from processor.learning.ewc import Anchor, fisher_information
from processor.learning.models import buffers_of, load_parameters, parameters_of
from processor.learning.tasks import Dataset
from processor.learning.trainer import train
from processor.privacy.sealing import seal_file
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
    asset_refusal,
    decide_client,
    voucher_refusal,
)
from processor.protocol.resolve import check_plan, module_of, task_of
from processor.protocol.settlement import Identity, check_content, update_header, wants_fisher
from processor.storage.base import Storage, get_bytes
from processor.types import Address, Admission, Block, Cid, Phase, RoundView


@dataclass
class ClientDaemon:
    """One wallet in one federation. `cycle` reads one block, decides, does at most one thing, and says what it did."""

    address: Address
    settings: ClientSettings
    federation: Federation
    transactions: Transactions
    storage: Storage
    journal: Journal
    log: FilteringBoundLogger
    stopping: threading.Event = field(default_factory=threading.Event)
    _plans: dict[Cid, Plan] = field(default_factory=dict)
    _datasets: dict[Cid, Dataset] = field(default_factory=dict)
    _nothing_owed: set[int] = field(default_factory=set)
    _failed: dict[bytes, str] = field(default_factory=dict)

    def cycle(self) -> ClientAction:
        block = self.federation.block()
        view = self._latest_round(block)
        action = decide_client(self._situation(view, block))
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
        return action

    # --------------------------------------------------------------------------------------------------- reading

    def _latest_round(self, block: Block) -> RoundView:
        """The latest round with this client in it; of phase NONE before the first opens."""
        return self.federation.round_view(max(1, self.federation.round_count(at=block)), self.address, at=block)

    def _situation(self, view: RoundView, block: Block) -> ClientSituation:
        closed = self.federation.closed(at=block)
        return ClientSituation(
            closed=closed,
            asset=self.federation.asset(),
            stake=view.client.stake,
            entry=None if closed or view.client.member else self._entry(view, block),
            round=None if view.phase is Phase.NONE else view,
            has_update=self.journal.update_for(view.round, view.sealing_key) is not None,
            refusal=self._refusal(view),
            owed=self._owed(view, block),
            claim_threshold=self.settings.claim_threshold,
            transaction_pending=self.transactions.pending(),
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

    def _refusal(self, view: RoundView) -> str | None:
        """Why this client's own limits rule the round out; looked into only where it is asked to train."""
        if view.phase is not Phase.TRAINING or not view.client.selected or view.client.update is not None:
            return None
        if refusal := asset_refusal(self.federation.terms(), self.settings.asset):
            return refusal
        if view.guaranteed_rate < self.settings.minimum_rate:
            asset = self.federation.asset()
            return (
                f"it guarantees {asset.format(view.guaranteed_rate)} for a second of compute, "
                f"less than the minimum_rate of {asset.format(self.settings.minimum_rate)} that is configured"
            )
        if view.sealing_key in self._failed:
            return self._failed[view.sealing_key]
        plan = self._plan(view)
        if plan.privacy.where == "none" and not self.settings.accept_public_updates:
            return (
                "its updates carry no noise and become public when the round is finalized; "
                "set accept_public_updates = true if your data may be"
            )
        try:
            self._dataset(view, plan)
        except (ConfigurationError, DatasetError) as error:
            return str(error)
        return None

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
        """Trains and seals the round's one update, and writes it into the journal before anyone sees it.

        A round in which training fails is not tried again: its time would only be metered for nothing.
        """
        plan = self._plan(view)
        dataset = self._dataset(view, plan)
        updates = private_directory(self.settings.state / "updates")
        work = emptied(self.settings.state / "work")
        ends_at = time.monotonic() + view.training_deadline - block.timestamp
        with tempfile.TemporaryDirectory(dir=work) as folder:
            plain, sealed, base_path = (Path(folder) / name for name in ("update", "sealed", "base"))
            base = self._fetch_base(view, base_path)
            module = module_of(plan)
            load_parameters(module, base.parameters, base.buffers)
            try:
                with Meter(self.journal, view.round, view.sealing_key) as meter:
                    fisher = self._local_work(module, plan, base, dataset, meter, ends_at)
                header = update_header(self._identity, view, self.address)
                write_update(plain, header, _delta(module, base), buffers_of(module), fisher)
                check_content(plain, header, base_path, plan)
                seal_file(plain, sealed, view.sealing_key)
            except (TrainingError, ArtifactError) as error:
                self._failed[view.sealing_key] = str(error)
                self.log.warning("training failed", round=view.round, error=str(error))
                return
            cid = cid_of_file(sealed)
            path = sealed.rename(updates / cid)
        metered = self.journal.metered_ms(view.round, view.sealing_key)
        self.journal.save_update(SavedUpdate(view.round, view.sealing_key, cid, path, metered, len(dataset)))
        for earlier in updates.iterdir():
            if earlier != path:
                earlier.unlink()
        self.log.info("trained", round=view.round, compute_ms=metered, samples=len(dataset), update=cid)

    def _fetch_base(self, view: RoundView, path: Path) -> Model:
        if view.base.model is None:
            raise ValueError(f"round {view.round} was never opened")
        self.storage.get(view.base.model, path, MODEL_LIMIT)
        return load_model(path)

    def _local_work(
        self, module: nn.Module, plan: Plan, base: Model, dataset: Dataset, meter: Meter, ends_at: float
    ) -> dict[str, np.ndarray]:
        """What the plan asks of every client: the training and, where EWC is on, the Fisher information at its end."""

        def on_step(step: int, steps: int) -> None:
            meter.tick()
            if time.monotonic() > ends_at:
                raise TrainingError(f"the training period ended at step {step} of {steps}")
            if self.stopping.is_set():
                raise Interrupted(f"stopped at step {step} of {steps}")

        train(
            module,
            dataset,
            optimizer=plan.optimizer,
            work=plan.local,
            anchor=_anchor(base) if wants_fisher(plan) else None,
            strength=plan.ewc.strength,
            seed=secrets.randbits(63),
            on_step=on_step,
        )
        if not wants_fisher(plan):
            return {}
        return fisher_information(module, dataset.features, plan.ewc.fisher_samples)

    def _submit(self, view: RoundView) -> None:
        """Publishes the saved update and hands it to the chain; after a restart, the very same bytes again."""
        saved = self.journal.update_for(view.round, view.sealing_key)
        if saved is None:
            raise ValueError(f"no update of round {view.round} is in the journal")
        if saved.path.exists():
            published = self.storage.put(saved.path)
            if published != saved.cid:
                raise IntegrityError(f"the saved update {saved.path} has the CID {published}, expected {saved.cid}")
        else:  # lost, but perhaps it was published
            self.storage.pin(saved.cid)
        now = self.federation.block().timestamp
        claimed = claimable_ms(saved.compute_ms, view.max_compute_ms, view.opened_at, now)
        call = self.federation.submit_update(view.round, view.sealing_key, saved.cid, claimed, saved.samples)
        self.transactions.send("submitted", call, view.round, update=saved.cid, compute_ms=claimed)

    @property
    def _identity(self) -> Identity:
        return Identity(self.federation.chain_id, self.federation.address)


def use_threads(count: int) -> None:
    """How many threads training may use; 0 leaves it to torch."""
    if count:
        torch.set_num_threads(count)


def _anchor(base: Model) -> Anchor | None:
    """Where EWC pulls: the base model, as hard as its Fisher information says; a model without one has no pull yet."""
    if not base.fisher:
        return None
    return Anchor(
        centre={name: torch.from_numpy(value) for name, value in base.parameters.items()},
        fisher={name: torch.from_numpy(value) for name, value in base.fisher.items()},
    )


def _delta(module: nn.Module, base: Model) -> dict[str, np.ndarray]:
    delta = {name: value - base.parameters[name] for name, value in parameters_of(module).items()}
    if not all(np.isfinite(value).all() for value in delta.values()):
        raise TrainingError("training ended in numbers that are not finite: the plan's learning rate may be too high")
    return delta
