"""What a relay has promised: everything that it took, with the receipts, in one SQLite file in its state folder.

A receipt leaves only when what it is for is on disk. `over` says why something is not sent (again): the chain shows it,
or the contract refuses it. A reorganization takes all of that back, and the chain is asked again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from processor.errors import JournalBusy, JournalDamaged, JournalError
from processor.keystore import private_directory
from processor.protocol.relaying import (
    DAY,
    REGISTRATION,
    UPDATE,
    Handed,
    HandedUpdate,
    Spent,
    Taken,
    day_of,
    decode_handed,
    encode_handed,
    kind_of,
)
from processor.types import Address

VERSION = 1
SCHEMA = """
CREATE TABLE identity (chain_id INTEGER NOT NULL, federation TEXT NOT NULL, relay TEXT NOT NULL) STRICT;
CREATE TABLE taken (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    client TEXT NOT NULL,
    round INTEGER NOT NULL,
    sealing_key TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    gas INTEGER NOT NULL,
    handed BLOB NOT NULL,
    receipt BLOB NOT NULL,
    over TEXT,
    UNIQUE (kind, client, round, sealing_key)
) STRICT;
CREATE TABLE spent (day INTEGER NOT NULL, client TEXT NOT NULL, kind TEXT NOT NULL, gas INTEGER NOT NULL) STRICT;
CREATE INDEX spent_by_day ON spent (day, client);
"""
PATIENCE = 10.0
"""Seconds to wait for another process that is writing."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def queue_path(state: Path) -> Path:
    """Where a relay with the folder `state` keeps what it took."""
    return state / "queue.sqlite"


@dataclass(frozen=True)
class Waiting:
    """How much was taken that is not over: entries, and the gas that each takes by itself."""

    count: int
    gas: int


