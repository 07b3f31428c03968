"""Daemons as those who run them for weeks meet them: checked first, run once, only in words, watched, and ended."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from eth_account.signers.local import LocalAccount
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from processor import keystore
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.daemons.base import journal_path
from processor.daemons.funds_watch import FundsWatch
from processor.data.digits import digits_partition
from processor.data.npz import save_npz
from processor.demo.nodes import CHAIN_ID, CHECKOUT
from processor.demo.processes import environment, koinon
from processor.demo.settings import DemoSettings
from processor.demo.stage import plan_of
from processor.errors import Interrupted
from processor.files import locked
from processor.metrics import Metrics
from processor.protocol.jobs.worker import Progress
from processor.types import Phase
from tests.integration.command_line import FAST, PASSPHRASE, all_fail, fails, run, succeeds, write
from tests.integration.local_federation import LocalFederation
from tests.integration.parties import create_federation, wallet
from tests.nodes import ChainNode, find_program, free_port, start_anvil, start_kubo

NO_NODE = "http://127.0.0.1:1/v3/SECRETKEY"
PATIENCE = 90.0


@dataclass(frozen=True)
class Someone:
    """A party with a wallet and a configuration; `state` is where its daemon would keep what it remembers."""

    address: str
    config: Path
    state: Path


@dataclass(frozen=True)
class World:
    """A federation that waits for one client, whose daemons have not run yet."""

    folder: Path
    rpc: str
    federation: Federation
    organization: Someone
    client: Someone

    def changed(self, party: Someone, **tables: dict[str, Any]) -> Path:
        """The party's configuration in a file of its own, with other values in some tables; None takes one away."""
        settings = tomllib.loads(party.config.read_text())
        for table, values in tables.items():
            settings[table] = {k: v for k, v in {**settings[table], **values}.items() if v is not None}
        path = self.folder / f"changed-{time.monotonic_ns()}.toml"
        return write(path, settings)

    def set_balance(self, party: Someone, wei: int) -> None:
        self.federation.web3.provider.make_request("anvil_setBalance", [party.address, hex(wei)])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainNode]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node


@pytest.fixture
def world(anvil: ChainNode, tmp_path: Path) -> World:
    web3 = connect(anvil.rpc_url)
    organization, client = (wallet(web3, f"{name} of {tmp_path.name}") for name in ("organization", "client"))
    federation = create_federation(web3, Sender(web3, organization))
    [share], validation = digits_partition(1, seed=0)
    save_npz(tmp_path / "data.npz", share)
    save_npz(tmp_path / "validation.npz", validation)
    network = {"rpc": anvil.rpc_url, "store": str(tmp_path / "store"), "chain_id": CHAIN_ID}
    plan = plan_of(DemoSettings(clients=1, rounds=1))
    rounds = {
        **{"training_period": 120, "aggregation_period": 120, "max_updates": 1, "max_compute_ms": 60_000},
        **{"reward_rate_cap": str(10**16), "reward": str(60 * 10**16)},
    }
    return World(
        folder=tmp_path,
        rpc=anvil.rpc_url,
        federation=federation,
        organization=_someone(
            organization,
            tmp_path / "organization",
            {
                "network": network,
                "organization": {"federation": federation.address, "validation": str(tmp_path / "validation.npz")},
                "round": rounds,
                "plan": plan,
            },
        ),
        client=_someone(
            client,
            tmp_path / "client",
            {
                "network": network,
                "client": {
                    **{"federation": federation.address, "data": str(tmp_path / "data.npz")},
                    **{"accept_public_updates": True, "threads": 1},
                },
            },
        ),
    )


def _someone(account: LocalAccount, folder: Path, settings: dict[str, dict[str, Any]]) -> Someone:
    keystore.import_key(folder / "keys", account.key.hex(), PASSPHRASE, iterations=FAST)
    keystore.write_private(folder / "passphrase", PASSPHRASE.encode())
    settings[folder.name] |= {
        "wallet": str(keystore.list_wallets(folder / "keys")[0].path),
        "passphrase_file": str(folder / "passphrase"),
        "state": str(folder / "state"),
        "poll_interval": 0.2,
    }
    return Someone(account.address, write(folder / "settings.toml", settings), folder / "state")


