"""The contracts as they ship inside the package: interface and bytecode, written by `make abi`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from web3 import Web3

from processor.errors import ChainError
from processor.types import Address


@dataclass(frozen=True)
class Artifact:
    """`abi` as the compiler writes it; `bytecode` is the creation code, `deployed_bytecode` what that leaves on chain:
    "0x" and hexadecimal digits."""

    abi: list[dict[str, Any]]
    bytecode: str
    deployed_bytecode: str


@cache
def load(name: str) -> Artifact:
    """The shipped contract `name`: "Federation" or "FederationFactory"."""
    shipped = json.loads((files("processor.chain") / "abi" / f"{name}.json").read_text("utf-8"))
    return Artifact(shipped["abi"], shipped["bytecode"], shipped["deployedBytecode"])


@cache
def errors() -> dict[str, dict[str, Any]]:
    """Every custom error that a shipped contract can revert with, by name."""
    entries = [*load("Federation").abi, *load("FederationFactory").abi]
    return {entry["name"]: entry for entry in entries if entry["type"] == "error"}


def to_address(text: str) -> Address:
    """An address as a person wrote it, checksummed.

    Raises ChainError for anything else, an address with a wrong EIP-55 checksum included.
    """
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ChainError(f"{text[:64]!r} is not an address: expected 0x and 40 hexadecimal digits")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not Web3.is_checksum_address(text):
        raise ChainError(f"the address {text} has a typing error: the case of its letters does not match its checksum")
    return str(Web3.to_checksum_address(text))
