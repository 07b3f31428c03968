"""Where the factory of a chain is written down, for `deploy` to write and `create_federation` to find.

The file is <chain id>.json in the folder that KOINON_DEPLOYMENTS names. Without the variable that is `deployments` of
the checkout for a public chain, and for a chain for development (1337, 31337), of which there are many with one id,
`deployments` of the folder that the script runs in. brownie's own development network, which ends with the script, has
none.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from web3 import Web3

from processor.chain.federation import Factory
from processor.chain.finality import DEVELOPMENT
from processor.chain.transactions import Receipt
from processor.errors import ConfigurationError, WrongAddress
from processor.files import replacing
from processor.texts import read_text
from processor.words import reason

CHECKOUT = Path(__file__).resolve().parent.parent


def deployment_file(chain_id: int, passing: bool) -> Path | None:
    """The file of a chain; None where nothing is to be written for it, because it is `passing`."""
    if folder := os.environ.get("KOINON_DEPLOYMENTS"):
        return Path(folder) / f"{chain_id}.json"
    if passing:
        return None
    return (Path.cwd() if chain_id in DEVELOPMENT else CHECKOUT) / "deployments" / f"{chain_id}.json"


def recorded_factory(web3: Web3, file: Path) -> Factory:
    """The factory that a file names, which is there.

    Raises ConfigurationError where the file names none, or one that is not on this chain.
    """
    chain_id = web3.eth.chain_id
    try:
        address = str(json.loads(read_text(file, "the record of the factory", ConfigurationError))["factory"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(
            f"{file} names no factory: expected what `deploy` writes. Remove it and deploy, or say factory=ADDRESS"
        ) from None
    try:
        return Factory(web3, address)
    except WrongAddress:
        raise ConfigurationError(
            f"{file} names the factory {address}, and chain {chain_id} has no factory of this version there: it is of "
            "another chain with this id, or of another version. Remove it and deploy, or say factory=ADDRESS"
        ) from None


def require_undeployed(web3: Web3, file: Path) -> None:
    """Raises ConfigurationError where the chain has its factory already.

    The record of a development chain that is gone, as one ends with its node, is no reason.
    """
    if not file.exists():
        return
    chain_id = web3.eth.chain_id
    if chain_id in DEVELOPMENT:
        try:
            recorded_factory(web3, file)
        except ConfigurationError:
            return
    raise ConfigurationError(
        f"{file} names the factory of chain {chain_id} already; remove the file to deploy another one"
    )


def make_folder(file: Path) -> None:
    """Makes the folder of a record. Raises ConfigurationError where that cannot be: nothing needs to be spent then."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {file.parent}, where the factory's address is to be kept, cannot be made: {reason(error)}. "
            "Name another with KOINON_DEPLOYMENTS"
        ) from None


def record(file: Path, factory: Factory, receipt: Receipt) -> None:
    """Writes down where a factory is. Raises ConfigurationError, which names it, where that cannot be written."""
    made = {"factory": factory.address, "block": receipt.block, "transaction": receipt.tx_hash}
    try:
        with replacing(file) as written:
            written.write(json.dumps(made, indent=2).encode() + b"\n")
    except OSError as error:
        raise ConfigurationError(
            f"the factory is {factory.address}, and {file} cannot be written: {reason(error)}. Keep the address, and "
            "say factory=ADDRESS to `create_federation`"
        ) from None
