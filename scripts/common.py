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
    KOINON_YES                `yes` sends without asking, as the argument yes=yes does; without a terminal one of the
                              two has to be there, or nothing is sent
    KOINON_DEPLOYMENTS        the folder of <chain id>.json, which says where the factory is (scripts/deployments.py)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path

from brownie import accounts, web3
from brownie._config import CONFIG
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor import keystore
from processor.chain.federation import Factory, Federation, factory_deployment
from processor.chain.provider import connect
from processor.chain.transactions import Receipt
from processor.cli.connections import federation_at
from processor.cli.create import creation
from processor.cli.proposal import Manner, Proposal, Step, carry_out, send_alone
from processor.errors import ConfigurationError, KeystoreError, KoinonError
from processor.texts import read_text
from processor.types import FederationTerms
from scripts.arguments import confirmed
from scripts.deployments import deployment_file, make_folder, record, recorded_factory


def script(main: Callable[..., None]) -> Callable[..., None]:
    """Ends a script with one sentence where something in it is refused."""

    @wraps(main)
    def run(*arguments: str) -> None:
        try:
            main(*arguments)
        except KoinonError as error:
            sys.exit(f"ERROR: {error}")
        except KeyboardInterrupt:
            sys.exit("ERROR: interrupted: what was on its way may still be mined; look before you run it again")

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
        passphrase = read_text(Path(file), "KOINON_PASSPHRASE_FILE", KeystoreError).rstrip("\r\n")
    if passphrase is None and not sys.stdin.isatty():
        raise KeystoreError(
            "no passphrase: name a file as KOINON_PASSPHRASE_FILE, set KOINON_PASSPHRASE, or run it in a terminal"
        )
    try:
        if name in accounts.load():
            return Account.from_key(accounts.load(name, passphrase).private_key)
        if Path(name).exists():
            return keystore.unlock(Path(name), keystore.passphrase(True) if passphrase is None else passphrase)
    except KeystoreError as error:
        raise KeystoreError(
            f"KOINON_ACCOUNT={name}: the passphrase is wrong, or the file is no keystore: {error}"
        ) from None
    except ValueError:
        raise KeystoreError(f"KOINON_ACCOUNT={name}: the passphrase is wrong") from None
    raise KeystoreError(f"KOINON_ACCOUNT={name}: brownie has no such account, and there is no such keystore file")


def send(proposal: Proposal, yes: str = "") -> list[Receipt]:
    """Goes through with a proposal; on a live network it asks first, unless `yes`, the argument, or KOINON_YES is yes.

    Raises as `carry_out`: not brownie's sending, which on a busy machine gives up a transaction whose receipt comes a
    moment after its nonce.
    """
    agreed = [confirmed("yes", yes), confirmed("KOINON_YES", os.environ.get("KOINON_YES", ""))]
    manner = Manner(on_development_network() or any(agreed), False, False, "yes=yes, or set KOINON_YES=yes")
    return carry_out(node(), signer().address, proposal, manner, signer, _send_and_say) or []


def _send_and_say(account: LocalAccount, step: Step) -> Receipt:
    receipt = send_alone(node())(account, step)
    if step.done:
        print(step.done)
    return receipt


def factory_file() -> Path | None:
    """Where this chain's factory is written down; None where it is not."""
    return deployment_file(node().eth.chain_id, passing=on_development_network())


def deploy_factory(yes: str = "") -> Factory:
    """Deploys a factory and writes its address down."""
    if file := factory_file():
        make_folder(file)
    [receipt] = send(Proposal([Step("factory deployed", factory_deployment())]), yes)
    factory = Factory(node(), str(receipt.contract))
    if file:
        record(file, factory, receipt)
        print(f"written to {file}")
    return factory


def find_factory(address: str) -> Factory:
    """The factory at `address`, else the one that was deployed on this chain."""
    if address:
        return Factory(node(), address)
    file = factory_file()
    if file and file.exists():
        return recorded_factory(node(), file)
    if on_development_network():
        return deploy_factory()
    raise ConfigurationError(
        f"no factory is known on chain {node().eth.chain_id}: run `deploy` first, or say factory=ADDRESS"
    )


def make_federation(factory: Factory, terms: FederationTerms, salt: int, yes: str = "") -> Federation:
    """A federation that belongs to the signer."""
    proposal = creation(factory, signer().address, terms, salt)
    [receipt] = send(proposal, yes)
    print(f"{proposal.done}, on chain {factory.chain_id}")
    return Federation(node(), factory.created(receipt))


def find_federation(address: str) -> Federation:
    """The federation at `address`, which the factory that this version ships has made."""
    if address:
        return federation_at(node(), address)
    if not on_development_network():
        raise ConfigurationError("federation= is missing: the address that `create_federation` printed")
    return make_federation(find_factory(""), FederationTerms(), 0)