class Queue:
    """What one relay took in one federation; for several threads of one process.

    Raises JournalError where the file is of another relay, federation, chain or version, JournalDamaged where it is no
    queue any more, JournalBusy where the disk is full or another process holds it.
    """

    def __init__(self, path: Path, chain_id: int, federation: Address, relay: Address) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._readable():
            private_directory(path.parent)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            self._open((chain_id, federation, relay))
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

    # ------------------------------------------------------------------------------------------------------- taking

    def earlier(self, handed: Handed) -> tuple[Handed, bytes] | None:
        """What stands in the place of `handed`, and its receipt: there is one update for a client and a round, and one
        registration or leaving that is not over."""
        rows = self._read(
            "SELECT handed, receipt FROM taken WHERE kind = ? AND client = ? AND round = ? AND sealing_key = ? "
            "AND (over IS NULL OR kind = ?)",
            (*_place(handed), UPDATE),
        )
        for content, receipt in rows:
            return decode_handed(content), receipt
        return None

    def take(self, handed: Handed, taken_at: int, receipt: bytes, gas: int) -> None:
        """Keeps what a receipt is for, and counts its gas; in the place of a registration or a leaving that is over.

        Raises JournalError where something else is in its place.
        """
        place = _place(handed)
        with self._whole():
            self._run(
                "DELETE FROM taken WHERE kind = ? AND client = ? AND round = ? AND sealing_key = ? "
                "AND over IS NOT NULL AND kind != ?",
                (*place, UPDATE),
            )
            try:
                self._run(
                    "INSERT INTO taken (kind, client, round, sealing_key, taken_at, gas, handed, receipt) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*place, taken_at, gas, encode_handed(handed), receipt),
                )
            except sqlite3.IntegrityError:
                raise JournalError(f"{handed.client} has handed over something else for round {handed.round}") from None
            self._run(
                "INSERT INTO spent (day, client, kind, gas) VALUES (?, ?, ?, ?)",
                (day_of(taken_at), handed.client, kind_of(handed), gas),
            )

    # ------------------------------------------------------------------------------------------------- what is to do

    def updates(self, round: int, sealing_key: bytes) -> tuple[Taken, ...]:
        """The updates and declines of one round that are not over, in the order in which they were taken."""
        rows = self._read(
            "SELECT id, taken_at, handed FROM taken WHERE kind = ? AND round = ? AND sealing_key = ? AND over IS NULL "
            "ORDER BY id",
            (UPDATE, round, sealing_key.hex()),
        )
        return tuple(Taken(id, at, decode_handed(content)) for id, at, content in rows)

    def calls(self, round: int) -> tuple[Taken, ...]:
        """The registrations and leavings that are good in this round and not over, in order."""
        rows = self._read(
            "SELECT id, taken_at, handed FROM taken WHERE kind != ? AND round = ? AND over IS NULL ORDER BY id",
            (UPDATE, round),
        )
        return tuple(Taken(id, at, decode_handed(content)) for id, at, content in rows)

    def finish(self, taken: Taken, why: str) -> None:
        """Not to be tried again: it is done, or the contract refuses it."""
        self._write("UPDATE taken SET over = ? WHERE id = ?", (why, taken.id))

    def doubt(self) -> None:
        """Takes back what is over: the chain was reorganized."""
        self._write("UPDATE taken SET over = NULL WHERE over IS NOT NULL", ())

    def waiting(self, round: int) -> Waiting:
        """What was taken in the round and is not known to be over."""
        rows = self._read(
            "SELECT count(*), coalesce(sum(gas), 0) FROM taken WHERE round = ? AND over IS NULL", (round,)
        )
        return Waiting(*rows[0])

    def served(self) -> list[Address]:
        """The clients whose updates were taken, the first served first."""
        rows = self._read("SELECT client FROM taken WHERE kind = ? GROUP BY client ORDER BY min(id)", (UPDATE,))
        return [client for (client,) in rows]

    def forget(self, before: int) -> None:
        """Drops what was taken before a block time: its rounds are long over."""
        with self._whole():
            self._run("DELETE FROM taken WHERE taken_at < ?", (before,))
            self._run("DELETE FROM spent WHERE day < ?", (before // DAY,))

    # -------------------------------------------------------------------------------------------------------- budgets

    def spend(self, day: int, client: Address, kind: str, gas: int) -> None:
        """Counts gas that is about to be spent for a client without a hand-over."""
        self._write("INSERT INTO spent (day, client, kind, gas) VALUES (?, ?, ?, ?)", (day, client, kind, gas))

    def spent(self, day: int, client: Address) -> Spent:
        """The gas of a day: in all, for one client, and for registrations."""
        [[today, own, registrations]] = self._read(
            "SELECT coalesce(sum(gas), 0), coalesce(sum(gas) FILTER (WHERE client = ?), 0), "
            "coalesce(sum(gas) FILTER (WHERE kind = ?), 0) FROM spent WHERE day = ?",
            (client, REGISTRATION, day),
        )
        return Spent(today, own, registrations)

    # ------------------------------------------------------------------------------------------------------- internal

    def _open(self, identity: tuple[int, Address, Address]) -> None:
        with self._readable():
            self._run("PRAGMA journal_mode = WAL")
            self._run("PRAGMA synchronous = FULL")
            if self._run("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                raise JournalDamaged(self._damaged)
        with self._whole():
            [[version]] = self._run("PRAGMA user_version").fetchall()
            if version == 0:
                for statement in SCHEMA.split(";")[:-1]:
                    self._run(statement)
                self._run("INSERT INTO identity VALUES (?, ?, ?)", identity)
                self._run(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise JournalError(
                    f"the queue {self.path} has version {version}, and this program reads version {VERSION}: use the "
                    "version that wrote it"
                )
            [found] = self._run("SELECT chain_id, federation, relay FROM identity").fetchall()
            if found != identity:
                raise JournalError(
                    f"the queue {self.path} is of the relay {found[2]} in the federation {found[1]} on chain "
                    f"{found[0]}: expected {identity[2]} in {identity[1]} on chain {identity[0]}; choose another state "
                    "folder"
                )

    def _read(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        with self._lock, self._readable():
            return self._run(statement, values).fetchall()

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with self._whole():
            self._run(statement, values)

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All that the block writes is on disk when it ends, or none of it."""
        with self._lock, self._readable():
            self._run("BEGIN IMMEDIATE")
            try:
                yield
                self._run("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._run("ROLLBACK")
                raise

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _DAMAGED:
                raise JournalDamaged(self._damaged) from error
            raise JournalBusy(f"the queue {self.path} cannot be used now: {error}") from error
        except OSError as error:
            raise JournalError(f"the queue {self.path} cannot be opened: {error.strerror}") from error

    @property
    def _damaged(self) -> str:
        return (
            f"the queue {self.path} is damaged: what this relay gave receipts for may be lost. Put back a copy, or "
            "move it away to begin another, and tell the clients"
        )


def _place(handed: Handed) -> tuple[str, Address, int, str]:
    """A round of the same number may be another one after a reorganization, and then it has another key."""
    key = handed.sealing_key if isinstance(handed, HandedUpdate) else ""
    return kind_of(handed), handed.client, handed.round, key
