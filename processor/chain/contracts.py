"""The contracts as they ship inside the package: interface and bytecode, written by `make abi`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from web3 import Web3
from web3.exceptions import Web3Exception

from processor.errors import ChainError, WrongAddress
from processor.types import Address


@dataclass(frozen=True)
class Artifact:
    """`abi` as the compiler writes it; `bytecode` is the creation code, `deployed_bytecode` what that leaves on chain:
    "0x" and hexadecimal digits. `immutables` says where in the latter the constructor writes what it fixes: by name of
    the variable, the first byte of every 32."""

    abi: list[dict[str, Any]]
    bytecode: str
    deployed_bytecode: str
    immutables: Mapping[str, list[int]]


@cache
def load(name: str) -> Artifact:
    """The shipped contract `name`: "Federation", "FederationFactory", or "Token", the play money of the demo."""
    shipped = json.loads((files("processor.chain") / "abi" / f"{name}.json").read_text("utf-8"))
    return Artifact(shipped["abi"], shipped["bytecode"], shipped["deployedBytecode"], shipped["immutables"])


@cache
def errors() -> dict[str, dict[str, Any]]:
    """Every custom error that a shipped contract can revert with, by name; those of tokens (ERC-6093) too."""
    entries = [entry for name in ("Token", "FederationFactory", "Federation") for entry in load(name).abi]
    return {entry["name"]: entry for entry in entries if entry["type"] == "error"}


def encode(contract: str, function: str, *arguments: Any) -> bytes:
    """The data of a call to a function of the shipped contract.

    Raises ChainError where a value does not fit the parameter's type.
    """
    try:
        data = Web3().eth.contract(abi=load(contract).abi).encode_abi(function, arguments)
    except (Web3Exception, ValueError, TypeError):
        raise ChainError(f"cannot call {function}: a value is negative or larger than the contract can hold") from None
    return bytes.fromhex(data.removeprefix("0x"))


def to_address(text: str) -> Address:
    """An address as a person wrote it, checksummed.

    Raises WrongAddress for anything else, an address with a wrong EIP-55 checksum included.
    """
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise WrongAddress(f"{text[:64]!r} is not an address: expected 0x and 40 hexadecimal digits")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not Web3.is_checksum_address(text):
        raise WrongAddress(
            f"the address {text} has a typing error: the case of its letters does not match its checksum"
        )
    return str(Web3.to_checksum_address(text))
