"""What the scripts share: their arguments, who signs, and where the contracts are.

A script runs as `brownie run NAME main [name=value ...] --network NETWORK` (scripts/__main__.py: where brownie cannot):

    deploy                    the factory, once per chain
    create_federation         a federation of the signer's, with terms that never change
    voucher                   admits one client, or takes that back
    open_round, fund          move the asset into the federation; where that is a token, they approve it first
    operator, pause, transfer who runs the rounds, whether any opens, who owns the federation
    pay                       the rewards that clients have not claimed, to the clients
    close, withdraw           end the federation, and take out what is carried
    inspect                   everything that the chain knows of a federation; needs no account

An amount is a whole number of smallest units, or has a unit: "0.5 ether", or the asset's own symbol, as in "0.5 USDC".
On brownie's development network the first local account signs, and what is missing (a factory, a federation with one
client) is made first. On a live network these say the rest, and a script asks before it sends:

    KOINON_ACCOUNT            the account that signs: a name that `brownie accounts list` shows, or a keystore file
    KOINON_PASSPHRASE_FILE    a file with its passphrase, or KOINON_PASSPHRASE itself; without either, a prompt asks
    KOINON_DEPLOYMENTS        the folder of <chain id>.json; `deployments` unless it is set. Chains for development
                              (1337, 31337) have no place there: without the variable nothing is written for them
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from brownie import Wei, accounts, chain, project, web3
from brownie._config import CONFIG
from brownie.exceptions import VirtualMachineError
from web3.exceptions import ContractLogicError, Web3Exception

from processor.chain.asset import Asset, allowance, approval_needed, approve, asset_at
from processor.chain.genuine import is_genuine
from processor.chain.reverts import revert_of
from processor.cid import digest_of
from processor.errors import ChainError, KoinonError
from processor.types import FederationTerms

DEVELOPMENT_CHAINS = (1337, 31337)
REQUIRED = object()
PAGE = 100
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


def confirmed(name: str, text: str) -> bool:
    """Whether an argument that is `yes` or left out was given."""
    if text not in ("", "yes"):
        fail(f"{name}={text} is not known: expected yes, or nothing at all")
    return text == "yes"


def on_development_network() -> bool:
    return bool(CONFIG.network_type == "development")


@cache
def signer() -> Any:
    """The account that signs."""
    if on_development_network():
        return accounts[0]
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
        return accounts.load(name, passphrase)
    except FileNotFoundError:
        fail(f"KOINON_ACCOUNT={name}: brownie has no such account, and there is no such keystore file")
    except ValueError:
        fail(f"KOINON_ACCOUNT={name}: the passphrase is wrong, or the file is no keystore")


def attempt(method: Callable[..., Any], *arguments: Any, value: int = 0) -> Any:
    """Sends a transaction and waits for it. Raises ChainError with a sentence where it is refused."""
    try:
        return method(*arguments, {"from": signer(), "value": value})
    except ContractLogicError as error:
        raise revert_of(error) from None
    except (VirtualMachineError, Web3Exception, ValueError) as error:
        raise ChainError(f"the transaction was not sent: {error}") from None


def transact(method: Callable[..., Any], *arguments: Any, value: int = 0) -> Any:
    """Sends a transaction and waits for it. Ends the script with a sentence where it is refused."""
    return or_fail(lambda: attempt(method, *arguments, value=value))


def deployment_file() -> Path | None:
    """Where the addresses on this chain are kept; None where they are not."""
    if folder := os.environ.get("KOINON_DEPLOYMENTS"):
        return Path(folder) / f"{chain.id}.json"
    if on_development_network() or chain.id in DEVELOPMENT_CHAINS:
        return None
    return Path(_project._path) / "deployments" / f"{chain.id}.json"


def deploy_factory() -> Any:
    """Deploys a factory and remembers its address."""
    factory = transact(FederationFactory.deploy)
    if file := deployment_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = {"factory": factory.address, "block": factory.tx.block_number, "transaction": factory.tx.txid}
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
    return _contract(FederationFactory, address, "federationCount")


def make_federation(factory: Any, terms: FederationTerms) -> Any:
    """A federation that belongs to the signer."""
    made = transact(factory.createFederation, astuple(terms))
    return Federation.at(made.events["FederationCreated"]["federation"])


def find_federation(address: str) -> Any:
    """The federation at `address`, whose code is the one that this version ships."""
    if address:
        federation = _contract(Federation, address, "roundCount")
        if not is_genuine(bytes(web3.eth.get_code(federation.address)), federation.address):
            fail(f"the contract at {address} has other code than the federation that this version ships")
        return federation
    if not on_development_network():
        fail("federation= is missing: the address that `create_federation` printed")
    federation = make_federation(find_factory(""), FederationTerms())
    federation.register({"from": accounts[1]})
    return federation


def asset_of(federation: Any) -> Asset:
    """What the federation's rewards and stakes are paid in."""
    return or_fail(asset_at, web3, federation.terms()["asset"])


def escrow(federation: Any, asset: Asset, amount: int) -> int:
    """Sees to it that the federation can take `amount` from the signer; the coins that the transaction must carry."""
    if asset.native:
        return amount
    allowed = or_fail(allowance, web3, asset, signer().address, federation.address)
    while (needed := approval_needed(allowed, amount)) is not None:
        data = "0x" + approve(asset, federation.address, needed).data.hex()
        transact(lambda transaction, data=data: transaction["from"].transfer(asset.address, 0, data=data))
        print(f"approved {asset.format(needed)} for {federation.address}")
        allowed = needed
    return 0


def pages(read: Callable[..., Any], count: int, *arguments: Any, **at: int) -> Iterator[Any]:
    """Everything that a paged view of `count` indices returns."""
    for start in range(0, count, PAGE):
        yield from read(*arguments, start, PAGE, **at)


def digest(cid: str) -> bytes:
    """What the chain keeps of a CIDv0."""
    return or_fail(digest_of, cid)


def amount_of(asset: Asset, text: str) -> int:
    """Smallest units of the asset: a number of them, "0.5 ether", or a number of whole units with the symbol."""
    number, _, unit = text.partition(" ")
    if unit == asset.symbol:
        return or_fail(asset.parse, number)
    try:
        amount = int(Wei(text)) if unit and asset.native else int(text)
    except (TypeError, ValueError):
        amount = -1
    if not 0 <= amount < 2**128:
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


def _contract(container: Any, address: str, probe: str) -> Any:
    try:
        contract = container.at(address)
        getattr(contract, probe)()
    except Exception as error:
        fail(f"no {container._name} at {address} on chain {chain.id}: {error}")
    return contract
