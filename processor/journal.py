"""What a daemon must not forget: one SQLite file for each wallet and federation.

Everything that is written is on disk before the call returns, and whole: a daemon may be killed at any moment. A reader
beside the daemon that writes (`koinon client status`) is fine.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from processor.errors import JournalError
from processor.types import Address, Cid

VERSION = 1
SCHEMA = """
CREATE TABLE identity (chain_id INTEGER NOT NULL, federation TEXT NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TABLE intents (
    kind TEXT NOT NULL,
    round INTEGER,
    nonce INTEGER NOT NULL,
    tx_hash TEXT NOT NULL UNIQUE,
    status TEXT,
    block INTEGER
) STRICT;
CREATE TABLE updates (
    round INTEGER NOT NULL,
    sealing_key BLOB NOT NULL,
    cid TEXT NOT NULL,
    path TEXT NOT NULL,
    compute_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    PRIMARY KEY (round, sealing_key)
) STRICT;
CREATE TABLE metered (
    round INTEGER NOT NULL,
    sealing_key BLOB NOT NULL,
    ms INTEGER NOT NULL,
    PRIMARY KEY (round, sealing_key)
) STRICT;
CREATE TABLE secrets (public_key BLOB PRIMARY KEY, encrypted BLOB NOT NULL) STRICT;
"""
PATIENCE = 10.0
"""Seconds to wait for another process that is writing."""


@dataclass(frozen=True)
class Intent:
    """A transaction that was signed, written down before it was broadcast; no status until its fate is known."""

    kind: str
    round: int | None
    nonce: int
    tx_hash: str
    status: str | None
    block: int | None


@dataclass(frozen=True)
class SavedUpdate:
    """A sealed update as it was or will be submitted: to be sent again, never to be made again.

    Round and sealing key together name it: after a reorganization a round of the same number is another one.
    """

    round: int
    sealing_key: bytes
    cid: Cid
    path: Path
    compute_ms: int
    samples: int


class Journal:
    """The journal of one wallet in one federation, made where there is none.

    Raises JournalError where the file is of another wallet, federation, chain or version, or is no journal.
    """

    def __init__(self, path: Path, chain_id: int, federation: Address, address: Address) -> None:
        self.path = path
        with self._readable():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives the files beside it the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            self._open((chain_id, federation, address))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def record_intent(self, kind: str, round: int | None, nonce: int, tx_hash: str) -> None:
        """Writes down a signed transaction, before it is broadcast. Writing the same one again changes nothing."""
        self._write(
            "INSERT INTO intents (kind, round, nonce, tx_hash) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (kind, round, nonce, tx_hash),
        )

    def settle_intent(self, tx_hash: str, status: str, block: int | None) -> None:
        """Writes down what became of a transaction. Raises JournalError for one that was never recorded."""
        if self._write("UPDATE intents SET status = ?, block = ? WHERE tx_hash = ?", (status, block, tx_hash)) == 0:
            raise JournalError(f"the journal {self.path} has no intent for transaction {tx_hash}")

    def intents(self) -> list[Intent]:
        """Every transaction, in the order in which they were signed."""
        rows = self._read("SELECT kind, round, nonce, tx_hash, status, block FROM intents ORDER BY rowid")
        return [Intent(*row) for row in rows]

    def open_intents(self) -> list[Intent]:
        """The transactions whose fate is not known yet."""
        return [intent for intent in self.intents() if intent.status is None]

    def save_update(self, update: SavedUpdate) -> None:
        """Keeps what is to be submitted. Raises JournalError where the round has its update already."""
        try:
            self._write(
                "INSERT INTO updates (round, sealing_key, cid, path, compute_ms, samples) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    update.round,
                    update.sealing_key,
                    update.cid,
                    str(update.path),
                    update.compute_ms,
                    update.samples,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise JournalError(
                f"the journal {self.path} has an update for round {update.round} already: there is one per round"
            ) from error

    def update_for(self, round: int, sealing_key: bytes) -> SavedUpdate | None:
        rows = self._read(
            "SELECT cid, path, compute_ms, samples FROM updates WHERE round = ? AND sealing_key = ?",
            (round, sealing_key),
        )
        for cid, path, compute_ms, samples in rows:
            return SavedUpdate(round, sealing_key, cid, Path(path), compute_ms, samples)
        return None

    def add_metered(self, round: int, sealing_key: bytes, ms: int) -> None:
        """Adds compute time to what the round has taken so far."""
        self._write(
            "INSERT INTO metered (round, sealing_key, ms) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET ms = ms + excluded.ms",
            (round, sealing_key, ms),
        )

    def metered_ms(self, round: int, sealing_key: bytes) -> int:
        rows = self._read("SELECT ms FROM metered WHERE round = ? AND sealing_key = ?", (round, sealing_key))
        return rows[0][0] if rows else 0

    def save_secret(self, public_key: bytes, encrypted: bytes) -> None:
        """Keeps a round's sealing secret, encrypted by the caller. Raises JournalError for a second one."""
        try:
            self._write("INSERT INTO secrets (public_key, encrypted) VALUES (?, ?)", (public_key, encrypted))
        except sqlite3.IntegrityError as error:
            raise JournalError(f"the journal {self.path} has a secret for {public_key.hex()} already") from error

    def secret_for(self, public_key: bytes) -> bytes | None:
        rows = self._read("SELECT encrypted FROM secrets WHERE public_key = ?", (public_key,))
        return rows[0][0] if rows else None

    def _open(self, identity: tuple[int, Address, Address]) -> None:
        with self._readable():
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("BEGIN IMMEDIATE")
            [[version]] = self._database.execute("PRAGMA user_version")
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    self._database.execute(statement)
                self._database.execute("INSERT INTO identity VALUES (?, ?, ?)", identity)
                self._database.execute(f"PRAGMA user_version = {VERSION}")
            self._database.execute("COMMIT")
            if version not in (0, VERSION):
                raise JournalError(f"the journal {self.path} has version {version}, this program reads {VERSION}")
            [found] = self._database.execute("SELECT chain_id, federation, address FROM identity")
        if found != identity:
            chain_id, federation, address = found
            raise JournalError(
                f"the journal {self.path} belongs to {address} in federation {federation} on chain {chain_id}, "
                f"expected {identity[2]} in {identity[1]} on chain {identity[0]}: choose another state directory"
            )

    def _write(self, statement: str, values: tuple[object, ...]) -> int:
        """One statement is one transaction; gives the number of rows that it changed."""
        with self._readable():
            return self._database.execute(statement, values).rowcount

    def _read(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        with self._readable():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"the journal {self.path} cannot be used: {error}") from error
