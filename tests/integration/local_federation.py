"""A small federation whose daemons a test drives by hand, cycle by cycle, on a real chain: it can be stopped anywhere,
and its organization can be made to lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from eth_account import Account
from web3 import Web3

from processor.artifacts.model import MODEL, Model, load_model
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.report import REPORT, Report
from processor.artifacts.round import RoundFile
from processor.chain.asset import mint
from processor.chain.federation import Factory, Federation, deploy_factory, deploy_token
from processor.chain.transactions import Call, Receipt, Sender
from processor.chain.vouchers import sign_voucher
from processor.config import ClientSettings, NetworkSettings, OrganizationSettings, RoundSettings
from processor.daemons.client import ClientDaemon
from processor.daemons.consents import agree
from processor.daemons.kept import KeptRounds, rounds_folder
from processor.daemons.organization import OrganizationDaemon
from processor.daemons.transactions import Transactions
from processor.data.digits import digits_partition
from processor.data.npz import save_npz
from processor.demo.settings import DemoSettings
from processor.demo.stage import plan_of
from processor.journal import Journal
from processor.keystore import state_key
from processor.protocol.audit import Audit, audit, describe
from processor.protocol.consent import Agreement
from processor.protocol.decide import Approve, Finalize, OpenRound, Publish, Register, Stop, Submit, Train, Wait
from processor.protocol.jobs.worker import Worker
from processor.protocol.measuring import measure_by
from processor.protocol.model_form import forms_by
from processor.protocol.rewards import Money, least_pool, money_of
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import Admission, FederationTerms, Release
from tests.in_process import InProcess
from tests.integration.mined import mining_at_once

ETHER = 10**18
YEAR = 365 * 24 * 3600
RATE = ETHER * 10**9
"""An ether for a second of compute, in the unit of rates: a millisecond pays for the gas of its claim."""
WEALTH = 10**6 * ETHER
MOST_MS = 60_000
LOG = structlog.get_logger()


@dataclass
class LocalFederation:
    """One organization and some clients, in this process, who have agreed to its plan.

    `terms` are the federation's; `token` makes a fresh token their asset. Every client is ready to stake what they ask
    for and has a voucher. `with_operator` runs the organization's daemon with another wallet than the owner's. Clients
    share a `worker`, which does every job at once unless another is given.
    """

    web3: Web3
    folder: Path
    clients_wanted: int = 3
    rounds_wanted: int = 2
    organization_type: Callable[..., OrganizationDaemon] = OrganizationDaemon
    training_period: int = 120
    aggregation_period: int = 120
    min_updates: int = 1
    publish_validation: bool = False
    terms: FederationTerms = FederationTerms()
    token: bool = False
    slash_rate: int = 0
    with_operator: bool = False
    confirmations: int = 0
    plan_notice: int = 0
    longest_pause: int = 0
    worker: Worker = field(default_factory=InProcess)
    storage: LocalStorage = field(init=False)
    federation: Federation = field(init=False)
    organization: OrganizationDaemon = field(init=False)
    clients: list[ClientDaemon] = field(init=False)
    accounts: list[Any] = field(init=False)
    owner: Sender = field(init=False)

    def __post_init__(self) -> None:
        mining_at_once(self.web3)
        self.storage = LocalStorage(self.folder / "store")
        self.accounts = [self._rich_account() for _ in range(self.clients_wanted + 2)]
        self.owner = Sender(self.web3, self.accounts[0])
        if self.token:
            self.terms = replace(self.terms, asset=deploy_token(self.owner))
        factory = Factory(self.web3, deploy_factory(self.owner))
        self.federation = Federation(self.web3, factory.created(self.owner.send(factory.create_federation(self.terms))))
        if self.token:
            for account in self.accounts:
                self.owner.send(mint(self.federation.asset(), account.address, WEALTH))
        if self.with_operator:
            self.owner.send(self.federation.set_operator(self.accounts[-1].address))
        shares, validation = digits_partition(self.clients_wanted, seed=0)
        save_npz(self.folder / "validation.npz", validation)
        for number, share in enumerate(shares):
            save_npz(self.folder / f"data-{number}.npz", share)
        self.organization = self.restarted_organization()
        self.clients = [self.client(number) for number in range(self.clients_wanted)]
        self.agree()

    def agree(self, *numbers: int) -> None:
        """Clients, all unless some are named, agree to the plan that the organization's next round has."""
        digest = self.agreement().digest()
        for number in numbers or range(self.clients_wanted):
            agree(self.clients[number].settings.state, digest, LOG)

    def agreement(self) -> Agreement:
        """What the organization's next round asks clients to agree to."""
        federation, plan = self.federation, self.organization.plan
        cid = Library(self.storage).publish(PLAN, plan)
        return Agreement(federation.chain_id, federation.address, cid, plan, federation.terms())

    def client(self, number: int) -> ClientDaemon:
        """A fresh daemon of a client, as after a restart: with what is on disk and nothing else."""
        account = self.accounts[number + 1]
        voucher = self.folder / f"voucher-{number}.json" if self.terms.admission is Admission.VOUCHER else None
        if voucher is not None and not voucher.exists():
            voucher.write_bytes(self._voucher(account.address))
        settings = ClientSettings(
            network=self._network,
            federation=self.federation.address,
            wallet=self.folder / "unused",
            passphrase_file=None,
            state=self.folder / f"client-{number}",
            data=self.folder / f"data-{number}.npz",
            asset=self.terms.asset,
            max_stake=self.terms.stake,
            voucher=voucher,
            accept_public_updates=True,
            minimum_rate=0,
            claim_threshold=1,
            poll_interval=0.1,
            threads=0,
        )
        journal = self._journal(settings.state, account.address)
        return ClientDaemon(
            address=account.address,
            settings=settings,
            federation=self.federation,
            transactions=Transactions(Sender(self.web3, account), journal, LOG, state_key(account), self.confirmations),
            library=Library(self.storage),
            journal=journal,
            worker=self.worker,
            log=LOG,
        )

    def _voucher(self, client: str) -> bytes:
        expiry = self.federation.block().timestamp + YEAR
        federation = self.federation
        named = (federation.chain_id, federation.address, client, expiry, federation.owner_nonce())
        return sign_voucher(self.accounts[0], *named).encode()

    def restarted_organization(self) -> OrganizationDaemon:
        """A fresh daemon of the organization, as after a restart."""
        account = self.accounts[-1 if self.with_operator else 0]
        plan = plan_of(DemoSettings(clients=self.clients_wanted, rounds=self.rounds_wanted))
        plan["aggregation"] = {**plan["aggregation"], "min_updates": self.min_updates}
        plan["slashing"] = {"rate": self.slash_rate}
        settings = OrganizationSettings(
            network=self._network,
            federation=self.federation.address,
            wallet=self.folder / "unused",
            passphrase_file=None,
            state=self.folder / "organization",
            validation=self.folder / "validation.npz",
            publish_validation=self.publish_validation,
            poll_interval=0.1,
            min_members=self.clients_wanted,
            plan_notice=self.plan_notice,
            longest_pause=self.longest_pause,
            round=RoundSettings(
                training_period=self.training_period,
                aggregation_period=self.aggregation_period,
                max_updates=self.clients_wanted,
                max_compute_ms=MOST_MS,
                selection_rate=10_000,
                reward_rate_cap=RATE,
                reward=least_pool(RATE, self.clients_wanted, MOST_MS, self.terms.max_spread),
            ),
            plan=plan,
        )
        journal = self._journal(settings.state, account.address)
        daemon = self.organization_type(
            address=account.address,
            settings=settings,
            plan=Plan.from_table(settings.plan),
            federation=self.federation,
            transactions=Transactions(Sender(self.web3, account), journal, LOG, state_key(account), self.confirmations),
            library=Library(self.storage),
            journal=journal,
            log=LOG,
            worker=InProcess(),
            state_key=state_key(account),
        )
        daemon.prepare()
        return daemon

    @property
    def _network(self) -> NetworkSettings:
        return NetworkSettings(
            rpc=("http://unused",), storage=((self.folder / "store").as_uri(),), chain_id=None, timeout=10
        )

    def _journal(self, state: Path, address: str) -> Journal:
        return Journal(state / "journal.db", self.federation.chain_id, self.federation.address, address)

    def _rich_account(self) -> Any:
        account = Account.create()
        self.web3.provider.make_request("anvil_setBalance", [account.address, hex(WEALTH)])  # type: ignore[arg-type]
        return account

    # ------------------------------------------------------------------------------------------------------- driving

    def register(self, *numbers: int) -> None:
        for number in numbers or range(self.clients_wanted):
            while isinstance(action := self.clients[number].cycle(), Approve):
                pass
            assert isinstance(action, Register), action

    def open_round(self) -> None:
        """Cycles the organization until it has opened a round."""
        for _ in range(5):
            if isinstance(self.organization.cycle(), OpenRound):
                return
        raise AssertionError("the organization opened no round")

    def train_and_submit(self, *numbers: int) -> None:
        for number in numbers or range(self.clients_wanted):
            for expected in (Train, Submit, Publish):
                action = self.clients[number].cycle()
                assert isinstance(action, expected), action

    def finalize(self) -> None:
        action = self.organization.cycle()
        assert isinstance(action, Finalize), action

    def send(self, number: int, call: Call) -> Receipt:
        """A transaction that a client sends by hand."""
        return Sender(self.web3, self.accounts[number + 1]).send(call)

    def pass_time(self, seconds: int) -> None:
        self.web3.provider.make_request("evm_increaseTime", [seconds])  # type: ignore[arg-type]
        self.web3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]

    def pass_to_the_end_of(self, round: int) -> None:
        view = self.federation.round_view()
        assert view.round == round
        self.pass_time(view.aggregation_deadline - self.federation.block().timestamp)

    def play(self) -> None:
        """Every round from the registration to the claims."""
        self.register()
        for _ in range(self.rounds_wanted):
            self.open_round()
            self.train_and_submit()
            self.finalize()
            for client in self.clients:
                client.cycle()
        assert isinstance(self.organization.cycle(), Stop)
        assert all(isinstance(client.cycle(), Wait) for client in self.clients)

    def model(self, cid: str) -> Model:
        path = self.folder / "model"
        self.storage.get(cid, path, MODEL.limit)
        return load_model(path)

    def kept(self, number: int) -> RoundFile:
        """What the organization keeps of a round."""
        file = KeptRounds(rounds_folder(self.organization.settings.state), LOG).read(number)
        assert file is not None, number
        return file

    def released(self, number: int) -> Release:
        """What a round released: what the chain says of the latest, and the organization of those before."""
        view = self.federation.round_view()
        if view.round == number:
            return view.released
        outcome = self.kept(number).outcome
        return Release(None, None) if outcome is None else Release(outcome.model, outcome.report)

    def money(self, number: int) -> Money:
        """Where the pool of a finalized round went, by its opening and its report."""
        opening, report = self.kept(number).opening.value(), self.report(number)
        credited = {line.client: line.credited_ms for line in report.updates}
        return money_of(opening.pool, opening.reward_rate_cap, report.claimed_ms, credited)

    def report(self, number: int) -> Report:
        return Library(self.storage).read(REPORT, self.released(number).report or "")

    def audit(self) -> Audit:
        work = self.folder / "audit"
        work.mkdir(exist_ok=True)
        return audit(
            self.federation,
            self.storage,
            work,
            measure_by(InProcess(), work / "jobs" / "evaluate"),
            forms_by(InProcess(), work / "jobs" / "inspect"),
        )

    def violations(self) -> list[str]:
        return [describe(violation) for violation in self.audit().violations]
