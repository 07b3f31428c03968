"""What the scripts share: their arguments, who signs, and where the contracts are.

A script runs as `brownie run NAME main [name=value ...] --network NETWORK` (scripts/__main__.py: where brownie cannot):

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
first. On a live network these say the rest, and a script asks before it sends:

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
from dataclasses import astuple, replace
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from brownie import Wei, accounts, chain, project, web3
from brownie._config import CONFIG
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.chain import federation as on_chain
from processor.chain.asset import Asset, allowance, approval_needed, approve, asset_at
from processor.chain.provider import connect
from processor.chain.transactions import Call, Receipt, Sender
from processor.cid import digest_of
from processor.config import RATE_DECIMALS
from processor.errors import KoinonError
from processor.types import FederationTerms

DEVELOPMENT_CHAINS = (1337, 31337)
REQUIRED = object()
MOST = 2**112 - 1  # of an amount that the contract keeps; of a stake 2**128 - 1
Result = TypeVar("Result")
Choice = TypeVar("Choice", bound=IntEnum)

_project = project.get_loaded_projects()[0]
Federation, FederationFactory = _project.Federation, _project.FederationFactory
for _container in (Federation, FederationFactory):
    _container._build.pop("allSourcePaths", None)  # with it brownie 1.22 cannot record a contract of a live network


def fail(message: str) -> NoReturn:
    sys.exit(f"ERROR: {message}")


def or_fail(function: Callable[..., Result], *arguments: Any) -> Result:
    """What a function of the package returns. Ends the script with its sentence where it refuses."""
    try:
        return function(*arguments)
    except KoinonError as error:
        fail(str(error))


def read_arguments(given: tuple[str, ...], **known: Any) -> dict[str, Any]:
    """The values of `name=value` arguments; `known` maps each name to its default, or to REQUIRED.

    Ends the script with all mistakes at once.
    """
    pairs = dict(argument.partition("=")[::2] for argument in given)
    mistakes = [f"{name}= is not an argument of this script" for name in pairs if name not in known]
    mistakes += [
        f"{name}= is missing" for name, default in known.items() if default is REQUIRED and not pairs.get(name)
    ]
    if mistakes:
        fail("; ".join(mistakes) + f". Arguments: {', '.join(f'{name}=' for name in known)}")
    return {**known, **pairs}


def choice(name: str, text: str, kind: type[Choice]) -> Choice:
    """The member of `kind` that an argument names."""
    names = {member.name.lower(): member for member in kind}
    if text not in names:
        fail(f"{name}={text} is not known: expected {' or '.join(names)}")
    return names[text]


def number(name: str, text: str, least: int, most: int) -> int:
    """The whole number that an argument gives."""
    if not text.isdecimal() or not text.isascii() or len(text) > 20 or not least <= int(text) <= most:
        fail(f"{name}={text} is not known: expected a whole number from {least} to {most}")
    return int(text)


def confirmed(name: str, text: str) -> bool:
    """Whether an argument that is `yes` or left out was given."""
    if text not in ("", "yes"):
        fail(f"{name}={text} is not known: expected yes, or nothing at all")
    return text == "yes"


def on_development_network() -> bool:
    return bool(CONFIG.network_type == "development")


@cache
def node() -> Web3:
    """The network's node, without what brownie puts in front of it: its cache may answer with a nonce of before."""
    address = getattr(web3.provider, "endpoint_uri", None) or web3.provider.ipc_path
    return or_fail(connect, str(address))


@cache
def signer() -> LocalAccount:
    """The account that signs."""
    if on_development_network():
        account: LocalAccount = Account.create()
        paid = web3.eth.send_transaction({"from": accounts[0].address, "to": account.address, "value": 10**20})
        web3.eth.wait_for_transaction_receipt(paid)
        return account
    name = os.environ.get("KOINON_ACCOUNT")
    if not name:
        fail("KOINON_ACCOUNT is not set: a name that `brownie accounts list` shows, or the path of a keystore file")
    passphrase = os.environ.get("KOINON_PASSPHRASE")
    if file := os.environ.get("KOINON_PASSPHRASE_FILE"):
        try:
            passphrase = Path(file).read_text().rstrip("\r\n")
        except OSError as error:
            fail(f"KOINON_PASSPHRASE_FILE cannot be read: {error}")
    try:
        return Account.from_key(accounts.load(name, passphrase).private_key)
    except FileNotFoundError:
        fail(f"KOINON_ACCOUNT={name}: brownie has no such account, and there is no such keystore file")
    except ValueError:
        fail(f"KOINON_ACCOUNT={name}: the passphrase is wrong, or the file is no keystore")


@cache
def sender() -> Sender:
    """Not brownie's: on a busy machine that gives up a transaction whose receipt comes a moment after its nonce."""
    return or_fail(Sender, node(), signer())


def call_of(method: Any, *arguments: Any, value: int = 0) -> Call:
    """The transaction of a contract's method, or of a deployment."""
    data = bytes.fromhex(method.encode_input(*arguments).removeprefix("0x"))
    return Call(getattr(method, "_address", None), data, value, _in_words(method))


