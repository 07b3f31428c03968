"""Brings a database to its format's version: in one transaction, with nobody else at it, and with a copy kept.

Wherever this is interrupted, the file is of the one version or the other, and to begin again is safe.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from processor.journal.copies import image_of, keep_copy
from processor.journal.format import Format, version_of


def migrate(path: Path, format: Format, patience: float) -> None:
    """Does nothing where another program has done it in the meantime.

    Raises sqlite3.OperationalError, as busy, where another program has the file open for all of `patience` seconds: one
    of an earlier version would go on to write what that version wrote.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return _attempt(path, format)
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.01, 0.05))  # two that try at once are in each other's way


def code_of(error: Exception) -> int | None:
    """SQLite's primary result code; None of an error that is not SQLite's own."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _attempt(path: Path, format: Format) -> None:
    with closing(sqlite3.connect(path, timeout=0)) as database:
        if version_of(database) not in format.steps:
            return
    with _alone(path) as database:
        version = version_of(database)
        if version in format.steps:
            keep_copy(path, image_of(database), version)
            format.bring_forward(database)


@contextmanager
def _alone(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction on a file that no other connection is open to, or can be opened to; it is undone after an error.

    Whoever uses a write-ahead log shares a lock for as long as it has the file open: to leave that mode takes that
    nobody else does. The exclusive lock then stays until the connection is closed.
    """
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA synchronous = EXTRA")
        database.execute("BEGIN EXCLUSIVE")
        yield database
        database.execute("COMMIT")
