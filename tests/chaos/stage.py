"""The federation that a run of chaos plays with: one organization, some clients, a hostile member, real nodes.

The contract belongs to the harness; the organization's daemon is its operator. So the harness can pause the federation
at the end of a run without touching the nonces of anybody's wallet.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.artifacts.plan import PLAN, Plan
from processor.chain.federation import Factory, Federation, deploy_factory
from processor.chain.transactions import Sender
from processor.daemons.base import journal_path
from processor.daemons.consents import agree
from processor.data.digits import digits_partition
from processor.data.npz import read_npz, save_npz
from processor.demo.nodes import free_port
from processor.demo.processes import Party, environment, koinon, write_config
from processor.demo.settings import DemoSettings
from processor.demo.stage import plan_of, with_published
from processor.journal import Journal
from processor.journal.copies import copy_database
from processor.key_files import wallet_at
from processor.keystore import create, first_line, unlock, write_private
from processor.protocol.consent import Agreement
from processor.storage import IpfsStorage, LocalStorage, Storage
from processor.storage.library import Library
from processor.types import Address, FederationTerms
from tests.chaos.daemon import Daemon
from tests.chaos.hostile import Hostile
from tests.chaos.nodes import GWEI, Chain, Kubo, start_chain, start_kubos
from tests.chaos.proxy import KEYED, Proxy
from tests.chaos.workers import Workers

ETHER = 10**18
BALANCE, STAKE, REWARD, RATE_CAP = 500 * ETHER, ETHER // 10, ETHER, ETHER // 1_200
MAX_SLASH_RATE, SLASH_RATE = 5_000, 100
TRAINING_PERIOD, AGGREGATION_PERIOD = 40, 30  # seconds
STEPS, LEARNING_RATE = 600, 0.02  # a second or so of training, so that there is something to interrupt
CONFIRMATIONS = 3
STUCK_AFTER, TIMEOUT, POLL_INTERVAL = 6.0, 5.0, 0.5
MAX_FEE = 200 * GWEI
SMALL_DISK = 16  # MiB
FAST = 2  # rounds of scrypt: these wallets hold nothing


@dataclass
class Stage:
    """A federation and all that is needed to disturb it. `accounts` are the wallets' keys, by the owner's name;
    `keys` the secrets that the addresses of its nodes carry; `broadcasts` what went through the proxies."""

    folder: Path
    chain: Chain
    kubos: list[Kubo]
    storage: Storage
    federation: Federation
    owner: LocalAccount
    organization: Daemon
    clients: list[Daemon]
    hostile: Hostile
    accounts: dict[str, LocalAccount]
    keys: list[str]
    store: Path | None
    plan: Mapping[str, Any]
    small_disks: list[Daemon]
    no_small_disk: str
    broadcasts: list[str]
    ended: list[tuple[str, float, int]] = field(default_factory=list)
    workers: Workers = field(init=False)
    _again_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workers = Workers(lambda: {each.name: each.pid for each in self.daemons})

    @property
    def daemons(self) -> list[Daemon]:
        return [self.organization, *self.clients]

    def start(self) -> None:
        self.workers.start()
        for daemon in self.daemons:
            daemon.start()
        self.hostile.start()

    def supervise(self) -> None:
        """Starts again, after a second, whoever has ended and is wanted; notes those that ended by themselves."""
        now = time.time()
        for daemon in self.daemons:
            if not daemon.wanted or daemon.alive:
                continue
            if daemon.name not in self._again_at:
                self._again_at[daemon.name] = now + 1
                status = daemon.process.exitcode if daemon.process is not None else None
                if status not in (None, -9):
                    self.ended.append((daemon.name, now, int(status or 0)))
            elif now >= self._again_at[daemon.name]:
                del self._again_at[daemon.name]
                daemon.start()

    def journal(self, daemon: Daemon) -> Journal:
        """A daemon's journal, to read in it; of one with a disk of its own a copy, since SQLite follows the link into
        its namespace.

        Raises JournalBusy where the daemon writes all the time.
        """
        state = daemon.state
        if daemon.namespace is not None:
            state = self.folder / "seen" / daemon.name
            shutil.rmtree(state, ignore_errors=True)
            state.mkdir(parents=True)
            copy_database(journal_path(daemon.state), journal_path(state))
        identity = self.federation.chain_id, self.federation.address, daemon.party.address
        return Journal(journal_path(state), *identity, read_only=True)

    def pause(self) -> None:
        """No round opens from now on."""
        Sender(self.chain.web3, self.owner).send(self.federation.pause())

    def audit(self) -> subprocess.CompletedProcess[str]:
        """What an auditor says who goes to the nodes directly."""
        where = ["--store", str(self.store)] if self.store else ["--ipfs", self.kubos[0].node.api]
        return subprocess.run(
            koinon("audit", self.federation.address, "--json", "--rpc", self.chain.rpc_url, *where),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@contextlib.contextmanager
def open_stage(folder: Path, seed: random.Random, chain_kind: str, storage_kind: str, clients: int) -> Iterator[Stage]:
    """A federation that is created, with every daemon ready to start. Nothing outlives the block.

    Raises KoinonError where a program is missing or does not start.
    """
    with contextlib.ExitStack() as stack:
        chain = start_chain(chain_kind, folder / "chain", stack)
        kubos = start_kubos(2, folder, stack) if storage_kind == "kubo" else []
        store = None if kubos else folder / "store"
        storage: Storage = IpfsStorage(kubos[0].node.api, 20.0) if store is None else LocalStorage(store)
        names = ["organization", *(f"client-{number}" for number in range(1, clients + 1))]
        parties = {name: _party(folder / name, name) for name in names}
        accounts = {name: unlock(party.wallet, first_line(party.passphrase_file)) for name, party in parties.items()}
        accounts["hostile"], owner = Account.create(), Account.create()
        for account in (owner, *accounts.values()):
            _give(chain.web3, account.address)
        federation = _federation(chain.web3, owner, accounts["organization"].address)
        keys = [secrets.token_hex(12) for _ in range(2)]
        broadcasts: list[str] = []
        daemons = [_daemon(party, chain, kubos, seed, broadcasts, stack) for party in parties.values()]
        small, reason = [daemons[0], daemons[-1]], ""
        for daemon in small:
            daemon.namespace, reason = _small_disk(daemon.party.state, stack)
        plan = _equip(daemons, chain, federation, store, keys)
        hostile = Hostile(chain.web3, federation, storage, accounts["hostile"], folder / "hostile", STAKE)
        stage = Stage(
            folder=folder,
            chain=chain,
            kubos=kubos,
            storage=storage,
            federation=federation,
            owner=owner,
            organization=daemons[0],
            clients=daemons[1:],
            hostile=hostile,
            accounts=accounts,
            keys=keys,
            store=store,
            plan=plan,
            small_disks=[] if reason else small,
            no_small_disk=reason,
            broadcasts=broadcasts,
        )
        _agree(stage)
        try:
            yield stage
        finally:
            hostile.stop()
            for daemon in stage.daemons:
                daemon.wanted = False
                daemon.kill()
            stage.workers.end()


# -------------------------------------------------------------------------------------------------------- internal


def _party(folder: Path, name: str) -> Party:
    passphrase_file, passphrase = folder / "passphrase", secrets.token_urlsafe(24)
    write_private(passphrase_file, passphrase.encode())
    address = create(folder / "wallet", passphrase, iterations=FAST)
    return Party(name, folder, address, wallet_at(folder / "wallet"), passphrase_file)


def _give(web3: Web3, address: Address) -> None:
    paid = web3.eth.send_transaction(
        {"from": web3.eth.accounts[0], "to": Web3.to_checksum_address(address), "value": Web3.to_wei(BALANCE, "wei")}
    )
    web3.eth.wait_for_transaction_receipt(paid, poll_latency=0.1)


def _federation(web3: Web3, owner: LocalAccount, operator: Address) -> Federation:
    sender = Sender(web3, owner)
    factory = Factory(web3, deploy_factory(sender))
    terms = FederationTerms(stake=STAKE, max_slash_rate=MAX_SLASH_RATE)
    federation = Federation(web3, factory.created(sender.send(factory.create_federation(terms))))
    sender.send(federation.set_operator(operator))
    return federation


def _daemon(
    party: Party,
    chain: Chain,
    kubos: list[Kubo],
    seed: random.Random,
    broadcasts: list[str],
    stack: contextlib.ExitStack,
) -> Daemon:
    """Two ways to the chain for everybody. One way to IPFS, to the first node or the second, for every other client;
    for the rest a way to each."""

    def on_request(what: str) -> None:
        daemon.requests(what)

    def proxy(address: tuple[str, int]) -> Proxy:
        return stack.enter_context(Proxy(address, random.Random(seed.random()), broadcasts.append, on_request))

    role, _, number = party.name.partition("-")
    first = int(number or 0) // 2 % 2
    nodes = kubos[first:] + kubos[:first]
    own = nodes[:1] if int(number or 0) % 2 else nodes
    ipfs = [proxy(kubo.address) for kubo in own]
    daemon = Daemon(party, role, [proxy(chain.address), proxy(chain.address)], ipfs, free_port())
    return daemon


def _small_disk(state: Path, stack: contextlib.ExitStack) -> tuple[int | None, str]:
    """A process in whose mount namespace the state folder is a disk of few bytes; else None, and why."""
    state.mkdir(mode=0o700, parents=True)
    script = f'mount -t tmpfs -o size={SMALL_DISK}m,mode=700 tmpfs "$0" && echo ready && exec cat'
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, str(state)],
        stdin=subprocess.PIPE,  # whose end it waits for, however this process ends
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stack.callback(_end, holder)
    assert holder.stdout is not None and holder.stderr is not None
    if holder.stdout.readline().strip() == "ready":
        return holder.pid, ""
    return None, f"no mount namespace of its own: {holder.stderr.read().strip()}"


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _equip(
    daemons: list[Daemon], chain: Chain, federation: Federation, store: Path | None, keys: list[str]
) -> Mapping[str, Any]:
    """Writes data and configuration of everybody; gives the plan. On anvil every other daemon's second way to the chain
    is a WebSocket, over which it hears of blocks."""
    clients = daemons[1:]
    datasets, validation = digits_partition(len(clients), 0)
    plan = plan_of(DemoSettings(clients=len(clients), rounds=100_000))
    plan["slashing"] = {"rate": SLASH_RATE}
    plan["local"] = {**plan["local"], "steps": STEPS}
    plan["optimizer"] = {**plan["optimizer"], "learning_rate": LEARNING_RATE}
    organization = daemons[0].party
    save_npz(organization.folder / "validation.npz", validation)
    for daemon, dataset in zip(clients, datasets, strict=True):
        save_npz(daemon.party.folder / "data.npz", dataset)
    for number, daemon in enumerate(daemons):
        daemon.hears = chain.anvil and number % 2 == 0  # geth has another port for that
        network: dict[str, Any] = {
            "rpc": [
                f"{scheme}://chaos:{keys[0]}@127.0.0.1:{proxy.port}{KEYED}{keys[1]}"
                for scheme, proxy in zip(("http", "ws" if daemon.hears else "http"), daemon.rpc, strict=True)
            ],
            "chain_id": federation.chain_id,
            "timeout": TIMEOUT,
            "confirmations": CONFIRMATIONS,
            "stuck_after": STUCK_AFTER,
            "max_fee_per_gas": str(MAX_FEE),
        }
        if store:
            network["store"] = str(store)
        else:
            network |= {"ipfs": [f"/ip4/127.0.0.1/tcp/{proxy.port}" for proxy in daemon.ipfs], "quorum": 1}
        common = {
            "federation": federation.address,
            "wallet": str(daemon.party.wallet),
            "passphrase_file": str(daemon.party.passphrase_file),
            "state": str(daemon.party.state),
            "poll_interval": POLL_INTERVAL,
            "metrics": f"127.0.0.1:{daemon.metrics}",
        }
        own = _organization(daemon, common, plan, len(clients)) if daemon is daemons[0] else _client(daemon, common)
        write_config(daemon.party, {"network": network, **own})
    return plan


def _organization(daemon: Daemon, common: dict[str, Any], plan: dict[str, Any], clients: int) -> dict[str, Any]:
    validation = str(daemon.party.folder / "validation.npz")
    return {
        "organization": {
            **common,
            "validation": validation,
            "publish_validation": True,
            "min_members": clients + 1,
            "longest_pause": TRAINING_PERIOD,
        },
        "round": {
            "training_period": TRAINING_PERIOD,
            "aggregation_period": AGGREGATION_PERIOD,
            "max_updates": clients + 1,
            "max_compute_ms": 60_000,
            "selection_rate": 10_000,
            "reward_rate_cap": str(RATE_CAP),
            "reward": str(REWARD),
        },
        "plan": plan,
    }


def _client(daemon: Daemon, common: dict[str, Any]) -> dict[str, Any]:
    return {
        "client": {
            **common,
            "data": str(daemon.party.folder / "data.npz"),
            "accept_public_updates": True,
            "max_stake": str(STAKE),
            "max_gas_per_day": 10**9,
            "checkpoint_interval": 1.0,
            "threads": 1,
        }
    }


def _agree(stage: Stage) -> None:
    """Every client agrees to the plan that the organization will publish."""
    plan = Plan.from_table(stage.plan)
    plan = with_published(plan, read_npz(stage.organization.party.folder / "validation.npz"), stage.storage)
    federation = stage.federation
    cid = Library(stage.storage).publish(PLAN, plan)
    agreement = Agreement(federation.chain_id, federation.address, cid, plan, federation.terms())
    for client in stage.clients:
        agree(client.state, agreement.digest(), structlog.get_logger())