def attempt(method: Any, *arguments: Any, value: int = 0) -> Receipt:
    """Sends a transaction and waits for it. Raises ChainError with a sentence where it is refused."""
    return sender().send(call_of(method, *arguments, value=value))


def transact(method: Any, *arguments: Any, value: int = 0) -> Receipt:
    """Sends a transaction and waits for it. Ends the script with a sentence where it is refused."""
    receipt: Receipt = or_fail(lambda: attempt(method, *arguments, value=value))
    return receipt


def deployment_file() -> Path | None:
    """Where the addresses on this chain are kept; None where they are not."""
    if folder := os.environ.get("KOINON_DEPLOYMENTS"):
        return Path(folder) / f"{chain.id}.json"
    if on_development_network() or chain.id in DEVELOPMENT_CHAINS:
        return None
    return Path(_project._path) / "deployments" / f"{chain.id}.json"


def deploy_factory() -> Any:
    """Deploys a factory and remembers its address."""
    receipt = transact(FederationFactory.deploy)
    factory = FederationFactory.at(receipt.contract)
    if file := deployment_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = {"factory": factory.address, "block": receipt.block, "transaction": receipt.tx_hash}
        file.write_text(json.dumps(made, indent=2) + "\n")
        print(f"written to {file}")
    return factory


def find_factory(address: str) -> Any:
    """The factory at `address`, else the one that was deployed on this chain."""
    file = deployment_file()
    if not address and file and file.exists():
        address = json.loads(file.read_text())["factory"]
    if not address:
        if on_development_network():
            return deploy_factory()
        fail(f"no factory is known on chain {chain.id}: run `deploy` first, or say factory=ADDRESS")
    return FederationFactory.at(or_fail(on_chain.Factory, node(), address).address)


def make_federation(factory: Any, terms: FederationTerms, salt: int) -> Any:
    """A federation that belongs to the signer."""
    receipt = transact(factory.createFederation, astuple(terms), salt)
    return Federation.at(or_fail(on_chain.Factory, node(), factory.address).created(receipt))


def read_federation(federation: Any) -> on_chain.Federation:
    """The federation as the package reads it."""
    reader: on_chain.Federation = or_fail(on_chain.Federation, node(), federation.address)
    return reader


def find_federation(address: str) -> Any:
    """The federation at `address`, which the factory that this version ships has made."""
    if address:
        reader = or_fail(on_chain.Federation, node(), address)
        if not or_fail(reader.genuine):
            fail(f"the contract at {address} is no federation that the factory of this version made: check the address")
        return Federation.at(reader.address)
    if not on_development_network():
        fail("federation= is missing: the address that `create_federation` printed")
    return make_federation(find_factory(""), FederationTerms(), 0)


def asset_of(federation: Any) -> Asset:
    """What the federation's rewards and stakes are paid in."""
    return or_fail(asset_at, node(), federation.terms()["asset"])


def escrow(federation: Any, asset: Asset, amount: int) -> int:
    """Sees to it that the federation can take `amount` from the signer; the coins that the transaction must carry."""
    if asset.native:
        return amount
    allowed = or_fail(allowance, node(), asset, signer().address, federation.address)
    while (needed := approval_needed(allowed, amount)) is not None:
        or_fail(sender().send, approve(asset, federation.address, needed))
        print(f"approved {asset.format(needed)} for {federation.address}")
        allowed = needed
    return 0


def digest(cid: str) -> bytes:
    """What the chain keeps of a CIDv0."""
    return or_fail(digest_of, cid)


def rate_of(asset: Asset, text: str) -> int:
    """10^-9 of a smallest unit: a number of them, "0.5 ether", or a number of whole units with the symbol."""
    number, _, unit = text.partition(" ")
    finer = replace(asset, decimals=asset.decimals + RATE_DECIMALS)
    if unit == asset.symbol or (unit == "ether" and asset.native):
        return or_fail(finer.parse, number)
    return amount_of(finer, text) * (10**RATE_DECIMALS if unit else 1)


def amount_of(asset: Asset, text: str, most: int = MOST) -> int:
    """Smallest units of the asset: a number of them, "0.5 ether", or a number of whole units with the symbol."""
    number, _, unit = text.partition(" ")
    if unit == asset.symbol:
        return or_fail(asset.parse, number)
    try:
        amount = int(Wei(text)) if unit and asset.native else int(text)
    except (TypeError, ValueError):
        amount = -1
    if not 0 <= amount <= most:
        example = f"0.5 {'ether' if asset.native else asset.symbol}"
        fail(
            f"{text!r} is not an amount of {asset.symbol}: expected a number of smallest units, or one like '{example}'"
        )
    return amount


def confirm(question: str) -> None:
    """Asks before anything of a live network changes, where there is somebody to ask."""
    if on_development_network() or not sys.stdin.isatty():
        return
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        fail("stopped, nothing was sent")


def _in_words(method: Any) -> str:
    """Completes "cannot ...": `Federation.openRound` opens a round."""
    name = method._name.rpartition(".")[2] if getattr(method, "_address", None) else "deploy"
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
