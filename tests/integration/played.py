"""Rounds of a federation played by library calls alone, without daemons: an organization that says what a test wants it
to say, and clients whose updates are made up. Nothing is the same in two rounds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import copy as copy_of
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.artifacts.committed import OpeningFields
from processor.artifacts.model import ModelHeader, write_model
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Plan
from processor.artifacts.report import REPORT, Metrics, Report
from processor.artifacts.round import ROUND, RoundFile
from processor.artifacts.state import FIRST_STATE, ServerState
from processor.artifacts.update import write_update
from processor.chain.federation import Federation
from processor.chain.posts import PLAN as PLAN_TOPIC
from processor.chain.transactions import Sender
from processor.cid import cid_of
from processor.privacy.sealing import SealingKeyPair, generate_key_pair, seal_file
from processor.protocol.audit import Audit, audit, describe
from processor.protocol.history import Published, report_history
from processor.protocol.measuring import Measure, Measured, Models
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.settlement import Settlement, conclude, settle
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import Cid, FederationTerms, Opening, Phase, RoundTerms, Submitted
from tests.integration.parties import create_federation
from tests.unit.artifacts.examples import BUFFERS, FISHER, PARAMETERS, PLAN

ETHER = 10**18
NO_DIGEST = bytes(20)
Change = Callable[[Report], Report]


def honest(report: Report) -> Report:
    return report


def never(plan: Plan, models: Models, dataset: Path) -> Measured:
    raise AssertionError("an audit measures nothing where the validation data is private")


@dataclass
class PlayedFederation:
    """`clients_wanted` members of an organization whose reports the tests may change before they are published."""

    web3: Web3
    folder: Path
    clients_wanted: int = 3
    terms: FederationTerms = FederationTerms()
    measure: Measure = never
    storage: LocalStorage = field(init=False)
    federation: Federation = field(init=False)
    organization: Sender = field(init=False)
    clients: list[Sender] = field(init=False)
    opening: Opening = field(init=False)
    keys: SealingKeyPair = field(init=False)
    lists: dict[int, RoundFile] = field(default_factory=dict)
    reports: dict[int, Cid] = field(default_factory=dict)
    claimed: dict[int, float] = field(default_factory=dict)
    """Metrics that the reports of these rounds claim, and what follows from them."""
    averages_without: int | None = None
    """The place of an update that the organization leaves out of its average, and not out of its report."""
    _last: Published | None = None
    _abandoned: list[RoundFile] = field(default_factory=list)
    _state: ServerState = FIRST_STATE
    _reached: float = 0.5

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.storage = LocalStorage(self.folder / "store")
        self.organization = Sender(self.web3, self._rich_account())
        self.clients = [Sender(self.web3, self._rich_account()) for _ in range(self.clients_wanted)]
        self.federation = create_federation(self.web3, self.organization, terms=self.terms)
        for client in self.clients:
            client.send(self.federation.register())
        path = self.folder / "initial"
        header = ModelHeader(round=0, parent=None, plan=Library(self.storage).publish(PLANS, PLAN))
        write_model(path, header, PARAMETERS, BUFFERS, {})
        self.organization.send(self.federation.set_initial_model(self.storage.put(path)))

    def _rich_account(self) -> LocalAccount:
        account: LocalAccount = Account.create()
        self.web3.provider.make_request("anvil_setBalance", [account.address, hex(100 * ETHER)])  # type: ignore[arg-type]
        return account

    # ------------------------------------------------------------------------------------------------------- rounds

    def plan(self, round: int) -> Plan:
        return replace(PLAN, initialization_seed=round)

    @property
    def live(self) -> OpenedRound:
        """The round that was opened last."""
        identity = Identity(self.federation.chain_id, self.federation.address)
        return OpenedRound(identity, self.opening, self.plan(self.opening.round))

    def open(self, keys: SealingKeyPair | None = None) -> None:
        """Opens the next round, after one that was abandoned keeps its list as a daemon would."""
        view = self.federation.round_view()
        if view.phase is Phase.ABANDONED:
            self._keep_list()
        number = view.round + 1
        self.keys = keys or generate_key_pair()
        plan = Library(self.storage).publish(PLANS, self.plan(number))
        if view.phase is Phase.ABANDONED:  # no report says which plan comes next
            self.organization.send(self.federation.post(PLAN_TOPIC, plan))
        terms = RoundTerms(
            plan=plan,
            sealing_key=self.keys.public,
            training_period=100 + number,
            aggregation_period=200 + number,
            max_updates=self.clients_wanted + number,
            max_compute_ms=60_000 + number,
            selection_rate=10_000,
            reward_rate_cap=ETHER * 10**6 + number,
            reward=ETHER // 4 + number,
        )
        self.organization.send(self.federation.open_round(terms, view.digest if view.round else NO_DIGEST))
        self.opening = self.federation.round_view().opening

    def _keep_list(self) -> None:
        parts = (self.opening, self.federation.updates(), self.federation.record())
        file = RoundFile.of(self.federation.chain_id, self.federation.address, *parts)
        Library(self.storage).publish(ROUND, file)
        self.lists[file.round] = file
        self._abandoned.append(file)

    def submit(self, *numbers: int) -> None:
        """Updates of the clients with these numbers, in this order; of all in the order of their numbers if none is
        named."""
        for number in numbers or range(self.clients_wanted):
            client, round = self.clients[number], self.opening.round
            update = self._sealed_update(number)
            call = self.federation.submit_update(round, self.keys.public, update, 100 + 10 * round + number)
            client.send(call)

    def _sealed_update(self, number: int) -> Cid:
        plain, sealed = self.folder / "plain", self.folder / "sealed"
        sealed.unlink(missing_ok=True)
        header = self.live.update_header(self.clients[number].address, 10 + number)
        step = np.float32((number + 1) / (10 * self.opening.round))
        write_update(plain, header, {name: value * step for name, value in PARAMETERS.items()}, BUFFERS, FISHER)
        seal_file(plain, sealed, self.keys.public)
        return self.storage.put(sealed)

    def pass_time(self, seconds: int) -> None:
        self.web3.provider.make_request("evm_increaseTime", [seconds])  # type: ignore[arg-type]
        self.web3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]

    def abandon(self) -> None:
        """Lets the live round's time run out."""
        self.pass_time(self.opening.aggregation_deadline - self.federation.block().timestamp)

    def end_training(self) -> None:
        now = self.federation.block().timestamp
        if now < self.opening.training_deadline and self.federation.round_view().phase is Phase.TRAINING:
            self.pass_time(self.opening.training_deadline - now)

    def finalize(self, change: Change = honest) -> None:
        """Settles the live round as the plan says, and reports on it what `change` makes of the truth."""
        self.end_training()
        number, submitted = self.opening.round, tuple(self.federation.updates())
        view, round, metric = self.federation.round_view(), self.live, self.claimed.get(number, 0.5 + number / 100)
        library, state = Library(self.storage), self.folder / "state"
        with settle(round, submitted, self.keys.secret, self._state, None, library, self.folder / "work") as settlement:
            model = self._released(settlement, submitted)
            metric = self._reached if model == self.opening.base_model else metric
            updates, adjustments = settlement.updates, settlement.adjustments
            self._state, stop = conclude(settlement.state, metric, round.plan, state)
        history, following = report_history(self._last, self._abandoned), cid_of(PLANS.encode(self.plan(number + 1)))
        report = change(
            Report(
                chain_id=round.identity.chain_id,
                federation=round.identity.federation,
                opening=OpeningFields.of(self.opening),
                updates=updates,
                record_before=self.federation.record().hex(),
                before=history.before,
                abandoned=history.abandoned,
                model=model,
                server_state=self.storage.put(state),
                metrics=Metrics(before=self._reached, after=metric, name="accuracy"),
                privacy={"where": "none"},
                versions={"koinon": "0.1.0"},
                initialization_seed=round.plan.initialization_seed,
                stop=stop,
                next_plan=following if following != self.opening.plan else None,
            )
        )
        cid = Library(self.storage).publish(REPORT, report)
        self.organization.send(
            self.federation.finalize_round(number, view.digest, model, cid, adjustments, self.keys.secret)
        )
        self._last, self._abandoned, self._reached = Published(report, cid, self.keys.secret), [], metric
        self.reports[number] = cid

    def _released(self, settlement: Settlement, submitted: tuple[Submitted, ...]) -> Cid:
        if self.averages_without is None:
            return self.storage.put(settlement.model_path)
        others = [line for place, line in enumerate(submitted) if place != self.averages_without]
        parts = (self.live, others, self.keys.secret, FIRST_STATE, None, Library(self.storage))
        with settle(*parts, self.folder / "work-without") as wrong:
            return self.storage.put(wrong.model_path)

    def round(self, *numbers: int, change: Change = honest) -> None:
        """One round from its opening to its end."""
        self.open()
        self.submit(*numbers)
        self.finalize(change)

    # -------------------------------------------------------------------------------------------------------- audits

    def copied(self, folder: Path) -> PlayedFederation:
        """The same federation on the same chain, with a store that others do not share."""
        copy = copy_of(self)
        shutil.copytree(self.folder / "store", folder / "store")
        copy.folder, copy.storage = folder, LocalStorage(folder / "store")
        copy.lists, copy.reports, copy._abandoned = dict(self.lists), dict(self.reports), list(self._abandoned)
        copy.claimed = dict(self.claimed)
        return copy

    def withhold(self, cid: Cid) -> None:
        """Nobody serves the artifact any more."""
        (self.folder / "store" / cid).unlink()

    def audit(
        self, keep: Path | None = None, logs: bool = False, by: Federation | None = None, logs_from: int = 0
    ) -> Audit:
        work = self.folder / "audit"
        work.mkdir(exist_ok=True)
        first = logs_from if logs else None
        tools = (self.measure, lambda cid, plan: None)
        return audit(by or self.federation, self.storage, work, *tools, keep=keep, logs_from=first)

    def violations(self, keep: Path | None = None, logs: bool = False) -> list[str]:
        return [describe(violation) for violation in self.audit(keep, logs).violations]
