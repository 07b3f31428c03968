"""The demo: a private chain, private storage, one organization and its clients, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from web3 import Web3

from processor.artifacts.plan import Plan
from processor.artifacts.report import REPORT_LIMIT, Report
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.config import organization_template
from processor.daemons.base import journal_path
from processor.demo import settings as knobs
from processor.demo.deploy import deploy
from processor.demo.nodes import CHAIN_ID, ChainNode, Node, anvil_binary, start_anvil, start_kubo
from processor.demo.page import ClientLine, ClosingPage, Verdict
from processor.demo.processes import Party, environment, koinon, make_party, start_daemon, write_config
from processor.demo.settings import DemoSettings
from processor.demo.watch import Watch
from processor.errors import ConfigurationError, KoinonError
from processor.files import replacing
from processor.journal import Journal
from processor.learning.evaluation import accuracy
from processor.learning.tasks import Dataset, digits_partition, save_dataset
from processor.learning.trainer import train
from processor.protocol.resolve import module_of
from processor.protocol.rewards import money_of
from processor.storage import LocalStorage, Storage, open_storage, put_bytes
from processor.storage.base import get_bytes

STORAGE_TIMEOUT = 30.0


@dataclass(frozen=True)
class _Stage:
    """Everything that is up and running once the federation is created."""

    folder: Path
    chain: ChainNode
    web3: Web3
    storage: Storage
    storage_settings: dict[str, str]
    organization: Party
    clients: list[Party]
    federation: Federation
    plan: Plan
    datasets: list[Dataset]
    validation: Dataset


def run(settings: DemoSettings, say: Callable[[str], None]) -> ClosingPage:
    """Runs the demo and returns its closing page; `say` gets a line for every event.

    Whatever happens, nothing is left running, and nothing is left on disk but what `settings.keep` asks for. Raises
    KoinonError where something cannot be started or a daemon ends before its time.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_sigterm_as_interrupt())
        folder = _folder(settings, stack)
        stage = _set_the_stage(settings, folder, stack, say)
        page = _play(settings, stage, stack, say)
        if settings.keep is not None:
            _export(stage, page)
    if settings.json is not None:
        with replacing(settings.json) as file:
            file.write(json.dumps(page.as_json(), indent=2).encode() + b"\n")
    return page


def how_to_audit(settings: DemoSettings, federation: str) -> list[str]:
    """The two commands that start a kept chain again and audit it."""
    if settings.keep is None:
        return []
    kept = settings.keep.resolve()
    return [
        f"{anvil_binary()} --load-state {kept / 'chain.json'} --chain-id {CHAIN_ID} --preserve-historical-states",
        f"koinon audit {federation} --rpc http://127.0.0.1:8545 --store {kept / 'artifacts'}",
    ]


# ------------------------------------------------------------------------------------------------------- the stage


def _folder(settings: DemoSettings, stack: contextlib.ExitStack) -> Path:
    if settings.keep is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="koinon-demo-")))
    if settings.keep.exists() and any(settings.keep.iterdir()):
        raise ConfigurationError(f"--keep {settings.keep}: the folder is not empty; give a new one")
    settings.keep.mkdir(parents=True, exist_ok=True)
    settings.keep.chmod(0o700)
    return settings.keep.resolve()


def _set_the_stage(
    settings: DemoSettings, folder: Path, stack: contextlib.ExitStack, say: Callable[[str], None]
) -> _Stage:
    storage_settings = _storage_settings(settings, folder, stack, say)
    storage = open_storage(storage_settings.get("ipfs"), _path(storage_settings.get("store")), timeout=STORAGE_TIMEOUT)
    put_bytes(storage, b"koinon")  # a node that cannot be reached is better found out now
    chain = start_anvil(folder / "chain", dump_state=folder / "chain.json", block_time=knobs.BLOCK_TIME)
    stack.callback(chain.stop)
    web3 = connect(chain.rpc_url)
    organization = make_party(folder / "organization", "organization")
    clients = [make_party(folder / f"client-{number}", f"client-{number}") for number in range(1, settings.clients + 1)]
    for party in (organization, *clients):
        _set_balance(web3, party.address, knobs.BALANCE * (settings.rounds if party is organization else 1))
    federation = Federation(web3, deploy(web3, chain.rpc_url, organization, folder, say))
    say(f"federation {federation.address} on chain {federation.chain_id}")

    datasets, validation = digits_partition(settings.clients, settings.seed)
    for client, dataset in zip(clients, datasets, strict=True):
        save_dataset(client.folder / "data.npz", dataset)
    save_dataset(organization.folder / "validation.npz", validation)
    network = {"rpc": chain.rpc_url, **storage_settings, "chain_id": federation.chain_id}
    plan = _write_configs(settings, federation, network, organization, clients)
    return _Stage(
        folder=folder,
        chain=chain,
        web3=web3,
        storage=storage,
        storage_settings=storage_settings,
        organization=organization,
        clients=clients,
        federation=federation,
        plan=plan,
        datasets=datasets,
        validation=validation,
    )


