"""The brownie scripts as the tests run them: a keystore that has coins on a node, and what a script says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.demo.scripts import NETWORK, Scripts
from tests.nodes import ChainNode

_SEVERAL = f"""
import contextlib, importlib, io, json, sys
from brownie import network
network.connect({NETWORK!r})
for name, arguments in json.loads(sys.argv[1]):
    refused = None
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            importlib.import_module(f"scripts.{{name}}").main(*arguments)
        except SystemExit as ended:
            refused = str(ended)
    print(json.dumps([said.getvalue(), refused]))
"""


def rich_account(web3: Web3) -> LocalAccount:
    account: LocalAccount = Account.create()
    paid = web3.eth.send_transaction(
        {"from": web3.eth.accounts[0], "to": account.address, "value": Web3.to_wei(9, "ether")}
    )
    web3.eth.wait_for_transaction_receipt(paid, poll_latency=0.05)
    return account


def scripts_of(owner: LocalAccount, node: ChainNode, web3: Web3, folder: Path) -> Scripts:
    """The scripts, signed by `owner` and agreed to beforehand, with all that they keep in `folder`."""
    keystore, passphrase = folder / "keystore.json", folder / "passphrase"
    keystore.write_text(json.dumps(Account.encrypt(owner.key, "a passphrase", iterations=2)))
    passphrase.write_text("a passphrase\n")
    return Scripts(
        node.rpc_url, web3.eth.chain_id, keystore, passphrase, folder / "home", deployments=folder / "deployments"
    )


def run_several(scripts: Scripts, runs: Sequence[tuple[str, Mapping[str, str]]]) -> list[tuple[str, str | None]]:
    """What each script printed, and what it was refused with. One after the other as brownie runs them, in one process:
    to start that costs most of what a script takes."""
    told = [(name, [f"{key}={value}" for key, value in arguments.items()]) for name, arguments in runs]
    done = scripts.execute([sys.executable, "-c", _SEVERAL, json.dumps(told)])
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()[-len(runs) :]]


def address_of(what: str, said: str) -> str:
    found = re.search(rf"^{what} (0x[0-9a-fA-F]{{40}})", said, re.MULTILINE)
    assert found, said
    return found[1]
