"""The demo's processes: each daemon on its own, with a wallet, a configuration, a log and a state of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from processor.demo.nodes import Node
from processor.files import replacing
from processor.key_files import wallet_at
from processor.keystore import create, write_private
from processor.types import Address


@dataclass(frozen=True)
class Party:
    """Somebody with a wallet: the organization or a client. `folder` holds all that is theirs."""

    name: str
    folder: Path
    address: Address
    wallet: Path
    passphrase_file: Path

    @property
    def config(self) -> Path:
        return self.folder / f"{self.name.split('-')[0]}.toml"

    @property
    def voucher(self) -> Path:
        """Where a client has its voucher, if it was given one."""
        return self.folder / "voucher.json"

    @property
    def state(self) -> Path:
        return self.folder / "state"


def make_party(folder: Path, name: str) -> Party:
    """A new wallet under a random passphrase that only its own folder knows."""
    passphrase_file = folder / "passphrase"
    passphrase = secrets.token_urlsafe(24)
    write_private(passphrase_file, passphrase.encode())
    address = create(folder / "wallet", passphrase)
    return Party(name, folder, address, wallet_at(folder / "wallet"), passphrase_file)


def write_config(party: Party, settings: dict[str, Any]) -> None:
    """The party's configuration, as `koinon organization init` and `koinon client init` write it, filled in."""
    with replacing(party.config) as file:
        tomli_w.dump(settings, file)


def start_daemon(party: Party, *arguments: str) -> Node:
    """Starts `koinon ARGUMENTS --config ...` in a session of its own, so that only the demo ends it."""
    log = party.folder / "log.jsonl"
    with log.open("ab") as output:
        process = subprocess.Popen(
            koinon(*arguments, "--config", str(party.config)),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Node(process, log)


def koinon(*arguments: str) -> list[str]:
    """The command line of this very installation."""
    return [sys.executable, "-m", "processor.cli", *arguments]


def environment() -> dict[str, str]:
    """This process' environment, without what would override a party's own configuration; one thread for each."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KOINON_")}
    return {**kept, "KOINON_LOG": "json", "OMP_NUM_THREADS": "1"}
