"""What the scripts share: their arguments, who signs, and where the contracts are.

A script runs as `brownie run NAME main [name=value ...] --network NETWORK` (scripts/__main__.py: where brownie cannot).
On brownie's development network the first local account signs, and what is missing (a factory, a federation with one
client) is made first. On a live network these say the rest:

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
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from brownie import Wei, accounts, chain, project
from brownie._config import CONFIG
from brownie.exceptions import VirtualMachineError
from web3.exceptions import ContractLogicError, Web3Exception

from processor.chain.reverts import revert_of
from processor.cid import digest_of
from processor.errors import KoinonError

DEVELOPMENT_CHAINS = (1337, 31337)
REQUIRED = object()

_project = project.get_loaded_projects()[0]
Federation, FederationFactory = _project.Federation, _project.FederationFactory
for _container in (Federation, FederationFactory):
    _container._build.pop("allSourcePaths", None)  # with it brownie 1.22 cannot record a contract of a live network


def fail(message: str) -> NoReturn:
    sys.exit(f"ERROR: {message}")


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


def transact(method: Callable[..., Any], *arguments: Any, value: int = 0) -> Any:
    """Sends a transaction and waits for it. Ends the script with a sentence where it is refused."""
    try:
        return method(*arguments, {"from": signer(), "value": value})
    except ContractLogicError as error:
        fail(str(revert_of(error)))
    except (VirtualMachineError, Web3Exception, ValueError) as error:
        fail(f"the transaction was not sent: {error}")


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


def make_federation(factory: Any) -> Any:
    """A federation that belongs to the signer."""
    made = transact(factory.createFederation)
    return Federation.at(made.events["FederationCreated"]["federation"])


def find_federation(address: str) -> Any:
    if address:
        return _contract(Federation, address, "roundCount")
    if not on_development_network():
        fail("federation= is missing: the address that `create_federation` printed")
    federation = make_federation(find_factory(""))
    federation.register({"from": accounts[1]})
    return federation


def digest(cid: str) -> bytes:
    """What the chain keeps of a CIDv0."""
    try:
        return digest_of(cid)
    except KoinonError as error:
        fail(str(error))


def wei(text: str) -> int:
    """An amount such as "0.5 ether", or a number of wei."""
    try:
        return int(Wei(text))
    except (TypeError, ValueError):
        fail(f"{text!r} is not an amount: a number of wei, or one with a unit, as in '0.5 ether'")


def confirm(question: str) -> None:
    """Asks before coins of a live network move, where there is somebody to ask."""
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