def _storage_settings(
    settings: DemoSettings, folder: Path, stack: contextlib.ExitStack, say: Callable[[str], None]
) -> dict[str, str]:
    if settings.ipfs is not None and settings.store is not None:
        raise ConfigurationError("--ipfs and --store: give one of the two")
    if settings.ipfs is not None:
        say(f"storage: the IPFS node at {settings.ipfs}")
        return {"ipfs": settings.ipfs}
    if settings.store is not None:
        say(f"storage: the local directory {settings.store}")
        return {"store": str(settings.store.resolve())}
    program = shutil.which("ipfs")
    if program is None:
        say("storage: a local directory, since there is no `ipfs` program on PATH")
        return {"store": str(folder / "artifacts")}
    node = start_kubo(Path(program), folder / "kubo")
    stack.callback(node.stop)
    say(f"storage: a private IPFS node at {node.api} ({program})")
    return {"ipfs": node.api}


def _write_configs(
    settings: DemoSettings,
    federation: Federation,
    network: dict[str, Any],
    organization: Party,
    clients: list[Party],
) -> Plan:
    plan_table = plan_of(settings)
    write_config(
        organization,
        {
            "network": network,
            "organization": {
                "federation": federation.address,
                "wallet": str(organization.wallet),
                "passphrase_file": str(organization.passphrase_file),
                "state": str(organization.state),
                "validation": str(organization.folder / "validation.npz"),
                "poll_interval": knobs.POLL_INTERVAL,
                "min_members": settings.clients,
            },
            "round": {
                "training_period": knobs.TRAINING_PERIOD,
                "aggregation_period": knobs.AGGREGATION_PERIOD,
                "max_updates": settings.clients,
                "max_compute_ms": knobs.MAX_COMPUTE_MS,
                "selection_rate": 10_000,
                "reward_rate_cap": str(knobs.REWARD_RATE_CAP),
                "reward": str(knobs.REWARD),
            },
            "plan": plan_table,
        },
    )
    for client in clients:
        write_config(
            client,
            {
                "network": network,
                "client": {
                    "federation": federation.address,
                    "wallet": str(client.wallet),
                    "passphrase_file": str(client.passphrase_file),
                    "state": str(client.state),
                    "data": str(client.folder / "data.npz"),
                    "accept_public_updates": True,
                    "claim_threshold": str(knobs.CLAIM_THRESHOLD),
                    "poll_interval": knobs.POLL_INTERVAL,
                    "threads": 1,
                },
            },
        )
    return Plan.from_table(plan_table)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _set_balance(web3: Web3, address: str, wei: int) -> None:
    web3.provider.make_request("anvil_setBalance", [address, hex(wei)])  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------------------- the play


def _play(
    settings: DemoSettings, stage: _Stage, stack: contextlib.ExitStack, say: Callable[[str], None]
) -> ClosingPage:
    names = {party.address: party.name for party in stage.clients}
    watch = Watch(stage.web3, stage.federation, stage.storage, names, say)
    organization = _started(start_daemon(stage.organization, "organization", "run"), stack)
    clients = [_started(start_daemon(party, "client", "run"), stack) for party in stage.clients]
    while organization.process.poll() is None:
        watch.look()
        for party, node in zip(stage.clients, clients, strict=True):
            if node.process.poll() is not None:
                raise _ended(party, node)
        time.sleep(knobs.POLL_INTERVAL)
    if organization.process.returncode != 0:
        raise _ended(stage.organization, organization)
    for node in clients:
        node.stop()
    for party in stage.clients:
        _koinon(party, "client", "claim", "--yes")
    watch.look()
    say("every client has claimed; training the same clients alone, for comparison")
    alone = local_only_accuracy(stage.plan, settings, stage.datasets, stage.validation)
    say("auditing every round")
    return _closing_page(settings, stage, watch, alone)


def _started(node: Node, stack: contextlib.ExitStack) -> Node:
    stack.callback(node.stop)
    return node


def _ended(party: Party, node: Node) -> KoinonError:
    said = node.log.read_text(errors="replace").strip().splitlines()[-5:]
    return KoinonError(f"{party.name} ended with status {node.process.returncode}; it last said:\n" + "\n".join(said))


