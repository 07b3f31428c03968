"""Whose a wallet is, and its key, for commands that read a configuration."""

from __future__ import annotations

from pathlib import Path

from eth_account.signers.local import LocalAccount

from processor import keystore
from processor.errors import KeystoreError
from processor.files import fingerprint
from processor.key_files import read_key_file, wallet_at
from processor.types import Address

NAME_A_FILE = "name a file as passphrase_file in the configuration"

_opened: dict[str, LocalAccount] = {}
"""The accounts of key files that name no address, so that one command asks for one passphrase once."""


def address_of(wallet: Path, passphrase_file: Path | None = None, *, prompt: bool = True) -> Address:
    """Whose a wallet is. It needs no passphrase where the key file names its address, as most do.

    Raises KeystoreError where there is no wallet, or where it names none and no passphrase is at hand.
    """
    path = wallet_at(wallet)
    if (address := read_key_file(path).address) is not None:
        return address
    known = fingerprint(path)
    if known not in _opened:
        try:
            _opened[known] = unlock(path, passphrase_file, prompt=prompt)
        except KeystoreError as error:
            raise KeystoreError(
                f"the key file {path} does not name its address, so its passphrase is needed to know whose it is: "
                f"{error}"
            ) from None
    return _opened[known].address


def unlock(wallet: Path, passphrase_file: Path | None, *, prompt: bool = True) -> LocalAccount:
    """The account of a wallet, its passphrase from a file, the environment or, with `prompt`, a terminal.

    Raises KeystoreError as `keystore.passphrase` and `keystore.unlock`.
    """
    path = wallet_at(wallet)
    if (known := _opened.get(fingerprint(path))) is not None:
        return known
    return keystore.unlock(path, keystore.passphrase(prompt, passphrase_file, name_a_file=NAME_A_FILE))
