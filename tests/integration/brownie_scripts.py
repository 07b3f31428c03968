"""The brownie scripts as the tests run them: a keystore that has coins on a node, and what a script says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.demo.scripts import Scripts
from tests.nodes import ChainNode
from tests.warm_scripts import WarmScripts


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
    return WarmScripts(
        node.rpc_url, web3.eth.chain_id, keystore, passphrase, folder / "home", deployments=folder / "deployments"
    )


def run_several(scripts: Scripts, runs: Sequence[tuple[str, Mapping[str, str]]]) -> list[tuple[str, str | None]]:
    """What each script printed, and what it was refused with, one after the other."""
    done = [scripts.execute(scripts.command(name, arguments)) for name, arguments in runs]
    return [(each.stdout, _refusal(each.stderr) if each.returncode else None) for each in done]


def _refusal(complained: str) -> str:
    _, error, reason = complained.rpartition("ERROR: ")
    return f"{error}{reason}".strip()


def address_of(what: str, said: str) -> str:
    found = re.search(rf"^{what} (0x[0-9a-fA-F]{{40}})", said, re.MULTILINE)
    assert found, said
    return found[1]
