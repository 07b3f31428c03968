"""The command line as its users meet it: the real program, a real chain, and the mistakes that people make."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from processor import keystore
from processor.chain.provider import connect
from processor.cid import cid_of_file
from processor.config import client_template
from processor.daemons.base import journal_path
from processor.daemons.consents import agree
from processor.demo.nodes import CHECKOUT
from processor.demo.processes import environment, koinon
from processor.journal import Journal
from processor.types import ZERO_ADDRESS
from tests.integration.command_line import (
    FAST,
    PASSPHRASE,
    all_fail,
    at_a_terminal,
    fails,
    run,
    succeeds,
    together,
    write,
)
from tests.integration.local_federation import LOG, LocalFederation
from tests.nodes import free_port, start_anvil

NOWHERE = "0x000000000000000000000000000000000000dEaD"
NO_NODE = "http://127.0.0.1:1"


@dataclass(frozen=True)
class World:
    """A federation of two clients after its only round, whose rewards nobody has claimed."""

    rpc: str
    local: LocalFederation
    folder: Path

    @property
    def address(self) -> str:
        return self.local.federation.address

    @property
    def store(self) -> Path:
        return self.local.folder / "store"

    @property
    def model(self) -> str:
        return str(self.local.federation.latest_release().model)

    def reads(self, store: Path | None = None) -> list[str]:
        """The options of a command that only reads."""
        return ["--rpc", self.rpc, "--store", str(store or self.store)]

    def member(self, number: int) -> dict[str, Any]:
        """What a client needs to look at its membership, claim and leave: no storage, and no data."""
        folder = self.folder / f"client-{number}"
        return {
            "network": {"rpc": self.rpc, "chain_id": 31337},
            "client": {
                "federation": self.address,
                "wallet": str(keystore.list_wallets(folder)[0].path),
                "passphrase_file": str(folder / "passphrase"),
                "state": str(folder / "state"),
            },
        }

    def organization(self, **changes: Any) -> dict[str, Any]:
        """What the organization's daemon needs; `changes` are of its own table."""
        folder = self.folder / "organization"
        settings: dict[str, Any] = self.local.organization.settings.plan  # type: ignore[assignment]
        return {
            "network": {"rpc": self.rpc, "store": str(self.store)},
            "organization": {
                "federation": self.address,
                "wallet": str(keystore.list_wallets(folder)[0].path),
                "passphrase_file": str(folder / "passphrase"),
                "state": str(folder / "state"),
                "validation": str(self.local.folder / "validation.npz"),
                **changes,
            },
            "round": {
                "training_period": 600,
                "aggregation_period": 600,
                "max_updates": 2,
                "max_compute_ms": 60_000,
                "reward_rate_cap": "1",
                "reward": "1",
            },
            "plan": dict(settings),
        }

    def set_balance(self, number: int, wei: int) -> None:
        account = self.local.accounts[number + 1].address
        self.local.web3.provider.make_request("anvil_setBalance", [account, hex(wei)])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with start_anvil(folder / "anvil") as node:
        local = LocalFederation(connect(node.rpc_url), folder / "federation", clients_wanted=2, rounds_wanted=1)
        local.register()
        local.open_round()
        local.train_and_submit()
        local.finalize()
        for name, account in zip(["organization", "client-0", "client-1"], local.accounts, strict=False):
            keystore.import_key(folder / name, account.key.hex(), PASSPHRASE, iterations=FAST)
            keystore.write_private(folder / name / "passphrase", PASSPHRASE.encode())
        yield World(node.rpc_url, local, folder)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# ------------------------------------------------------------------------------------------------------- start-up


def test_a_command_that_trains_nothing_does_not_wait_for_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", *koinon("status", NOWHERE, "--rpc", NO_NODE)[1:]]
    result = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert imported > {"processor.cli.status", "processor.cli.wallet", "processor.cli.audit"}
    assert not imported & {"torch", "sklearn", "scipy"}


# --------------------------------------------------------------------------------------------------------- reading


