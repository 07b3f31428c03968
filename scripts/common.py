"""What the scripts share: who signs, where the contracts are, and how a script ends.

A script runs as `brownie run NAME main [name=value ...] --network NETWORK` (scripts/__main__.py: where brownie cannot),
reads its arguments, and makes the calls of `koinon organization` with an account of brownie's:

    deploy                    the factory, once per chain
    create_federation         a federation of the signer's, with terms that never change
    voucher                   admits one client, or takes that back
    open_round, fund          move the asset into the federation; where that is a token, they approve it first
    retire                    ends the membership of a client that has been silent for too long
    operator, pause, transfer who runs the rounds, whether any opens, who owns the federation
    pay                       what clients are owed, to the clients
    close, withdraw           end the federation, and take out what is carried
    inspect                   everything that the chain knows of a federation; needs no account

An amount is a whole number of smallest units, or has a unit: "0.5 ether", or the asset's own symbol, as in "0.5 USDC".
A rate is such an amount for a second of compute; without a unit it counts 10^-9 of a smallest unit.
On brownie's development network an account of its own signs, and what is missing (a factory, a federation) is made
first. On a live network these say the rest, and a script says what it will do and cost, and asks before it sends:

    KOINON_ACCOUNT            the account that signs: a name that `brownie accounts list` shows, or a keystore file
    KOINON_PASSPHRASE_FILE    a file with its passphrase, or KOINON_PASSPHRASE itself; without either, a prompt asks
    KOINON_DEPLOYMENTS        the folder of <chain id>.json; `deployments` unless it is set. Chains for development
                              (1337, 31337) have no place there: without the variable nothing is written for them
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path

from brownie import accounts, web3
from brownie._config import CONFIG
from eth_account import Account
from eth_account.signers.local import LocalAccount
from typer import Abort
from web3 import Web3

from processor.chain.federation import Factory, Federation, factory_deployment
from processor.chain.finality import DEVELOPMENT
from processor.chain.provider import connect
from processor.chain.transactions import Receipt
from processor.cli.connections import federation_at
from processor.cli.create import creation
from processor.cli.proposal import Manner, Proposal, Step, carry_out, send_alone
from processor.errors import ConfigurationError, KeystoreError, KoinonError
from processor.types import FederationTerms

CHECKOUT = Path(__file__).resolve().parent.parent


def script(main: Callable[..., None]) -> Callable[..., None]:
    """Ends a script with one sentence where something in it is refused."""

    @wraps(main)
    def run(*arguments: str) -> None:
        try:
            main(*arguments)
        except KoinonError as error:
            sys.exit(f"ERROR: {error}")
        except Abort:
            sys.exit("ERROR: stopped, nothing more was sent")

    return run


def on_development_network() -> bool:
    return bool(CONFIG.network_type == "development")


@cache
def node() -> Web3:
    """The network's node, without what brownie puts in front of it: its cache may answer with a nonce of before."""
    return connect(str(getattr(web3.provider, "endpoint_uri", None) or web3.provider.ipc_path))


@cache
def signer() -> LocalAccount:
    """The account that signs. Raises ConfigurationError where none is named, KeystoreError where it stays locked."""
    if on_development_network():
        account: LocalAccount = Account.create()
        paid = web3.eth.send_transaction({"from": accounts[0].address, "to": account.address, "value": 10**20})
        web3.eth.wait_for_transaction_receipt(paid)
        return account
    name = os.environ.get("KOINON_ACCOUNT")
    if not name:
        raise ConfigurationError(
            "KOINON_ACCOUNT is not set: a name that `brownie accounts list` shows, or the path of a keystore file"
        )
    passphrase = os.environ.get("KOINON_PASSPHRASE")
    if file := os.environ.get("KOINON_PASSPHRASE_FILE"):
        try:
            passphrase = Path(file).read_text().rstrip("\r\n")
        except OSError as error:
            raise KeystoreError(f"KOINON_PASSPHRASE_FILE cannot be read: {error}") from None
    try:
        return Account.from_key(accounts.load(name, passphrase).private_key)
    except FileNotFoundError:
        raise KeystoreError(
            f"KOINON_ACCOUNT={name}: brownie has no such account, and there is no such keystore file"
        ) from None
    except ValueError:
        raise KeystoreError(f"KOINON_ACCOUNT={name}: the passphrase is wrong, or the file is no keystore") from None


def send(proposal: Proposal) -> list[Receipt]:
    """Goes through with a proposal; asks first on a live network where there is somebody to ask.

    Raises as `carry_out`: not brownie's sending, which on a busy machine gives up a transaction whose receipt comes a
    moment after its nonce.
    """
    nobody_to_ask = on_development_network() or not sys.stdin.isatty()
    manner = Manner(yes=nobody_to_ask, dry_run=False, as_json=False)
    return carry_out(node(), signer().address, proposal, manner, signer, _send_and_say) or []


def _send_and_say(account: LocalAccount, step: Step) -> Receipt:
    receipt = send_alone(node())(account, step)
    if step.done:
        print(step.done)
    return receipt


def deployment_file() -> Path | None:
    """Where the addresses on this chain are kept; None where they are not."""
    chain_id = node().eth.chain_id
    if folder := os.environ.get("KOINON_DEPLOYMENTS"):
        return Path(folder) / f"{chain_id}.json"
    if on_development_network() or chain_id in DEVELOPMENT:
        return None
    return CHECKOUT / "deployments" / f"{chain_id}.json"


def deploy_factory() -> Factory:
    """Deploys a factory and remembers its address."""
    [receipt] = send(Proposal([Step("factory deployed", factory_deployment())]))
    factory = Factory(node(), str(receipt.contract))
    if file := deployment_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = {"factory": factory.address, "block": receipt.block, "transaction": receipt.tx_hash}
        file.write_text(json.dumps(made, indent=2) + "\n")
        print(f"written to {file}")
    return factory


def find_factory(address: str) -> Factory:
    """The factory at `address`, else the one that was deployed on this chain."""
    file = deployment_file()
    if not address and file and file.exists():
        address = json.loads(file.read_text())["factory"]
    if address:
        return Factory(node(), address)
    if on_development_network():
        return deploy_factory()
    raise ConfigurationError(
        f"no factory is known on chain {node().eth.chain_id}: run `deploy` first, or say factory=ADDRESS"
    )


def make_federation(factory: Factory, terms: FederationTerms, salt: int) -> Federation:
    """A federation that belongs to the signer."""
    proposal = creation(factory, signer().address, terms, salt)
    [receipt] = send(proposal)
    print(f"{proposal.done}, on chain {factory.chain_id}")
    return Federation(node(), factory.created(receipt))


def find_federation(address: str) -> Federation:
    """The federation at `address`, which the factory that this version ships has made."""
    if address:
        return federation_at(node(), address)
    if not on_development_network():
        raise ConfigurationError("federation= is missing: the address that `create_federation` printed")
    return make_federation(find_factory(""), FederationTerms(), 0)
