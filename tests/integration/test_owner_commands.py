"""An organization that does everything by commands: a federation in a token, with stakes and vouchers, and its end."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog
from eth_account import Account
from typer.testing import CliRunner
from web3 import Web3

from processor import keystore
from processor.chain.asset import asset_at, balance_of, mint
from processor.chain.federation import Federation, deploy_token
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.chain.vouchers import load_voucher, typed_data
from processor.cli.tree import app
from processor.errors import KoinonError
from processor.types import Admission, AuditPolicy, FederationTerms, RoundTerms
from tests.integration.command_line import FAST, PASSPHRASE, write
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil

PLAY = 10**18
STRANGER = "0x000000000000000000000000000000000000dEaD"
REFUSING = "0x60006000fd"  # a contract that reverts whatever it gets
YES = ["--yes", "--json"]


def run(*arguments: str | Path, folder: Path, said: str = "") -> tuple[int, str, str]:
    """Status, result and complaint of a command, run in this process: a fraction of the time, for so many of them."""
    with contextlib.chdir(folder):
        result = CliRunner().invoke(app, list(map(str, arguments)), input=said)
    structlog.reset_defaults()  # it logs to what stood for the terminal
    if isinstance(result.exception, KoinonError):
        return 1, result.stdout, f"{result.stderr}{result.exception}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def succeeds(*arguments: str | Path, folder: Path) -> str:
    """What it prints, where it must succeed."""
    status, result, complaint = run(*arguments, folder=folder)
    assert status == 0, complaint
    return result


def fails(*arguments: str | Path, folder: Path) -> str:
    """What it complains about: status 1, a message and no result."""
    status, result, complaint = run(*arguments, folder=folder)
    assert (status, result.strip()) == (1, ""), complaint
    return complaint


def all_fail(*commands: Sequence[str | Path], folder: Path) -> list[str]:
    return [fails(*command, folder=folder) for command in commands]


@dataclass(frozen=True)
class Town:
    """A chain with a token, an organization and two clients who have some of it. `federation` was made by command."""

    rpc: str
    web3: Web3
    folder: Path
    token: str
    accounts: dict[str, Any]

    @property
    def federation(self) -> Federation:
        return Federation(self.web3, json.loads((self.folder / "created.json").read_text())["federation"])

    def config(self, name: str, **changes: Any) -> Path:
        """The configuration of an organization or a client, as its commands take it."""
        role = "client" if name.startswith("client") else "organization"
        table = {
            "wallet": str(keystore.list_wallets(self.folder / name)[0].path),
            "passphrase_file": str(self.folder / name / "passphrase"),
            "state": str(self.folder / name / f"state-{secrets.token_hex(4)}"),
        }
        created = self.folder / "created.json"
        if created.exists():
            made = json.loads(created.read_text())
            table |= {"federation": made["federation"], "factory": made["factory"]}
        settings = {"network": {"rpc": self.rpc, "chain_id": 31337}, role: {**table, **changes}}
        return write(self.folder / f"{secrets.token_hex(4)}.toml", settings)

    def organization(self, *words: str, **changes: Any) -> list[str | Path]:
        return ["organization", *words, "--config", self.config("organization", **changes)]

    def client(self, number: int, *words: str, **changes: Any) -> list[str | Path]:
        return ["client", *words, "--config", self.config(f"client-{number}", **changes)]

    def has(self, name: str) -> int:
        return balance_of(self.web3, asset_at(self.web3, self.token), self.accounts[name].address)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with start_anvil(folder / "anvil") as node:
        web3 = connect(node.rpc_url)
        accounts = {name: Account.create() for name in ("organization", "client-0", "client-1", "daemon")}
        for name, account in accounts.items():
            web3.provider.make_request("anvil_setBalance", [account.address, hex(10**19)])  # type: ignore[arg-type]
            keystore.import_key(folder / name, account.key.hex(), PASSPHRASE, iterations=FAST)
            keystore.write_private(folder / name / "passphrase", PASSPHRASE.encode())
        sender = Sender(web3, accounts["organization"])
        token = deploy_token(sender)
        for account in accounts.values():
            sender.send(mint(asset_at(web3, token), account.address, 100 * PLAY))
        town = Town(node.rpc_url, web3, folder, token, accounts)
        terms = ["--asset", token, "--stake", "0.5", "--max-slash-rate", "2500", "--admission", "voucher"]
        made = json.loads(succeeds(*town.organization("create"), *terms, *YES, folder=folder))
        (folder / "created.json").write_text(json.dumps(made))
        yield town


@pytest.fixture
def isolated(town: Town) -> Iterator[Town]:
    """What the test does to the chain is undone."""
    snapshot = town.web3.provider.make_request("evm_snapshot", [])["result"]  # type: ignore[arg-type]
    yield town
    town.web3.provider.make_request("evm_revert", [snapshot])  # type: ignore[arg-type]


def set_code(web3: Web3, address: str, code: str) -> None:
    web3.provider.make_request("anvil_setCode", [address, code])  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------- creation


def test_a_federation_is_created_with_the_terms_that_were_asked_for(town: Town) -> None:
    federation = town.federation
    assert federation.terms() == FederationTerms(town.token, PLAY // 2, 2500, Admission.VOUCHER, AuditPolicy.OPEN)
    assert federation.owner() == town.accounts["organization"].address
    assert federation.genuine()


def test_a_creation_says_what_holds_for_good_and_what_it_costs_and_is_not_done_unless_agreed(town: Town) -> None:
    terms = ["--factory", json.loads((town.folder / "created.json").read_text())["factory"], "--stake", "0.25"]
    before = town.web3.eth.block_number
    shown = succeeds(*town.organization("create"), *terms, "--dry-run", folder=town.folder)
    assert "anybody can register; each stakes 0.25 ETH" in shown and "everybody can open the updates" in shown
    assert "ETH at most" in shown
    for piped in ("", "n\n", "y\n"):
        status, _, asked = run(*town.organization("create"), *terms, folder=town.folder, said=piped)
        assert status == 1 and "each stakes 0.25 ETH" in asked
        assert "nothing was sent: without a terminal nobody is here to be asked. To agree, give --yes" in asked
    assert town.web3.eth.block_number == before


def test_a_created_federation_is_written_into_the_configuration_which_keeps_everything_else(isolated: Town) -> None:
    town = isolated
    file, told = town.folder / "organization.toml", town.config("organization", federation="", factory="")
    told.write_text(f"# ours\n{told.read_text()}# the end\n")
    file.write_text(told.read_text())
    made = json.loads((town.folder / "created.json").read_text())
    create = ["organization", "create", "--factory", made["factory"], "--config", file, "--yes"]

    said = succeeds(*create, "--salt", "1", folder=town.folder)

    [address] = re.findall(r"^federation (0x[0-9a-fA-F]{40}) of ", said, re.MULTILINE)
    assert f"{file} names it now as organization.federation" in said
    assert file.read_text() == told.read_text().replace('federation = ""', f'federation = "{address}"')
    assert succeeds("organization", "pause", "--config", file, "--yes", folder=town.folder).startswith("paused")

    status, said, warned = run(*create, "--salt", "2", folder=town.folder)
    assert status == 0 and f"{file} names the federation {address}, and keeps it" in warned
    assert f"has organization.federation = '{address}', and keeps it" in warned
    [other] = re.findall(r"^federation (0x[0-9a-fA-F]{40}) of ", said, re.MULTILINE)
    assert f'Write federation = "{other}" under [organization]' in warned
    assert address in file.read_text() and other not in file.read_text()


def test_a_factory_that_was_paid_for_is_named_before_the_federation_is_asked_about(isolated: Town) -> None:
    town = isolated
    command = [*town.organization("create", federation=""), "--yes"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processor.cli.create.creation", refuse)
        complaint = fails(*command, folder=town.folder)
    [factory] = re.findall(r"the factory is (0x[0-9a-fA-F]{40}): give it as --factory", complaint)
    assert "not now" in complaint
    assert json.loads(succeeds(*command, "--factory", factory, "--json", folder=town.folder))["factory"] == factory


def refuse(*_: object) -> NoReturn:
    raise KoinonError("not now")


def test_all_mistakes_in_the_terms_are_said_together(town: Town) -> None:
    wrong = ["--admission", "closed", "--audit", "none", "--max-slash-rate", "10001"]
    said = fails(*town.organization("create"), *wrong, folder=town.folder)
    for option in ("--admission: expected open or voucher", "--audit: expected open or appointed", "--max-slash-rate"):
        assert option in said
    token, amount, bare, huge = all_fail(
        [*town.organization("create"), "--asset", STRANGER],
        [*town.organization("create"), "--stake", "1.0000000000000000001"],
        [*town.organization("create"), "--max-slash-rate", "1"],
        [*town.organization("create"), "--stake", str(2**128)],
        folder=town.folder,
    )
    assert "is not a token" in token
    assert "at most 18 digits after the point" in amount
    assert "without a stake there is nothing to slash" in bare
    assert "--stake: expected at most 340282366920938463463.374607431768211455 ETH" in huge


# ------------------------------------------------------------------------------------------------------------ money


def test_funding_in_a_token_lets_it_be_taken_first_and_a_dry_run_gives_both_transactions(isolated: Town) -> None:
    town = isolated
    steps = json.loads(succeeds(*town.organization("fund", "2.5"), "--dry-run", "--json", folder=town.folder))
    assert [step["to"] for step in steps] == [town.token, town.federation.address]
    assert all(step["data"].startswith("0x") and step["value"] == "0" for step in steps)
    assert steps[0]["gas"] > 0 and steps[1]["gas"] is None
    assert town.federation.carried() == 0

    before = town.has("organization")
    done = json.loads(succeeds(*town.organization("fund", "2.5"), *YES, folder=town.folder))
    assert len(done["transactions"]) == 2
    assert town.federation.carried() == town.federation.holdings() == before - town.has("organization") == 5 * PLAY // 2


def test_what_is_carried_is_withdrawn_after_the_end_and_not_before(isolated: Town) -> None:
    town = isolated
    succeeds(*town.organization("fund", "3"), *YES, folder=town.folder)
    assert "still open: close it" in fails(*town.organization("withdraw"), "--yes", folder=town.folder)
    assert "It cannot be opened again. 3 PLAY can then be withdrawn." in succeeds(
        *town.organization("close"), "--dry-run", folder=town.folder
    )
    succeeds(*town.organization("close"), *YES, folder=town.folder)
    said = succeeds(
        *town.organization("withdraw"), "--to", town.accounts["daemon"].address, "--yes", folder=town.folder
    )
    assert f"withdrew 3 PLAY to {town.accounts['daemon'].address}" in said
    assert town.has("daemon") == 103 * PLAY and town.federation.holdings() == 0
    assert "closed" in fails(*town.organization("fund", "1"), "--yes", folder=town.folder)


def test_an_organization_pays_its_clients_and_costs_them_no_gas(tmp_path: Path) -> None:
    with start_anvil(tmp_path / "anvil") as node:
        local = LocalFederation(connect(node.rpc_url), tmp_path / "federation", clients_wanted=2, rounds_wanted=1)
        local.register()
        local.open_round()
        local.train_and_submit()
        local.finalize()
        keystore.import_key(tmp_path, local.accounts[0].key.hex(), PASSPHRASE, iterations=FAST)
        keystore.write_private(tmp_path / "passphrase", PASSPHRASE.encode())
        table = {
            "federation": local.federation.address,
            "wallet": str(keystore.list_wallets(tmp_path)[0].path),
            "passphrase_file": str(tmp_path / "passphrase"),
            "state": str(tmp_path / "state"),
        }
        file = write(tmp_path / "organization.toml", {"network": {"rpc": node.rpc_url}, "organization": table})
        first, second = (local.accounts[number].address for number in (1, 2))
        owed = {client: local.federation.balance_of(client)[0] for client in (first, second)}
        before = {client: local.web3.eth.get_balance(Web3.to_checksum_address(client)) for client in owed}

        done = json.loads(succeeds("organization", "pay", first, "--config", file, *YES, folder=tmp_path))
        assert len(done["transactions"]) == 1
        set_code(local.web3, second, REFUSING)
        status, result, complaint = run("organization", "pay", "--config", file, "--yes", folder=tmp_path)
        assert (status, result) == (0, "nothing is owed\n") and f"{second} is left out" in complaint
        set_code(local.web3, second, "0x")
        assert "to 1 client\n" in succeeds("organization", "pay", "--config", file, "--yes", folder=tmp_path)
        keystore.write_private(tmp_path / "passphrase", b"another passphrase")
        pay = ("organization", "pay", "--config", file)
        assert run(*pay, folder=tmp_path) == (0, "nothing is owed\n", ""), "nobody is asked, and no key is unlocked"
        assert run(*pay, "--dry-run", folder=tmp_path) == (0, "nothing is owed\n", "")
        assert json.loads(succeeds(*pay, "--dry-run", "--json", folder=tmp_path)) == []
        nothing = {"done": "nothing is owed", "transactions": []}
        assert json.loads(succeeds(*pay, "--json", folder=tmp_path)) == nothing
        for client, reward in owed.items():
            assert local.web3.eth.get_balance(Web3.to_checksum_address(client)) - before[client] == reward > 0


def test_who_left_and_is_named_by_a_report_alone_is_paid_too(tmp_path: Path) -> None:
    with start_anvil(tmp_path / "anvil") as node:
        local = LocalFederation(connect(node.rpc_url), tmp_path / "federation", clients_wanted=2, rounds_wanted=9)
        federation = local.federation
        local.register()
        local.open_round()
        local.train_and_submit()
        leaver = local.accounts[1].address
        local.send(0, federation.leave(leaver))
        local.finalize()
        view, plan = federation.round_view(), local.kept(1).opening.plan
        terms = RoundTerms(plan, Account.create().key, 30, 30, 2, 1_000, 10_000, 1, 0)
        local.owner.send(federation.open_round(terms, view.digest))
        owed, _ = federation.balance_of(leaver)
        keystore.import_key(tmp_path, local.accounts[0].key.hex(), PASSPHRASE, iterations=FAST)
        keystore.write_private(tmp_path / "passphrase", PASSPHRASE.encode())
        table = {
            "federation": federation.address,
            "wallet": str(keystore.list_wallets(tmp_path)[0].path),
            "passphrase_file": str(tmp_path / "passphrase"),
            "state": str(tmp_path / "another-state"),
        }
        store = str(local.storage.directory)
        file = write(
            tmp_path / "organization.toml", {"network": {"rpc": node.rpc_url, "store": store}, "organization": table}
        )
        before = local.web3.eth.get_balance(Web3.to_checksum_address(leaver))
        assert "to 2 clients" in succeeds("organization", "pay", "--config", file, "--yes", folder=tmp_path)
        assert local.web3.eth.get_balance(Web3.to_checksum_address(leaver)) - before == owed > 0


# ------------------------------------------------------------------------------------------------------------ roles


def test_an_operator_is_set_and_removed_and_nobody_else_may(isolated: Town) -> None:
    town, daemon = isolated, isolated.accounts["daemon"].address
    assert "can cost at most" in succeeds(*town.organization("operator", daemon), "--dry-run", folder=town.folder)
    succeeds(*town.organization("operator", daemon), *YES, folder=town.folder)
    assert town.federation.operator() == daemon
    shown = json.loads(succeeds("status", town.federation.address, "--rpc", town.rpc, "--json", folder=town.folder))
    assert (shown["operator"], shown["admission"], shown["asset"]["symbol"]) == (daemon, "voucher", "PLAY")
    succeeds(*town.organization("operator", "--remove"), *YES, folder=town.folder)
    assert town.federation.operator() is None
    neither, stranger = all_fail(
        town.organization("operator"),
        ["organization", "operator", daemon, "--yes", "--config", town.config("daemon")],
        folder=town.folder,
    )
    assert "either the operator's address or --remove" in neither
    assert daemon in stranger and "owner" in stranger


def test_a_pause_lasts_until_it_is_resumed(isolated: Town) -> None:
    town = isolated
    succeeds(*town.organization("pause"), *YES, folder=town.folder)
    assert town.federation.paused()
    assert "(paused)" in succeeds("status", town.federation.address, "--rpc", town.rpc, folder=town.folder)
    succeeds(*town.organization("resume"), *YES, folder=town.folder)
    assert not town.federation.paused()


def test_ownership_is_handed_over_in_two_steps(isolated: Town) -> None:
    town, heir = isolated, isolated.accounts["daemon"].address
    said = succeeds(*town.organization("transfer", heir), "--yes", folder=town.folder)
    assert "transfer --accept" in said
    assert town.federation.owner() == town.accounts["organization"].address
    succeeds("organization", "transfer", "--accept", "--config", town.config("daemon"), *YES, folder=town.folder)
    assert town.federation.owner() == heir


def test_a_contract_wallet_is_told_what_it_has_to_send_and_nobody_signs_for_it(isolated: Town) -> None:
    town = isolated
    wallet = town.accounts["client-0"].address  # stands for a contract that the organization handed its federation to
    succeeds(*town.organization("transfer", wallet), *YES, folder=town.folder)
    command = [*town.organization("transfer", "--accept"), "--sender", wallet]
    [step] = json.loads(succeeds(*command, "--dry-run", "--json", folder=town.folder))
    assert (step["from"], step["to"]) == (wallet, town.federation.address)
    assert "--sender only goes with --dry-run" in fails(*command, "--yes", folder=town.folder)


# ------------------------------------------------------------------------------------------------------- membership


def new_voucher(town: Town, name: str, *options: str) -> Path:
    file = town.folder / f"{secrets.token_hex(4)}.json"
    succeeds(
        *town.organization("voucher", "new", town.accounts[name].address), "--out", file, *options, folder=town.folder
    )
    return file


def test_a_client_registers_with_a_voucher_and_a_stake_and_takes_it_back_when_it_leaves(isolated: Town) -> None:
    town = isolated
    voucher = new_voucher(town, "client-0")
    shown = succeeds(*town.client(0, "register"), "--voucher", voucher, "--dry-run", folder=town.folder)
    assert "let " in shown and "register with a stake of 0.5 PLAY" in shown and "at most 25 %" in shown
    assert town.federation.member_count() == 0

    succeeds(*town.client(0, "register", voucher=str(voucher)), *YES, folder=town.folder)
    assert town.has("client-0") == 100 * PLAY - PLAY // 2 and town.federation.holdings() == PLAY // 2
    found = json.loads(succeeds(*town.client(0, "status"), "--json", folder=town.folder))
    assert (found["member"], found["stake"], found["asset"]["symbol"]) == (True, str(PLAY // 2), "PLAY")

    said = succeeds(*town.client(0, "leave"), "--to", town.accounts["client-1"].address, "--yes", folder=town.folder)
    assert f"The stake of 0.5 PLAY goes to {town.accounts['client-1'].address}" in said
    assert town.has("client-1") == 100 * PLAY + PLAY // 2 and town.federation.holdings() == 0
    again = fails(*town.client(0, "register"), "--voucher", voucher, "--yes", folder=town.folder)
    assert str(load_voucher(voucher).id) in again


def test_a_voucher_is_revoked_by_its_file_or_its_id_before_it_is_used(isolated: Town) -> None:
    town = isolated
    by_file, by_id = new_voucher(town, "client-0"), new_voucher(town, "client-0")
    succeeds(*town.organization("voucher", "revoke", str(by_file)), *YES, folder=town.folder)
    id = str(load_voucher(by_id).id)
    assert json.loads(succeeds(*town.organization("voucher", "revoke", id), *YES, folder=town.folder))["revoked"] == id
    for file in (by_file, by_id):
        said = fails(*town.client(0, "register"), "--voucher", file, "--yes", folder=town.folder)
        assert str(load_voucher(file).id) in said
    assert "changes nothing" in succeeds(*town.organization("voucher", "revoke", id), "--dry-run", folder=town.folder)


def test_a_voucher_that_does_not_fit_is_refused_before_anything_is_sent(town: Town) -> None:
    voucher = new_voucher(town, "client-0")
    (town.folder / "torn.json").write_bytes(voucher.read_bytes()[:-20])
    missing, other, torn, stranger = all_fail(
        town.client(1, "register"),
        [*town.client(1, "register"), "--voucher", voucher],
        [*town.client(0, "register"), "--voucher", "torn.json"],
        ["organization", "voucher", "new", STRANGER, "--out", "forged.json", "--config", town.config("daemon")],
        folder=town.folder,
    )
    assert "ask its organization for one" in missing
    assert f"admits {town.accounts['client-0'].address}" in other
    assert "torn.json" in torn and "not a voucher" in torn
    assert "vouchers are signed by the owner" in stranger and not (town.folder / "forged.json").exists()


def test_a_contract_wallets_voucher_is_made_of_typed_data_and_its_signature(town: Town) -> None:
    client = town.accounts["client-1"].address
    asked, voucher = town.folder / "asked.json", town.folder / "contract.json"
    new = town.organization("voucher", "new", client)
    succeeds(*new, "--typed-data", "--out", asked, folder=town.folder)
    message = json.loads(asked.read_text())["message"]
    federation = town.federation
    assert json.loads(asked.read_text()) == typed_data(
        federation.chain_id, federation.address, client, int(message["id"]), message["expiry"], 0
    )
    complete = [*new, "--signed", asked, "--signature", "0x" + "ab" * 130]
    succeeds(*complete, "--out", voucher, folder=town.folder)
    made = load_voucher(voucher)
    assert (made.client, str(made.id), made.signature) == (client, message["id"], b"\xab" * 130)
    half, wrong = all_fail(
        [*new, "--signed", asked, "--out", "half.json"],
        [*town.organization("voucher", "new", STRANGER), *complete[-4:], "--out", "wrong.json"],
        folder=town.folder,
    )
    assert "--signed and --signature together" in half
    assert "is not the typed data of a voucher for" in wrong


def test_a_federation_that_the_trusted_factory_did_not_make_is_refused(town: Town) -> None:
    again = json.loads(succeeds(*town.organization("create"), *YES, folder=town.folder))
    said = fails(*town.client(0, "status", factory=again["factory"]), folder=town.folder)
    assert f"the factory {again['factory']} did not make the federation {town.federation.address}" in said
    store = town.folder / "store"
    store.mkdir(exist_ok=True)
    reads: list[str | Path] = ["--rpc", town.rpc, "--store", store, "--factory"]
    made = json.loads((town.folder / "created.json").read_text())["factory"]
    succeeds("audit", town.federation.address, *reads, made, folder=town.folder)
    assert "did not make" in fails("audit", town.federation.address, *reads, again["factory"], folder=town.folder)
