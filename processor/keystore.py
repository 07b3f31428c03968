"""Wallets as encrypted files, passphrases and where they come from, and encryption of what a daemon keeps.

A wallet is a version 3 key file, as geth, brownie and eth-account write and read it. A private key is never written in
the clear, and neither it nor a passphrase is ever part of a message.
"""

from __future__ import annotations

import getpass
import json
import locale
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from nacl.encoding import RawEncoder
from nacl.exceptions import CryptoError
from nacl.hash import blake2b
from nacl.secret import SecretBox

from processor.errors import KeystoreError
from processor.files import PRIVATE, replacing
from processor.key_files import list_wallets, read_key_file, wallet_at
from processor.texts import MARK, read_text
from processor.types import Address
from processor.words import reason

PASSPHRASE_VARIABLE = "KOINON_PASSPHRASE"
OTHERS, EVERYBODY = 0o077, 0o007
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Set by systemd (LoadCredential): the folder of a service's secrets, which nobody else can enter."""
NAME_A_FILE = "name a file with --passphrase-file"
"""How a command that reads no configuration is told where the passphrase is."""


def create(directory: Path, passphrase: str, *, iterations: int | None = None) -> Address:
    """Makes a new wallet. `iterations` is scrypt's cost; the default is what geth uses for keys of value."""
    return _save(directory, Account.create(), passphrase, iterations)


def import_key(directory: Path, private_key: str, passphrase: str, *, iterations: int | None = None) -> Address:
    """Makes a wallet of a private key of 64 hexadecimal digits, with or without 0x.

    Raises KeystoreError for anything else, and where the directory has that wallet already.
    """
    try:
        key = bytes.fromhex(private_key.removeprefix(MARK).strip().removeprefix("0x"))
        if not any(key):  # which eth-account would accept
            raise ValueError
        account = Account.from_key(key)
    except Exception:  # Whatever it says may show the key.
        raise KeystoreError(
            "this is not a private key: expected 64 hexadecimal digits, with or without 0x in front"
        ) from None
    return _save(directory, account, passphrase, iterations)


def unlock(path: Path, passphrase: str) -> LocalAccount:
    """The account of a wallet, or of the one wallet in a folder.

    A wallet that opens only with the passphrase as an earlier version of this program took it from a file (with the
    file's byte order mark in front, or read in the locale's encoding) opens too.

    Raises KeystoreError for a wrong passphrase, and for a file that is missing, damaged or no wallet.
    """
    path = wallet_at(path)
    content, address = read_key_file(path)
    tries = (passphrase, *_as_read_before(passphrase))
    account = next((found for each in tries if (found := _opened(path, content, each)) is not None), None)
    if account is None:
        raise KeystoreError(f"wrong passphrase for the wallet {path}")
    if address is not None and account.address != address:
        raise KeystoreError(f"the wallet {path} says it holds {address}, but its key is that of {account.address}")
    return account


def passphrase(
    prompt: bool,
    file: Path | None = None,
    env: str = PASSPHRASE_VARIABLE,
    *,
    confirm: bool = False,
    name_a_file: str = NAME_A_FILE,
) -> str:
    """The passphrase: the first line of `file` where one is named, else the variable `env`, else what is typed.

    `confirm` asks twice, for a new wallet; `name_a_file` is what a person does to name a file here. Raises
    KeystoreError where there is none, where it is empty, and for a file that others can read.
    """
    if file is not None:
        found = first_line(file)
        empty = f"the first line of {file} has to hold it"
    elif env in os.environ:
        found = _in_environment(env).removeprefix(MARK)
        empty = f"{env} is set, but to nothing: set it to the passphrase, or unset it"
    elif prompt and sys.stdin.isatty():
        found = getpass.getpass("Passphrase: ")
        empty = "nothing was typed"
        if confirm and found and getpass.getpass("The same again: ") != found:
            raise KeystoreError("the two passphrases differ: nothing was done")
    else:
        raise KeystoreError(f"no passphrase: {name_a_file}, set {env}, or run it in a terminal")
    if not found:
        raise KeystoreError(f"the passphrase is empty: {empty}")
    if any(0xD800 <= ord(letter) < 0xE000 for letter in found):
        raise KeystoreError("the passphrase has bytes that are no letters in this locale: write it as UTF-8")
    return found


def first_line(file: Path) -> str:
    """The first line of a file with a secret in it.

    Raises KeystoreError for a file that others than its owner can read, and says how to mend that.
    """
    try:
        if file.is_file() and file.stat().st_mode & (EVERYBODY if _is_credential(file) else OTHERS):
            raise KeystoreError(f"others can read {file}, which holds a secret: run `chmod 600 {file}`")
    except OSError as error:
        raise KeystoreError(f"the secret in {file} cannot be read: {reason(error)}") from error
    return read_text(file, "the secret in", KeystoreError).split("\n", 1)[0].rstrip("\r")


def _is_credential(file: Path) -> bool:
    """Whether systemd keeps the file for this service: it lets the service's user in by an access list, whose mask
    looks like a permission of the group."""
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    return bool(folder) and file.resolve().parent == Path(str(folder)).resolve()


def _in_environment(name: str) -> str:
    """A variable's text: UTF-8 as in a file, whatever the locale, or else as the locale has it."""
    try:
        return os.environb[name.encode()].decode()
    except UnicodeDecodeError:
        return os.environ[name]


def _as_read_before(passphrase: str) -> list[str]:
    """What earlier versions took for the passphrase, where its file was UTF-8 as now."""
    found = [MARK + passphrase]
    for text in (passphrase, MARK + passphrase):
        try:
            found.append(text.encode().decode(locale.getencoding()))
        except (UnicodeError, LookupError):
            continue
    return [each for each in dict.fromkeys(found) if each != passphrase]


def _opened(path: Path, content: dict[str, Any], passphrase: str) -> LocalAccount | None:
    """The account in a key file's content; None for a wrong passphrase. Raises KeystoreError where it is damaged."""
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(content, passphrase))
    except Exception as error:  # Whatever the libraries say of it may show the key.
        if isinstance(error, ValueError) and str(error) == "MAC mismatch":
            return None
        raise KeystoreError(f"the wallet {path} is damaged: its key cannot be decrypted") from None
    return account


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
        raise KeystoreError(f"the wallet cannot be written to {directory}: {reason(error)}") from error
    return account.address
