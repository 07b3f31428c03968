"""`koinon wallet`: encrypted key files. A passphrase is typed, read from a file or an environment variable, never given
as an argument."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from processor import keystore
from processor.cli.options import AsJson, print_json
from processor.errors import KeystoreError
from processor.key_files import wallet_at

app = typer.Typer(
    help="Encrypted wallets.", no_args_is_help=True, epilog="Example: koinon wallet new --directory wallets"
)

Directory = Annotated[Path, typer.Option("--directory", "-d", help="Folder of the wallets.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the passphrase (mode 600). Else KOINON_PASSPHRASE, else typed."),
]
WALLETS = Path("wallets")


@app.command(epilog="Example: koinon wallet new --directory wallets")
def new(directory: Directory = WALLETS, passphrase_file: PassphraseFile = None, as_json: AsJson = False) -> None:
    """Make a wallet and print its address and file."""
    passphrase = keystore.passphrase(True, passphrase_file, confirm=True)
    _print(directory, keystore.create(directory, passphrase), as_json)


@app.command("import", epilog="Example: koinon wallet import --key-file key.txt --directory wallets")
def import_(
    directory: Directory = WALLETS,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with the private key (mode 600). Else it is typed.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a wallet of a private key that you have."""
    key = _private_key(key_file)
    passphrase = keystore.passphrase(True, passphrase_file, confirm=True)
    _print(directory, keystore.import_key(directory, key, passphrase), as_json)


@app.command("list", epilog="Example: koinon wallet list --directory wallets --json")
def list_(directory: Directory = WALLETS, as_json: AsJson = False) -> None:
    """List the wallets of a folder."""
    wallets = keystore.list_wallets(directory)
    if as_json:
        print_json([{"address": wallet.address, "file": str(wallet.path)} for wallet in wallets])
        return
    for wallet in wallets:
        print(f"{wallet.address or 'its file names no address':<42}  {wallet.path}")
    if not wallets:
        print(f"no wallets in {directory}: `koinon wallet new` makes one", file=sys.stderr)


@app.command(epilog="Example: koinon wallet address wallets/UTC--2026-11-21T08-00-00.000000Z--0123…")
def address(
    wallet: Annotated[Path, typer.Argument(help="The wallet's file, or a folder with one wallet.")],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Unlock a wallet and print the address of the key in it: a check of the passphrase."""
    wallet = wallet_at(wallet)
    account = keystore.unlock(wallet, keystore.passphrase(True, passphrase_file))
    if as_json:
        print_json({"address": account.address, "file": str(wallet)})
    else:
        print(account.address)


def _private_key(key_file: Path | None) -> str:
    if key_file is not None:
        return keystore.first_line(key_file)
    if not sys.stdin.isatty():
        raise KeystoreError("no private key: name a file with --key-file, or run it in a terminal and type it")
    return getpass.getpass("Private key: ")


def _print(directory: Path, address: str, as_json: bool) -> None:
    (wallet,) = [wallet for wallet in keystore.list_wallets(directory) if wallet.address == address]
    if as_json:
        print_json({"address": address, "file": str(wallet.path)})
    else:
        print(f"{address}  {wallet.path}")