def checked(config: Path, folder: Path, **variables: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """The exit status of a check, and what it says of each thing."""
    result = run("check", "--config", config, "--json", folder=folder, **variables)
    found = json.loads(result.stdout)
    assert found["ok"] == (result.returncode == 0), result.stderr
    said: dict[str, list[tuple[str, str]]] = {}
    for each in found["checks"]:
        said.setdefault(each["check"], []).append((each["status"], each["words"]))
    return result.returncode, said


def statuses(said: dict[str, list[tuple[str, str]]]) -> dict[str, set[str]]:
    return {check: {status for status, _ in results} for check, results in said.items()}


# ----------------------------------------------------------------------------------------------------- koinon check


def test_a_check_of_an_organization_whose_things_are_in_order_finds_all_well(world: World) -> None:
    status, said = checked(world.organization.config, world.folder)
    assert status == 0
    assert statuses(said) == {
        name: {"ok"}
        for name in (
            *("node", "chain", "contract", "store", "key", "balance"),
            *("asset", "pool", "clock", "plan", "model", "data", "disk"),
        )
    }
    assert not world.organization.state.exists()
    assert "0 samples" not in str(said["data"]) and "digits" in str(said["data"])


def test_a_check_of_a_client_leaves_open_what_the_organization_has_not_published(world: World) -> None:
    status, said = checked(world.client.config, world.folder)
    assert status == 0
    found = statuses(said)
    assert found["plan"] == {"warning"} and found["model"] == found["limits"] == found["consent"] == {"skipped"}
    assert {found[name] == {"ok"} for name in ("node", "contract", "store", "key", "balance", "asset")} == {True}
    text = succeeds("check", "--config", world.client.config, folder=world.folder)
    assert len(text.splitlines()) == sum(map(len, said.values()))


def test_a_check_goes_through_the_plan_once_there_is_one_and_asks_for_consent(world: World) -> None:
    succeeds("organization", "run", "--once", "--config", world.organization.config, folder=world.folder)
    status, said = checked(world.client.config, world.folder)
    found = statuses(said)
    assert found["plan"] == found["model"] == {"ok"} and "digits" in str(said["data"])
    assert status == 1 and found["consent"] == {"failed"} and "koinon client join" in str(said["consent"])
    digest = json.loads(
        succeeds(
            *("client", "join", world.federation.address, "--dry-run", "--json"),
            *("--config", world.client.config),
            folder=world.folder,
        )
    )["digest"]
    succeeds(
        *("client", "join", world.federation.address, "--accept", digest, "--config", world.client.config),
        folder=world.folder,
    )
    status, said = checked(world.client.config, world.folder)
    assert (status, statuses(said)["consent"], statuses(said)["limits"]) == (0, {"ok"}, {"ok"})


def test_a_check_says_which_of_the_clients_own_settings_refuse_the_rounds(world: World) -> None:
    succeeds("client", "run", "--once", "--config", world.client.config, folder=world.folder)  # registers
    succeeds("organization", "run", "--once", "--config", world.organization.config, folder=world.folder)
    status, said = checked(world.changed(world.client, client={"accept_public_updates": None}), world.folder)
    ((found, words),) = said["limits"]
    assert status == 1 and found == "failed" and "set accept_public_updates = true" in words
    _, said = checked(world.changed(world.client, client={"minimum_reward": str(10**21)}), world.folder)
    ((found, words),) = said["limits"]
    assert found == "warning" and "minimum_reward of 1000 ETH" in words


def test_a_check_names_everything_that_is_broken_at_once(world: World) -> None:
    data = world.folder / "no-data.npz"
    data.write_bytes(b"nothing")
    passphrase = world.folder / "wrong"
    passphrase.write_text("wrong")
    passphrase.chmod(0o600)
    (world.folder / "a-file").write_text("in the way of a store")
    succeeds("organization", "run", "--once", "--config", world.organization.config, folder=world.folder)
    rpc = [NO_NODE, world.rpc]
    config = world.changed(
        world.client,
        network={"rpc": rpc, "store": str(world.folder / "a-file" / "store"), "timeout": 2},
        client={"passphrase_file": str(passphrase), "data": str(data)},
    )
    world.set_balance(world.client, 1)
    result = run("check", "--config", config, folder=world.folder)
    lines = {" ".join(line.split()[:2]) for line in result.stdout.splitlines()}
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert {"node FAILED", "node ok", "contract ok", "store FAILED", "key FAILED", "balance FAILED"} <= lines
    assert {"plan FAILED", "disk ok"} <= lines
    assert "SECRETKEY" not in result.stdout + result.stderr
    config = world.changed(world.client, client={"data": str(data)})
    assert statuses(checked(config, world.folder)[1])["data"] == {"failed"}


def test_a_check_without_a_chain_still_checks_the_rest(world: World) -> None:
    config = world.changed(world.client, network={"rpc": NO_NODE, "timeout": 2})
    status, said = checked(config, world.folder)
    found = statuses(said)
    assert status == 1 and found["node"] == {"failed"} and found["key"] == found["store"] == {"ok"}
    assert found["chain"] == found["balance"] == found["clock"] == {"skipped"}


def test_a_check_finds_another_chain_contract_and_factory(world: World) -> None:
    _, said = checked(world.changed(world.client, network={"chain_id": 5}), world.folder)
    assert statuses(said)["chain"] == {"failed"} and "31337" in str(said["chain"])
    _, said = checked(world.changed(world.client, client={"federation": world.client.address}), world.folder)
    assert statuses(said)["contract"] == {"failed"}
    _, said = checked(world.changed(world.client, client={"factory": world.federation.address}), world.folder)
    assert statuses(said)["contract"] == {"failed"}


def test_a_check_asks_for_no_passphrase_and_says_that_a_daemon_would(world: World) -> None:
    _, said = checked(world.changed(world.client, client={"passphrase_file": None}), world.folder)
    assert statuses(said)["key"] == {"warning"}


def test_a_check_tries_every_ipfs_node(world: World) -> None:
    with start_kubo(find_program("ipfs"), world.folder / "kubo") as node:
        ipfs = [node.api, "/ip4/127.0.0.1/tcp/1"]
        config = world.changed(world.client, network={"store": None, "ipfs": ipfs, "timeout": 2})
        status, said = checked(config, world.folder)
        assert status == 1 and [each for each, _ in said["ipfs"]] == ["ok", "failed"]


def test_a_check_reads_no_more_from_a_gateway_than_the_client_would(world: World) -> None:
    succeeds("organization", "run", "--once", "--config", world.organization.config, folder=world.folder)
    model = world.folder / "store" / (world.federation.latest_release().model or "")
    with serving({f"/ipfs/{model.name}": model.read_bytes()}) as gateway:
        network = {"gateways": [gateway], "store": None}
        _, said = checked(world.changed(world.client, network=network), world.folder)
        assert statuses(said)["gateway"] == {"ok"}
        limited = world.changed(world.client, network=network, client={"max_bytes": 1000})
        _, said = checked(limited, world.folder)
    ((status, words),) = said["gateway"]
    assert status == "failed" and "expected at most 1000: it is not read" in words


@contextmanager
def serving(pages: dict[str, bytes]) -> Iterator[str]:
    """A gateway with these pages and no others."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# ----------------------------------------------------------------------------------------------------------- once


def test_once_does_what_there_is_to_do_and_ends(world: World) -> None:
    client = ["client", "run", "--once", "--config", str(world.client.config)]
    organization = ["organization", "run", "--once", "--config", str(world.organization.config)]
    federation, me = world.federation, world.client.address
    succeeds(*client, folder=world.folder)
    assert federation.round_view(me).client.member
    succeeds(*organization, folder=world.folder)
    assert federation.round_view().phase is Phase.TRAINING
    assert federation.round_view(me).client.selected
    succeeds(*client, folder=world.folder)  # it has not agreed to the plan: nothing to do


def test_once_ends_with_status_1_and_the_reason_at_the_first_trouble(world: World) -> None:
    store = world.folder / "a-file"
    store.write_text("in the way")
    config = world.changed(world.organization, network={"store": str(store / "store")})
    result = run("organization", "run", "--once", "--config", config, folder=world.folder)
    assert result.returncode == 1 and "koinon: " in result.stderr and "Traceback" not in result.stderr


# -------------------------------------------------------------------------------------------------------- dry run


def test_a_dry_run_says_what_it_would_send_and_pay_and_changes_nothing(world: World) -> None:
    before = world.federation.block()
    config = world.changed(world.client, client={"passphrase_file": None})
    said = succeeds("client", "run", "--dry-run", "--config", config, folder=world.folder)
    assert "would register" in said and "ETH at most" in said and world.client.address in said
    config = world.changed(world.organization, organization={"passphrase_file": None})
    said = succeeds("organization", "run", "--dry-run", "--config", config, folder=world.folder)
    assert "would set the initial model" in said
    assert world.federation.block() == before
    assert not world.client.state.exists() and not world.organization.state.exists()


def test_a_dry_run_knows_what_the_daemon_knows_and_publishes_nothing(world: World) -> None:
    succeeds("client", "run", "--once", "--config", world.client.config, folder=world.folder)
    (world.folder / "store").mkdir(exist_ok=True)
    artifacts = sorted(path.name for path in (world.folder / "store").iterdir())
    said = succeeds("organization", "run", "--dry-run", "--config", world.organization.config, folder=world.folder)
    assert "would set the initial model" in said
    assert sorted(path.name for path in (world.folder / "store").iterdir()) == artifacts
    succeeds("organization", "run", "--once", "--config", world.organization.config, folder=world.folder)
    before = {path: path.read_bytes() for path in world.client.state.rglob("*") if path.is_file()}
    said = succeeds("client", "run", "--dry-run", "--config", world.client.config, folder=world.folder)
    assert "has nothing to do now: round 1 refused: you have not agreed" in said
    assert {path: path.read_bytes() for path in world.client.state.rglob("*") if path.is_file()} == before


def test_a_dry_run_needs_no_wallet_where_an_address_is_given(world: World) -> None:
    config = world.changed(world.client, client={"wallet": None, "passphrase_file": None, "state": None})
    said = succeeds(
        *("client", "run", "--dry-run", "--address", world.client.address, "--config", config), folder=world.folder
    )
    assert f"{world.client.address} in the federation" in said and "would register" in said


def test_a_run_without_a_key_and_options_that_do_not_go_together_are_mistakes(world: World) -> None:
    keyless = world.changed(world.client, client={"passphrase_file": None})
    no_key, address, both = all_fail(
        ["client", "run", "--config", keyless],
        ["client", "run", "--address", world.client.address, "--config", keyless],
        ["client", "run", "--once", "--dry-run", "--config", keyless],
        folder=world.folder,
    )
    assert "no passphrase" in no_key
    assert "--address goes with --dry-run" in address
    assert "give one of them" in both
    assert not world.client.state.exists()


def test_a_dry_run_works_beside_the_daemon(world: World) -> None:
    with locked(world.client.state / "lock") as mine:
        assert mine
        assert "would register" in succeeds(
            "client", "run", "--dry-run", "--config", world.client.config, folder=world.folder
        )
    assert not journal_path(world.client.state).exists()


# -------------------------------------------------------------------------------------------- metrics, health, end


def ask(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def samples(port: int) -> dict[str, float]:
    families = text_string_to_metric_families(ask(port, "/metrics")[1])
    return {sample.name + "".join(sample.labels.values()): sample.value for each in families for sample in each.samples}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_shows_its_metrics_and_health_and_ends_well_when_it_is_asked_to(
    world: World, number: signal.Signals
) -> None:
    port = free_port()
    config = world.changed(world.client, client={"metrics": f"127.0.0.1:{port}"})
    log = world.folder / "daemon.jsonl"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            koinon("client", "run", "--config", str(config)),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        found: dict[str, float] = {}
        while not found.get("koinon_cycles_totalwaited"):
            assert daemon.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
            try:
                found = samples(port)
            except (TimeoutError, ConnectionRefusedError):
                continue
        status, words = ask(port, "/healthz")
        assert status == 200 and words.startswith("ok")
        assert found["koinon_cycles_totalregister"] == 1 and found["koinon_head_block"] > 0
        assert found["koinon_balance_wei"] > 10**18 and found["koinon_balance_low"] == 0
        daemon.send_signal(number)
        assert daemon.wait(PATIENCE) == 0
    finally:
        daemon.kill()
        daemon.wait()
    assert all(json.loads(line)["level"] in ("info", "debug") for line in log.read_text().splitlines()), log.read_text()


class Busy:
    """A worker that is never done. Its daemon is asked to stop while it is at work."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self.ended: list[str] = []

    def warm(self) -> None:
        pass

    def begin(self, folder: Path) -> None:
        self._stopping.set()

    def look(self, folder: Path) -> Progress | None:
        return Progress() if self._stopping.is_set() else None

    def end(self, folder: Path) -> None:
        self.ended.append(folder.name)


def test_an_organization_that_is_asked_to_stop_while_models_are_measured_does_so_and_finalizes_once_it_is_back(
    anvil: ChainNode, tmp_path: Path
) -> None:
    played = LocalFederation(connect(anvil.rpc_url), tmp_path, clients_wanted=1, rounds_wanted=1)
    played.register()
    played.open_round()
    played.train_and_submit()
    organization = played.organization
    organization.worker = busy = Busy(organization.stopping)
    with pytest.raises(Interrupted, match="stopped at the job in evaluate"):
        organization.cycle()
    assert busy.ended == ["evaluate"]
    assert played.federation.round_view().phase is Phase.AGGREGATING
    played.organization = played.restarted_organization()
    played.finalize()
    assert played.federation.round_view().phase is Phase.FINALIZED


def test_trouble_after_the_start_is_counted_and_ends_no_daemon(world: World) -> None:
    """The node goes away: cycles end in trouble, which is waited out, and SIGTERM still ends the daemon well."""
    port, proxy = free_port(), free_port()
    node = int(world.rpc.rsplit(":", 1)[1])
    with subprocess.Popen(
        ["python3", "-c", FORWARD, str(proxy), str(node)], stdin=subprocess.DEVNULL, start_new_session=True
    ) as forward:
        wait_for(proxy)
        config = world.changed(
            world.client,
            network={"rpc": f"http://127.0.0.1:{proxy}", "timeout": 2},
            client={"metrics": f"127.0.0.1:{port}"},
        )
        log = world.folder / "daemon.jsonl"
        with log.open("wb") as output:
            daemon = subprocess.Popen(
                koinon("client", "run", "--config", str(config)),
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            until(lambda: samples(port).get("koinon_cycles_totalwaited", 0) > 0, daemon, log)
            os.killpg(forward.pid, signal.SIGKILL)
            until(lambda: samples(port).get("koinon_cycles_totaltrouble", 0) > 0, daemon, log)
            found = samples(port)
            assert found["koinon_last_cycle_timestamp_seconds"] > found["koinon_last_success_timestamp_seconds"]
            daemon.terminate()
            assert daemon.wait(PATIENCE) == 0
        finally:
            daemon.kill()
            daemon.wait()


@pytest.mark.parametrize("role", ["client", "organization"])
def test_a_daemon_that_is_started_before_its_node_waits_for_it(world: World, role: str) -> None:
    proxy, party = free_port(), world.client if role == "client" else world.organization
    config = world.changed(party, network={"rpc": f"http://127.0.0.1:{proxy}", "timeout": 2})
    log = world.folder / "daemon.jsonl"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            koinon(role, "run", "--config", str(config)),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: log.read_text().count("cannot start yet: cannot reach an Ethereum node") > 1, daemon, log)
        node = world.rpc.rsplit(":", 1)[1]
        with subprocess.Popen(["python3", "-c", FORWARD, str(proxy), node], stdin=subprocess.DEVNULL) as forward:
            try:
                until(lambda: '"waiting"' in log.read_text(), daemon, log)
                daemon.terminate()
                assert daemon.wait(PATIENCE) == 0
            finally:
                forward.kill()
    finally:
        daemon.kill()
        daemon.wait()
    said = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert said.index("trouble") < said.index("started") < said.index("waiting")


def test_a_daemon_that_waits_for_its_node_ends_well_when_it_is_asked_to(world: World) -> None:
    log = world.folder / "daemon.jsonl"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            koinon("client", "run", "--config", str(world.changed(world.client, network={"rpc": NO_NODE}))),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "cannot start yet" in log.read_text(), daemon, log)
        daemon.terminate()
        assert daemon.wait(PATIENCE) == 0
    finally:
        daemon.kill()
        daemon.wait()


