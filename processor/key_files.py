"""Key files (version 3), as far as they can be read without a passphrase: which they are, and whose they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from eth_utils.address import to_checksum_address

from processor.errors import KeystoreError
from processor.texts import read_text
from processor.types import Address
from processor.words import counted, reason

VERSION = 3
MOST_BYTES = 64 * 1024
NEW = "`koinon wallet new` makes one"


class KeyFile(NamedTuple):
    """A key file's content, and the address that it says it holds, None where it names none, as those of Foundry."""

    content: dict[str, Any]
    address: Address | None


class Wallet(NamedTuple):
    """A key file, and the address that it says it holds, None where it names none."""

    address: Address | None
    path: Path


def read_key_file(path: Path) -> KeyFile:
    """Raises KeystoreError where the file cannot be read or is no key file."""
    if _missing(path):
        raise KeystoreError(f"{path} is not a wallet: {NEW}; there is no such file")
    text = read_text(path, "the wallet", KeystoreError, limit=MOST_BYTES)
    try:
        content = json.loads(text)
        fields = {str(name).lower(): value for name, value in content.items()}
        if fields.get("version") != VERSION or not isinstance(fields["crypto"], dict):
            raise ValueError
        return KeyFile(content, _named(fields.get("address")))
    except (ValueError, KeyError, AttributeError, RecursionError):
        raise KeystoreError(f"{path} is not a wallet: expected a version {VERSION} Ethereum key file; {NEW}") from None


def list_wallets(directory: Path) -> list[Wallet]:
    """The wallets in a directory, oldest first by the names that they are given; other files are passed over.

    Raises KeystoreError where the directory cannot be read.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if path.is_file()) if directory.exists() else []
    except OSError as error:
        raise KeystoreError(f"the folder of wallets {directory} cannot be read: {reason(error)}") from error
    wallets = []
    for path in paths:
        try:
            wallets.append(Wallet(read_key_file(path).address, path))
        except KeystoreError:
            continue
    return wallets


def wallet_at(path: Path) -> Path:
    """The key file that is meant: of a folder, the one in it.

    Raises KeystoreError for a folder with no wallet, or with several. What is no folder is not looked at.
    """
    try:
        if not path.is_dir():
            return path
    except OSError:  # whoever opens it says better what is wrong
        return path
    wallets = list_wallets(path)
    if not wallets:
        raise KeystoreError(f"the folder {path} holds no wallet: {NEW} in it with --directory {path}")
    if len(wallets) > 1:
        raise KeystoreError(
            f"the folder {path} holds {counted(len(wallets), 'wallet')}: name the file of one, such as "
            f"{wallets[0].path.name}"
        )
    return wallets[0].path


def _missing(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:  # whoever opens it says better what is wrong
        return False


def _named(address: Any) -> Address | None:
    """The address with its checksum; None where there is none. Raises ValueError where it is something else."""
    if address is None or address == "":
        return None
    if not isinstance(address, str):
        raise ValueError
    named = bytes.fromhex(address.removeprefix("0x"))
    if len(named) != 20:
        raise ValueError
    return to_checksum_address(named)
