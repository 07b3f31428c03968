"""One SQLite file of a party: for its owner alone, whole after any end, and of this program's version.

Everything that is written is on disk before the call returns: a daemon may be killed at any moment. A reader next to
the daemon that writes is fine.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from processor.errors import JournalBusy, JournalDamaged, JournalError
from processor.files import PASSING, PRIVATE
from processor.journal.access import is_own, unwritable
from processor.journal.copies import image_at, image_of
from processor.journal.format import Format, Identity, version_of
from processor.journal.migration import code_of, migrate
from processor.keystore import private_directory
from processor.words import in_full

PATIENCE = 10.0
"""Seconds to wait for another process that is writing."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR)


class Database:
    """An open database; for several threads of one process.

    It is made where there is none, and one of an earlier version is brought forward. With `read_only` nothing is made
    and nothing is brought forward: what an earlier version holds is read from a copy in memory, so that the program
    that writes it can go on. So is what belongs to another user or cannot be written, and nothing is left next to it.

    Raises JournalError where the file is of another wallet, federation, chain or version; JournalDamaged where it is no
    database any more, JournalBusy where its disk is full or another process holds it.
    """

    def __init__(self, path: Path, format: Format, identity: Identity, *, read_only: bool = False) -> None:
        self.path = path
        self._format = format
        self._lock = threading.RLock()
        with self._usable():
            self._connection = self._opened_to_read(identity) if read_only else self._opened_to_write(identity)

    def close(self) -> None:
        self._connection.close()

    # ---------------------------------------------------------------------------------------------------- statements

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Raises sqlite3.IntegrityError where a constraint of the schema forbids it."""
        with self._lock, self._usable():
            return self._connection.execute(statement, values)

    def read(self, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        with self._lock, self._usable():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What the block writes is written together, or not at all; outside of it, one statement is one transaction."""
        with self._lock:
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself ends it where the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    # ------------------------------------------------------------------------------------------------------- opening

    def _opened_to_write(self, identity: Identity) -> sqlite3.Connection:
        private_directory(self.path.parent)
        with suppress(FileExistsError):  # SQLite gives the files next to it the same mode
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
        if found := unwritable(self.path):
            raise JournalError(
                f"the {self._format.name} {self.path} cannot be written: this user may not write {found}; run as the "
                "user whose it is, or let that user write it"
            )
        while True:  # a program of the version before may begin a file that was empty when it was looked into
            connection = _connect(self.path)
            try:
                version = self._inspect(connection, identity)
                if version not in self._format.steps and self._begun(connection, identity) == self._format.version:
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
            if version in self._format.steps:
                self._bring_forward(version)

    def _begun(self, connection: sqlite3.Connection, identity: Identity) -> int:
        """Makes the tables where the file is empty still; the version that it has then."""
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        if version_of(connection) == 0:
            self._format.create(connection, identity)
        connection.execute("COMMIT")
        self._require(connection, identity)
        return version_of(connection)

    def _opened_to_read(self, identity: Identity) -> sqlite3.Connection:
        connection = self._found()
        try:
            version = self._inspect(connection, identity)
            if version != self._format.version:
                image = image_of(connection) if version else b""
                connection.close()
                connection = _in_memory(image)
                if version:
                    self._format.bring_forward(connection)
                else:
                    self._format.create(connection, identity)
                self._require(connection, identity)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _found(self) -> sqlite3.Connection:
        """What there is to read: the file, or what it holds at this moment where SQLite may make no files there."""
        if not self.path.exists():
            return _in_memory(b"")
        if unwritable(self.path) is None and is_own(self.path):
            return _connect(self.path, "rw")
        return _in_memory(image_at(self.path))

    def _inspect(self, connection: sqlite3.Connection, identity: Identity) -> int:
        """The version of a file that is whole, ours, and of a version that this program reads; 0 of an empty one."""
        version = version_of(connection)
        if refusal := self._format.refusal(self.path, version):
            raise JournalError(refusal)
        if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            raise JournalDamaged(f"the {self._format.name} {self.path} is damaged{self._format.loss}")
        if version:
            self._require(connection, identity)
        return version

    def _require(self, connection: sqlite3.Connection, identity: Identity) -> None:
        if refusal := self._format.refusal(self.path, version_of(connection)):
            raise JournalError(refusal)
        found = connection.execute("SELECT * FROM identity").fetchone()
        if found is None:
            raise JournalDamaged(
                f"the {self._format.name} {self.path} is damaged: it does not say whose it is{self._format.loss}"
            )
        if found != identity:
            chain_id, federation, address = found
            raise JournalError(
                f"the {self._format.name} {self.path} belongs to {address} in federation {federation} on chain "
                f"{chain_id}, expected {identity[2]} in {identity[1]} on chain {identity[0]}: choose another state "
                "folder"
            )

    def _bring_forward(self, version: int) -> None:
        try:
            migrate(self.path, self._format, PATIENCE)
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY:
                raise
            raise JournalBusy(
                f"the {self._format.name} {self.path} has version {version} and is brought to version "
                f"{self._format.version} once no other program has it open: end the one that does, as a daemon of the "
                "version of Koinon before, and start it again with this one"
            ) from error

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OSError) as error:
            passes = code_of(error) in _PASSING or (isinstance(error, OSError) and error.errno in PASSING)
            why = str(error)
            if isinstance(error, OSError):
                why = (error.strerror or why) if passes else in_full(error)
            said = f"the {self._format.name} {self.path} cannot be used: {why}"
            if code_of(error) in _DAMAGED:
                raise JournalDamaged(f"{said}{self._format.loss}") from error
            if passes:
                raise JournalBusy(f"{said}: free some space on its disk, or end the program that holds it") from error
            raise JournalError(said) from error


def _connect(path: Path | str, mode: str | None = None) -> sqlite3.Connection:
    """Every statement is a transaction of its own, unless one is begun. The mode `rw` makes no file."""
    name = f"{Path(path).absolute().as_uri()}?mode={mode}" if mode else path
    return sqlite3.connect(name, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=bool(mode))


def _in_memory(image: bytes) -> sqlite3.Connection:
    connection = _connect(":memory:")
    if image:
        connection.deserialize(image)
    return connection
