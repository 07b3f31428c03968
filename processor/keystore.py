"""Wallets as encrypted files, passphrases and where they come from, and encryption of what a daemon keeps.

A wallet is a version 3 key file, as geth, brownie and eth-account write and read it. A private key is never written in
the clear, and neither it nor a passphrase is ever part of a message.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from nacl.encoding import RawEncoder
from nacl.exceptions import CryptoError
from nacl.hash import blake2b
from nacl.secret import SecretBox

from processor.errors import KeystoreError
from processor.files import PRIVATE, replacing
from processor.types import Address

PASSPHRASE_VARIABLE = "KOINON_PASSPHRASE"
OTHERS, EVERYBODY = 0o077, 0o007
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Set by systemd (LoadCredential): the folder of a service's secrets, which nobody else can enter."""


class Wallet(NamedTuple):
    """A key file, and the address that it says it holds."""

    address: Address
    path: Path


def create(directory: Path, passphrase: str, *, iterations: int | None = None) -> Address:
    """Makes a new wallet. `iterations` is scrypt's cost; the default is what geth uses for keys of value."""
    return _save(directory, Account.create(), passphrase, iterations)


def import_key(directory: Path, private_key: str, passphrase: str, *, iterations: int | None = None) -> Address:
    """Makes a wallet of a private key of 64 hexadecimal digits, with or without 0x.

    Raises KeystoreError for anything else, and where the directory has that wallet already.
    """
    try:
        key = bytes.fromhex(private_key.strip().removeprefix("0x"))
        if not any(key):  # which eth-account would accept
            raise ValueError
        account = Account.from_key(key)
    except Exception:  # Whatever it says may show the key.
        raise KeystoreError(
            "this is not a private key: expected 64 hexadecimal digits, with or without 0x in front"
        ) from None
    return _save(directory, account, passphrase, iterations)


def list_wallets(directory: Path) -> list[Wallet]:
    """The wallets in a directory, oldest first; other files are passed over."""
    paths = sorted(directory.iterdir()) if directory.is_dir() else []
    return [Wallet(address, path) for path in paths if path.is_file() and (address := address_in(path))]


def unlock(path: Path, passphrase: str) -> LocalAccount:
    """The account of a wallet.

    Raises KeystoreError for a wrong passphrase, and for a file that is missing, damaged or no wallet.
    """
    try:
        content = path.read_text()
    except FileNotFoundError:
        raise KeystoreError(f"there is no wallet at {path}: `koinon wallet new` makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeystoreError(f"the wallet {path} cannot be read: {error}") from error
    address = address_in(path)
    if address is None:
        raise KeystoreError(f"{path} is not a wallet: expected a version 3 Ethereum key file")
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(content, passphrase))
    except ValueError as error:
        if str(error) == "MAC mismatch":
            raise KeystoreError(f"wrong passphrase for the wallet {path}") from None
        raise KeystoreError(f"the wallet {path} is damaged: its key cannot be decrypted") from None
    except (AssertionError, KeyError, NotImplementedError, TypeError):
        raise KeystoreError(f"the wallet {path} is damaged: its key cannot be decrypted") from None
    if account.address != address:
        raise KeystoreError(f"the wallet {path} says it holds {address}, but its key is that of {account.address}")
    return account


def passphrase(prompt: bool, file: Path | None = None, env: str = PASSPHRASE_VARIABLE, *, confirm: bool = False) -> str:
    """The passphrase: the first line of `file` where one is named, else the variable `env`, else what is typed.

    `confirm` asks twice, for a new wallet. Raises KeystoreError where there is none, where it is empty, and for a file
    that others can read.
    """
    if file is not None:
        found = first_line(file)
        source = str(file)
    elif env in os.environ:
        found = os.environ[env]
        source = env
    elif prompt and sys.stdin.isatty():
        found = getpass.getpass("Passphrase: ")
        source = "what was typed"
        if confirm and getpass.getpass("The same again: ") != found:
            raise KeystoreError("the two passphrases differ: nothing was done")
    else:
        raise KeystoreError(f"no passphrase: name a file with --passphrase-file, set {env}, or run it in a terminal")
    if not found:
        raise KeystoreError(f"the passphrase is empty: {source}")
    return found


def first_line(file: Path) -> str:
    """The first line of a file with a secret in it.

    Raises KeystoreError for a file that others than its owner can read, and says how to mend that.
    """
    try:
        if file.stat().st_mode & (EVERYBODY if _is_credential(file) else OTHERS):
            raise KeystoreError(f"others can read {file}, which holds a secret: run `chmod 600 {file}`")
        return file.read_text().split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise KeystoreError(f"{file} cannot be read: {error}") from error


def _is_credential(file: Path) -> bool:
    """Whether systemd keeps the file for this service: it lets the service's user in by an access list, whose mask
    looks like a permission of the group."""
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    return bool(folder) and file.resolve().parent == Path(str(folder)).resolve()


def write_private(path: Path, data: bytes) -> None:
    """Writes a file that its owner alone can read, whole or not at all, in a directory likewise if that is new."""
    private_directory(path.parent)
    with replacing(path, PRIVATE) as file:
        file.write(data)


def private_directory(path: Path) -> Path:
    """Makes a directory that its owner alone can enter, if there is none yet."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def state_key(account: LocalAccount) -> bytes:
    """32 bytes that only this wallet can derive, to encrypt what its daemon keeps: keyed BLAKE2b of nothing."""
    return blake2b(b"", key=bytes(account.key), person=b"koinon-state", digest_size=32, encoder=RawEncoder)


def encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypts with XSalsa20-Poly1305 under a fresh nonce, which the result starts with."""
    return bytes(SecretBox(key).encrypt(data))


def decrypt(key: bytes, data: bytes) -> bytes:
    """What `encrypt` was given. Raises KeystoreError for another key or changed bytes."""
    try:
        return SecretBox(key).decrypt(data)
    except CryptoError as error:
        raise KeystoreError("stored state cannot be decrypted: another wallet wrote it, or it is damaged") from error


def _save(directory: Path, account: LocalAccount, passphrase: str, iterations: int | None) -> Address:
    for wallet in list_wallets(directory):
        if wallet.address == account.address:
            raise KeystoreError(f"{account.address} is already in {wallet.path}: it is left as it is")
    content = json.dumps(account.encrypt(passphrase, kdf="scrypt", iterations=iterations))
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    try:
        write_private(directory / f"UTC--{made}--{account.address[2:].lower()}", content.encode())
    except OSError as error:
        raise KeystoreError(f"the wallet cannot be written to {directory}: {error}") from error
    return account.address


def address_in(path: Path) -> Address | None:
    """The address that a key file says it holds; None for a file that is no key file."""
    try:
        content: Any = json.loads(path.read_text())
        fields = {str(name).lower(): value for name, value in content.items()}
        address = bytes.fromhex(fields["address"].removeprefix("0x"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    if fields.get("version") != 3 or len(address) != 20 or "crypto" not in fields:
        return None
    return to_checksum_address(address)