def test_status_says_where_a_federation_stands(world: World, tmp_path: Path) -> None:
    command = ["status", world.address, "--rpc", world.rpc]
    text, as_json = (result.stdout for result in together(command, [*command, "--json"], folder=tmp_path))
    found = json.loads(as_json)
    assert found["round"]["phase"] == "finalized" and found["round"]["updates"] == 2
    assert found["model"] == world.model and found["model"] in text
    amounts = {**found, **found["round"]}
    for name in ("stake", "carried", "pool", "reward_rate_cap", "guaranteed_rate"):
        assert re.fullmatch(r"\d+", amounts[name])
    assert found["asset"] == {"address": ZERO_ADDRESS, "symbol": "ETH", "decimals": 18}
    assert (found["admission"], found["audit_policy"], found["operator"]) == ("open", "open", None)
    for label in (
        "operator",
        "admission",
        "training ends",
        "aggregation ends",
        "updates",
        "pool",
        "guaranteed",
        "1, finalized",
    ):
        assert label in text


def test_a_model_is_used_and_its_federation_read_by_the_lines_of_the_readme(world: World, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    found = json.loads(
        succeeds("model", "get", world.address, *world.reads(), "--out", out.name, "--json", folder=tmp_path)
    )
    assert (found["round"], found["model"], found["file"]) == (1, world.model, out.name)
    block, reading = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)
    assert len(list(filter(None, block.splitlines()))) == 3
    reading = reading.replace('"RPC"', repr(world.rpc)).replace('"FEDERATION"', repr(world.address))
    script = (
        "import torch\n"
        "from processor.data.digits import digits_partition\n"
        "_, validation = digits_partition(2, 0)\n"
        "features, labels = map(torch.from_numpy, (validation.features, validation.labels))\n"
        f"{block}\n"
        "print((model(features).argmax(dim=1) == labels).double().mean().item())\n"
        f"{reading}\n"
    )
    used = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert used.returncode == 0, used.stderr
    *predicted, accuracy, read = used.stdout.splitlines()
    assert predicted[0].startswith("tensor([") and read.endswith(world.model)
    assert float(accuracy) == pytest.approx(found["metric"])


def test_models_are_listed_from_the_initial_one_and_come_with_the_line_that_loads_them(
    world: World, tmp_path: Path
) -> None:
    listed, fetched = together(
        ["model", "list", world.address, *world.reads(), "--json"],
        ["model", "get", world.address, "--round", "0", *world.reads(), "--out", "initial"],
        folder=tmp_path,
    )
    initial, last = json.loads(listed.stdout)
    assert (initial["round"], initial["report"]) == (0, None)
    assert (last["round"], last["model"]) == (1, world.model)
    assert initial["model"] == cid_of_file(tmp_path / "initial")
    assert "from koinon import load_model\n" in fetched.stdout
    assert "load_model('initial', 'mlp', hidden=[400], inputs=64, outputs=10)" in fetched.stdout


