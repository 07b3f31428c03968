"""The brownie scripts before they spend: they ask at a terminal, and send nothing where nobody is there to be asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from web3 import Web3

from processor.chain.contracts import load
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.demo.scripts import NETWORK, Scripts
from processor.types import FederationTerms
from scripts.deployments import recorded_factory
from tests.integration.brownie_scripts import address_of, rich_account, run_several, scripts_of
from tests.integration.command_line import typed
from tests.integration.parties import create_federation
from tests.nodes import find_program, start_anvil, start_geth

CID = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
ASKS_FOR_YES = "ERROR: nothing was sent: without a terminal nobody is here to be asked. To agree, give yes=yes"


@pytest.fixture
def unattended(tmp_path: Path) -> Iterator[tuple[Scripts, Web3, Sender]]:
    """Scripts that nobody has agreed to, and their signer, whose files are as other programs write them: the key file
    does not name its address, and the passphrase begins with a byte order mark."""
    with start_anvil(tmp_path / "node") as node:
        web3 = connect(node.rpc_url)
        owner = rich_account(web3)
        scripts = replace(scripts_of(owner, node, web3, tmp_path), yes=False)
        key_file = json.loads(scripts.keystore.read_text())
        scripts.keystore.write_text(json.dumps({name: key_file[name] for name in key_file if name != "address"}))
        scripts.passphrase_file.write_bytes(b"\xef\xbb\xbfa passphrase\r\n")
        yield scripts, web3, Sender(web3, owner)


def test_without_a_terminal_scripts_that_spend_ask_for_a_yes_and_send_nothing(
    unattended: tuple[Scripts, Web3, Sender],
) -> None:
    scripts, web3, owner = unattended
    federation = create_federation(web3, owner)
    closed = Federation(web3, create_federation(web3, owner, terms=FederationTerms(max_spread=2)).address)
    owner.send(closed.fund(5))
    owner.send(closed.close())
    owner.send(federation.transfer_ownership(owner.address))
    here, to = {"federation": federation.address}, {"to": owner.address}
    terms = {"sealing_key": "01" * 32, "plan": CID, "model": CID, "reward_rate_cap": "1"}
    runs: list[tuple[str, dict[str, str]]] = [
        ("deploy", {}),
        ("create_federation", {"factory": federation.made_by() or "", "salt": "7"}),
        ("fund", here | {"amount": "5"}),
        ("operator", here | {"operator": owner.address}),
        ("pause", here),
        ("transfer", here | to),
        ("transfer", here | {"accept": "yes"}),
        ("voucher", here | {"revoke": "7"}),
        ("open_round", here | terms),
        ("close", here),
        ("withdraw", to | {"federation": closed.address}),
    ]
    agreed = [("fund", here | {"amount": "5", "yes": "surely"}), ("pause", here | {"yes": "yes"})]
    sent = web3.eth.get_transaction_count(owner.address)

    *asked, surely, yes = (refused for _, refused in run_several(scripts, [*runs, *agreed]))

    assert asked == [f"{ASKS_FOR_YES}, or set KOINON_YES=yes"] * len(runs)
    assert surely == "ERROR: yes=surely is not known: expected yes, or nothing at all"
    assert yes is None
    assert web3.eth.get_transaction_count(owner.address) == sent + 1 and federation.paused()


def test_at_a_terminal_the_deployment_says_what_it_costs_and_asks(unattended: tuple[Scripts, Web3, Sender]) -> None:
    scripts, web3, owner = unattended
    command = [sys.executable, "-m", "scripts", "deploy", "--network", NETWORK]
    scripts.write_network()
    sent = web3.eth.get_transaction_count(owner.address)
    status, shown = typed(command, {"Go on? [y/N]: ": "n"}, scripts.folder, scripts.environment())
    assert status == 1 and "deploy the federation factory" in shown and "ERROR: nothing was sent" in shown
    assert web3.eth.get_transaction_count(owner.address) == sent


def test_the_two_commands_of_the_readme_find_each_other_on_a_development_chain(tmp_path: Path) -> None:
    with start_geth(find_program("geth"), tmp_path / "node") as node:
        web3 = connect(node.rpc_url)
        scripts = scripts_of(rich_account(web3), node, web3, tmp_path)
        scripts = replace(scripts, deployments=None, folder=tmp_path)

        scripts.run("deploy")
        federation = Federation(
            web3, address_of("federation", scripts.run("create_federation", {"stake": "0.1 ether"}))
        )

        assert federation.genuine() and federation.terms().stake == 10**17
        file = tmp_path / "deployments" / "1337.json"
        assert federation.made_by() == recorded_factory(web3, file).address
        made = json.loads(file.read_text())
        transaction = web3.eth.get_transaction(made["transaction"])
        assert transaction["input"].to_0x_hex() == load("FederationFactory").bytecode, "the one that the package ships"
        assert transaction["blockNumber"] == made["block"]