def _koinon(party: Party, *arguments: str) -> None:
    done = subprocess.run(
        koinon(*arguments, "--config", str(party.config)),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KoinonError(f"{party.name}: koinon {' '.join(arguments)} failed: {done.stderr.strip()}")


def local_only_accuracy(plan: Plan, settings: DemoSettings, datasets: list[Dataset], validation: Dataset) -> float:
    """The mean accuracy of the same clients, each training the initial model alone for as many steps as together."""
    reached = []
    for number, dataset in enumerate(datasets):
        module = module_of(plan)
        for round in range(settings.rounds):
            train(
                module,
                dataset,
                optimizer=plan.optimizer,
                work=plan.local,
                anchor=None,
                strength=0.0,
                seed=(settings.seed * settings.clients + number) * settings.rounds + round,
            )
        reached.append(accuracy(module, validation))
    return sum(reached) / len(reached)


def _closing_page(settings: DemoSettings, stage: _Stage, watch: Watch, alone: float) -> ClosingPage:
    federation = stage.federation
    block = federation.block()
    clients = [_client_line(stage, party, settings.rounds) for party in stage.clients]
    forfeited = 0
    for row in watch.rounds:
        view = federation.round_view(row.round, at=block)
        credited = {client.client: client.credited_ms for client in federation.updates(row.round, at=block)}
        money = money_of(view.pool, view.reward_rate_cap, view.claimed_ms, credited)
        forfeited += money.forfeited + money.rounding
    return ClosingPage(
        federation=federation.address,
        chain_id=federation.chain_id,
        rounds_wanted=settings.rounds,
        rounds=tuple(watch.rounds),
        local_only_accuracy=alone,
        clients=tuple(clients),
        pool_wei=knobs.REWARD * federation.round_count(at=block),
        paid_wei=sum(client.balance_change_wei + client.fees_wei for client in clients),
        carried_wei=federation.carried(at=block),
        forfeited_wei=forfeited,
        contract_balance_wei=federation.balance(at=block),
        audit=_audit(stage),
    )


def _client_line(stage: _Stage, party: Party, rounds: int) -> ClientLine:
    """A client's account, from its balance and from the receipts of the transactions in its journal."""
    web3, federation = stage.web3, stage.federation
    views = [federation.round_view(number, party.address).client for number in range(1, rounds + 1)]
    with Journal(journal_path(party.state), federation.chain_id, federation.address, party.address) as journal:
        hashes = [intent.tx_hash for intent in journal.intents()]
    receipts = [web3.eth.get_transaction_receipt(tx_hash) for tx_hash in hashes]  # type: ignore[arg-type]
    return ClientLine(
        address=party.address,
        compute_ms=sum(view.compute_ms for view in views),
        credited_ms=sum(view.credited_ms for view in views),
        reward_wei=sum(view.reward for view in views if view.claimed),
        balance_change_wei=web3.eth.get_balance(Web3.to_checksum_address(party.address)) - knobs.BALANCE,
        fees_wei=sum(receipt["gasUsed"] * receipt["effectiveGasPrice"] for receipt in receipts),
    )


def _audit(stage: _Stage) -> Verdict:
    """What an auditor sees who has the federation's address, and nothing of what the demo knows."""
    arguments = ["audit", stage.federation.address, "--rpc", stage.chain.rpc_url, "--json"]
    for name, value in stage.storage_settings.items():
        arguments += [f"--{name}", value]
    command = koinon(*arguments)
    done = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        said = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise KoinonError(f"the audit failed: {done.stderr.decode(errors='replace').strip()}") from None
    violations = [f"round {row['round']}: {row['subject']}" for row in said["violations"]]
    return Verdict(said["ok"] and done.returncode == 0, said["checks"], violations)


# ----------------------------------------------------------------------------------------------------- what is kept


def _export(stage: _Stage, page: ClosingPage) -> None:
    """Copies every artifact out of IPFS, so that the audit of what is kept needs no node."""
    store = LocalStorage(stage.folder / "artifacts")
    with tempfile.TemporaryDirectory(dir=stage.folder) as folder:
        path = Path(folder) / "artifact"
        for cid in _artifacts(stage, page):
            stage.storage.get(cid, path, limit=1 << 40)
            store.put(path)
            path.unlink()


def _artifacts(stage: _Stage, page: ClosingPage) -> set[str]:
    wanted: set[str] = set()
    for row in page.rounds:
        view = stage.federation.round_view(row.round)
        report_cid = view.released.report or ""
        report = Report.decode(get_bytes(stage.storage, report_cid, REPORT_LIMIT))
        wanted |= {row.base_model, row.model, report_cid, report.plan, report.server_state}
        wanted |= {update.update for update in report.updates}
    return wanted


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: cleaning up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def plan_of(settings: DemoSettings) -> dict[str, Any]:
    """The plan of the organization's template, with the demo's seed and number of rounds."""
    plan: dict[str, Any] = tomllib.loads(organization_template())["plan"]
    plan["initialization_seed"] = settings.seed
    plan["stopping"] = {**plan["stopping"], "min_rounds": settings.rounds, "max_rounds": settings.rounds}
    return plan