def test_an_existing_file_is_left_as_it_is_and_one_that_cannot_be_written_is_said(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    get = ["model", "get", world.address, *world.reads(), "--out"]
    there, nowhere = all_fail([*get, "mine"], [*get, "nowhere/model"], folder=tmp_path)
    assert "mine exists already: it is left as it is" in there
    assert "nowhere/model cannot be written" in nowhere
    assert (tmp_path / "mine").read_text() == "precious"


# ------------------------------------------------------------------------------------------------ the auditor's view


def test_the_audit_of_an_honest_federation_is_silent_but_for_its_verdict(world: World, tmp_path: Path) -> None:
    result = run("audit", world.address, *world.reads(), "--json", folder=tmp_path)
    found = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert found["ok"] and found["violations"] == [] and found["checks"] > 20
    [row] = found["rounds"]
    assert row["recomputed"] and row["pool"] == str(world.local.federation.round_view().pool)


def test_a_damaged_artifact_is_a_violation_with_what_was_expected_and_found(world: World, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(world.store, store)
    flip_a_byte(store / world.model)
    command = ["audit", world.address, *world.reads(store)]
    text, result = together(command, [*command, "--json"], folder=tmp_path)
    found = json.loads(result.stdout)
    assert text.returncode == result.returncode == 1
    assert text.stderr == result.stderr == ""
    assert not found["ok"]
    [violation] = found["violations"]
    assert violation["round"] == 1 and violation["subject"] == f"model {world.model}"
    assert violation["expected"] and "hash to" in violation["found"]
    assert f"VIOLATION round 1: model {world.model}: expected {violation['expected']}, found" in text.stdout


def test_a_model_that_is_damaged_or_not_there_is_refused_and_no_file_is_left(world: World, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(world.store, store)
    flip_a_byte(store / world.model)
    get = ["model", "get", world.address, *world.reads(store), "--out"]
    damaged, unknown = all_fail([*get, "damaged"], [*get, "unknown", "--round", "7"], folder=tmp_path)
    assert world.model in damaged and "damaged or forged" in damaged
    assert "round 7 released no model; these rounds did: 0, 1" in unknown
    assert list(tmp_path.iterdir()) == [store]


def test_a_storage_that_is_not_there_is_no_verdict_about_the_federation(world: World, tmp_path: Path) -> None:
    ipfs = f"/ip4/127.0.0.1/tcp/{free_port()}"
    unreachable, mistyped = all_fail(
        ["audit", world.address, "--rpc", world.rpc, "--ipfs", ipfs],
        ["audit", world.address, *world.reads(tmp_path / "typo")],
        folder=tmp_path,
    )
    assert f"no IPFS node answers at {ipfs}: start one with `ipfs daemon`" in unreachable
    assert "there is no directory" in mistyped and "typo" in mistyped
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------------------------- the node and its chain


class WebSite(http.server.BaseHTTPRequestHandler):
    """Answers as a site does that is no node."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def test_a_server_that_is_no_node_is_said(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), WebSite) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        said = fails("status", NOWHERE, "--rpc", f"{url}/secret-key", folder=tmp_path)
        server.shutdown()
    assert f"{url} answers, but not as an Ethereum node does" in said
    assert "secret-key" not in said


def test_what_is_no_federation_on_the_expected_chain_is_said(world: World, tmp_path: Path) -> None:
    eth = world.local.web3.eth
    receipt = eth.get_transaction_receipt(eth.get_block(1)["transactions"][0])  # type: ignore[arg-type]
    addresses = [NOWHERE, str(receipt["contractAddress"]), "0x1234"]
    file = write(tmp_path / "koinon.toml", {"network": {"rpc": world.rpc, "chain_id": 1}})
    empty, factory, malformed, elsewhere = all_fail(
        *(["status", address, "--rpc", world.rpc] for address in addresses),
        ["status", world.address, "--config", file],
        folder=tmp_path,
    )
    assert f"there is no contract at {NOWHERE} on chain 31337" in empty
    assert "is not a Koinon federation: check the address" in factory
    assert "0x1234" in malformed
    assert "is on chain 31337; chain 1 was expected" in elsewhere


# ------------------------------------------------------------------------------------------------------ configuration


def test_an_option_wins_over_the_environment_and_that_over_the_file(world: World, tmp_path: Path) -> None:
    file = write(tmp_path / "koinon.toml", {"network": {"rpc": "http://127.0.0.1:2"}})
    variables = {"KOINON_RPC": "http://127.0.0.1:3", "KOINON_CONFIG": str(file)}
    command = ["status", world.address, "--json"]
    with ThreadPoolExecutor() as pool:
        by_file = pool.submit(fails, *command, "--config", file, folder=tmp_path)
        by_environment = pool.submit(fails, *command, folder=tmp_path, **variables)
        by_option = pool.submit(succeeds, *command, "--rpc", world.rpc, folder=tmp_path, **variables)
    assert "cannot reach an Ethereum node at http://127.0.0.1:2:" in by_file.result()
    assert "cannot reach an Ethereum node at http://127.0.0.1:3:" in by_environment.result()
    assert json.loads(by_option.result())["round"]


def test_mistakes_in_a_configuration_are_said_together(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text(client_template() + "polling = 3\n")
    said = fails("client", "run", "--config", "client.toml", folder=tmp_path, KOINON_TIMEOUT="soon")
    for part in (
        "client.federation is missing",
        "client.wallet is missing",
        "client.data is missing",
        "client.toml:client.polling is unknown: did you mean poll_interval?",
        "KOINON_TIMEOUT: expected a number of seconds above 0, found 'soon'",
    ):
        assert part in said


def test_a_plan_of_unknown_names_and_a_federation_of_another_owner_are_said(world: World, tmp_path: Path) -> None:
    unknown = world.organization()
    unknown["plan"]["task"] = {"name": "poetry", "arguments": {}}
    foreign = world.organization(wallet=world.member(0)["client"]["wallet"], state=str(tmp_path / "state"))
    task, owner = all_fail(
        ["organization", "run", "--config", write(tmp_path / "unknown.toml", unknown)],
        ["organization", "run", "--config", write(tmp_path / "foreign.toml", foreign)],
        folder=tmp_path,
    )
    assert "there is no task called 'poetry'; known: classification, digits" in task
    assert world.local.accounts[0].address in owner


def test_data_that_cannot_be_used_is_said_before_the_daemon_begins(world: World, tmp_path: Path) -> None:
    (tmp_path / "cats.npz").write_text("meow")
    organization = write(tmp_path / "organization.toml", world.organization(validation="cats.npz"))
    settings = world.member(0)
    settings["client"]["data"] = "dogs.npz"
    client = write(tmp_path / "client.toml", settings)
    settings["client"] |= {"data": "cats.npz", "state": str(tmp_path / "state")}
    other = write(tmp_path / "other.toml", settings)
    agree(tmp_path / "state", world.local.agreement().digest(), LOG)  # else it is refused before anybody looks
    cats, dogs, meow = all_fail(
        ["organization", "run", "--config", organization],
        ["client", "run", "--config", client, "--store", world.store],
        ["client", "run", "--config", other, "--store", world.store],
        folder=tmp_path,
    )
    assert "cats.npz" in cats and "not an .npz file" in cats
    assert "there is no data at" in dogs and "dogs.npz" in dogs
    assert "cats.npz" in meow and "not an .npz file" in meow


# ------------------------------------------------------------------------------------------------------- a membership


def test_a_client_sees_its_time_claims_its_reward_and_is_owed_nothing(world: World, tmp_path: Path) -> None:
    member = world.member(0)
    file = write(tmp_path / "client.toml", member)
    view = world.local.federation.round_view(world.local.accounts[1].address)
    state, federation = Path(member["client"]["state"]), world.local.federation
    with Journal(journal_path(state), federation.chain_id, federation.address, view.client.client) as journal:
        journal.keep_metered(1, view.sealing_key, 1234)

    found = json.loads(succeeds("client", "status", "--config", file, "--json", folder=tmp_path))
    assert (found["member"], found["phase"], found["metered_ms"]) == (True, "finalized", 1234)
    assert found["owed"] == str(view.client.owed) != "0"

    asked = fails("client", "claim", "--config", file, folder=tmp_path, said="y\n")
    assert "nothing was sent: without a terminal nobody is here to be asked. To agree, give --yes" in asked
    claimed = json.loads(succeeds("client", "claim", "--config", file, "--yes", "--json", folder=tmp_path))
    assert claimed["claimed"] == str(view.client.owed)
    again, after = together(*(["client", name, "--config", file] for name in ("claim", "status")), folder=tmp_path)
    assert again.stdout == "nothing is owed\n"
    assert "1234 ms measured here" in after.stdout and re.search(r"to be claimed +nothing", after.stdout)


def test_a_client_that_cannot_pay_is_told_what_it_needs_and_one_that_left_is_no_member(
    world: World, tmp_path: Path
) -> None:
    file = write(tmp_path / "client.toml", world.member(1))
    world.set_balance(1, 0)
    said = fails("client", "leave", "--config", file, "--yes", folder=tmp_path)
    assert "has 0 ETH; to leave the federation it needs about 0.0" in said
    world.set_balance(1, 10**18)
    assert json.loads(succeeds("client", "leave", "--config", file, "--yes", "--json", folder=tmp_path))["transactions"]
    assert "(not a member)" in succeeds("client", "status", "--config", file, folder=tmp_path)


def test_a_wallet_that_cannot_be_used_is_said(world: World, tmp_path: Path) -> None:
    member = world.member(0)
    (tmp_path / "passphrase").write_text("wrong")
    (tmp_path / "passphrase").chmod(0o600)
    member["client"]["passphrase_file"] = "passphrase"
    file = write(tmp_path / "client.toml", member)
    member["client"]["wallet"] = "none"
    nobody = write(tmp_path / "nobody.toml", member)
    wrong, missing = all_fail(
        ["client", "leave", "--config", file, "--yes"], ["client", "status", "--config", nobody], folder=tmp_path
    )
    assert "wrong passphrase for the wallet" in wrong and PASSPHRASE not in wrong
    assert "none is not a wallet: `koinon wallet new` makes one" in missing


def test_the_journal_of_another_wallet_is_not_touched(world: World, tmp_path: Path) -> None:
    member = world.member(0)
    chain_id, federation = world.local.federation.chain_id, world.address
    Journal(journal_path(tmp_path / "state"), chain_id, federation, NOWHERE).close()
    member["client"]["state"] = "state"
    file = write(tmp_path / "client.toml", member)
    for said in all_fail(
        ["client", "status", "--config", file], ["client", "leave", "--yes", "--config", file], folder=tmp_path
    ):
        assert f"belongs to {NOWHERE} in federation {federation}" in said


# ----------------------------------------------------------------------------------------------------------- wallets


def test_a_wallet_is_made_and_opened_with_a_passphrase_that_is_typed_and_never_shown(tmp_path: Path) -> None:
    twice = {"Passphrase: ": PASSPHRASE, "The same again: ": PASSPHRASE}
    status, shown = at_a_terminal("wallet", "new", "--directory", "mine", answers=twice, folder=tmp_path)
    [wallet] = keystore.list_wallets(tmp_path / "mine")
    assert status == 0 and str(wallet.address) in shown and PASSPHRASE not in shown
    assert wallet.path.stat().st_mode & 0o077 == 0
    status, shown = at_a_terminal("wallet", "address", wallet.path, answers=twice, folder=tmp_path)
    assert status == 0 and str(wallet.address) in shown and PASSPHRASE not in shown


def test_a_private_key_is_imported_from_a_file_or_typed_and_never_shown(tmp_path: Path) -> None:
    first, second = Account.create(), Account.create()
    keystore.write_private(tmp_path / "key", first.key.hex().encode())
    keystore.write_private(tmp_path / "passphrase", PASSPHRASE.encode())
    imports = ["wallet", "import", "--passphrase-file", "passphrase"]
    with ThreadPoolExecutor() as pool:
        from_file = pool.submit(run, *imports, "--key-file", "key", "--json", folder=tmp_path)
        status, shown = at_a_terminal(*imports, answers={"Private key: ": second.key.hex()}, folder=tmp_path)
        result = from_file.result()
    assert json.loads(result.stdout)["address"] == first.address
    assert status == 0 and second.address in shown
    for secret in (first.key.hex(), second.key.hex(), PASSPHRASE):
        assert secret not in result.stdout + result.stderr + shown
    listed = json.loads(succeeds("wallet", "list", "--json", folder=tmp_path))
    assert {wallet["address"] for wallet in listed} == {first.address, second.address}


def test_a_passphrase_comes_from_the_environment_or_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    address = keystore.import_key(tmp_path / "wallets", Account.create().key.hex(), PASSPHRASE, iterations=FAST)
    [wallet] = keystore.list_wallets(tmp_path / "wallets")
    shown = succeeds("wallet", "address", wallet.path, folder=tmp_path, KOINON_PASSPHRASE=PASSPHRASE)
    assert shown.strip() == address
    (tmp_path / "open").write_text(PASSPHRASE)
    (tmp_path / "open").chmod(0o644)
    said = fails("wallet", "address", wallet.path, "--passphrase-file", "open", folder=tmp_path)
    assert "chmod 600 open" in said and PASSPHRASE not in said