def test_a_start_that_waiting_cannot_help_ends_at_once_and_so_does_one_of_once(world: World) -> None:
    client = world.client
    chain, empty, other, once, dry = all_fail(
        ["client", "run", "--config", world.changed(client, network={"chain_id": 5})],
        ["client", "run", "--config", world.changed(client, client={"federation": client.address})],
        ["client", "run", "--config", world.changed(client, client={"factory": world.federation.address})],
        ["client", "run", "--once", "--config", world.changed(client, network={"rpc": NO_NODE})],
        ["client", "run", "--dry-run", "--config", world.changed(client, network={"rpc": NO_NODE})],
        folder=world.folder,
    )
    assert "is on chain 31337; chain 5 was expected" in chain
    assert "there is no contract" in empty
    assert world.federation.address in other
    assert "cannot reach an Ethereum node" in once and "cannot reach an Ethereum node" in dry


def test_a_port_that_is_taken_ends_the_daemon_at_the_start_with_the_reason(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = world.changed(world.client, client={"metrics": f"127.0.0.1:{port}"})
        assert f"metrics cannot be served at 127.0.0.1:{port}" in fails(
            "client", "run", "--config", config, folder=world.folder
        )


def test_a_low_balance_is_warned_of_ahead_of_need(world: World) -> None:
    world.set_balance(world.client, 10**15)
    result = run("client", "run", "--once", "--config", world.client.config, folder=world.folder)
    said = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.returncode == 0, result.stderr
    [low] = [line for line in said if line["event"] == "low balance"]
    assert low["level"] == "warning" and "0.001 ETH" in low["warning"]


class Ticks:
    """Seconds that pass only when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_low_balance_is_said_once_each_time_it_gets_low_and_looked_at_now_and_then(world: World) -> None:
    metrics, ticks = Metrics(), Ticks()
    gas, enough = 150_000, 10**18
    watch = FundsWatch(world.federation, world.client.address, gas, 0, metrics, structlog.get_logger(), ticks=ticks)
    cycle = watch.before(lambda: "done")
    shown = []
    with capture_logs() as logs:
        for wei, passed in ((enough, 0), (5, 60), (5, 60), (enough, 30), (enough, 30), (4, 60)):
            world.set_balance(world.client, wei)
            ticks.now += passed
            assert cycle() == cycle() == "done"
            shown.append(metrics.registry.get_sample_value("koinon_balance_wei"))
    assert [entry["event"] for entry in logs] == ["low balance", "balance is enough again", "low balance"]
    assert shown == [enough, 5, 5, 5, enough, 4]
    assert metrics.registry.get_sample_value("koinon_balance_low") == 1
    assert (metrics.registry.get_sample_value("koinon_balance_needed_wei") or 0) > 10 * gas


FORWARD = """
import socket, sys, threading
def copy(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    finally:
        a.close(); b.close()
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    near, _ = server.accept()
    far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""


def wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def until(condition: Any, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert daemon.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            if condition():
                return
        except (TimeoutError, ConnectionRefusedError):
            pass
        time.sleep(0.1)


# ------------------------------------------------------------------------------------------------------ examples


def test_the_stage_of_the_containers_is_set_once_and_everybody_on_it_is_ready(anvil: ChainNode, tmp_path: Path) -> None:
    with start_kubo(find_program("ipfs"), tmp_path / "kubo") as node:
        ipfs = f"/dns/localhost/tcp/{node.api.rsplit('/', 1)[1]}"
        command = [
            sys.executable,
            str(CHECKOUT / "examples" / "stage.py"),
            str(tmp_path),
            anvil.rpc_url,
            ipfs,
            "1",
            "1",
        ]
        first, second = (
            subprocess.run(
                command, cwd=CHECKOUT, env=environment(), capture_output=True, text=True, timeout=300, check=False
            )
            for _ in range(2)
        )
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert "federation 0x" in first.stdout and second.stdout == "the federation is set up already\n"
        for name, status in (("client-1/client", "warning"), ("organization/organization", "ok")):
            code, said = checked(tmp_path / f"{name}.toml", tmp_path)
            assert code == 0 and statuses(said)["plan"] == {status} and statuses(said)["ipfs"] == {"ok"}
        assert (tmp_path / "client-1" / "state" / "consent.json").exists()
