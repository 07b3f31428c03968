"""Journals as earlier versions wrote them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from tests.unit.journal.examples import BASE, CID, CLIENT, FEDERATION, KEY, OTHER_KEY

Rows = Mapping[str, list[tuple[object, ...]]]
TABLES = ("identity", "intents", "broadcasts", "blocks", "updates", "metered", "secrets")
SINCE_VERSION_5 = ("seen_keys", "read_reports", "named_lists")
PATH_COLUMN = 4

ROWS: Rows = {
    "intents": [
        (1, "registered", None, 0, "mined", "0xaa", 17, "0x17", 1),
        (2, "submitted", 3, 1, None, None, None, None, 0),
    ],
    "broadcasts": [("0xaa", 1, 10, 1, 0, 1_700_000_000, b""), ("0xbb", 2, 20, 1, 0, 1_700_000_009, b"signed")],
    "blocks": [(17, "0x17"), (18, "0x18")],
    "updates": [
        (2, OTHER_KEY, BASE, BASE, f"/home/client/state/updates/{BASE}", 900, 360, 3000, 800, 12, 1, 1),
        (3, KEY, BASE, CID, f"state/updates/{CID}", 1200, 360, 4000, None, None, 0, 0),
    ],
    "metered": [(2, OTHER_KEY, 900), (3, KEY, 1200)],
    "secrets": [(KEY, 3, BASE, CID, b"encrypted", 1)],
}


def write_version_3(path: Path, rows: Rows = ROWS) -> None:
    """A journal of version 3 with these rows, as a daemon leaves it that ended."""
    _write(path, 3, rows)


def write_version_4(path: Path, rows: Rows = ROWS) -> None:
    """A journal of version 4 with what these rows of version 3 say."""
    _write(path, 4, _named(rows))


def make_version_3(database: sqlite3.Connection, rows: Rows) -> None:
    _make(database, 3, rows)


def _write(path: Path, version: int, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        _make(database, version, rows)


def _make(database: sqlite3.Connection, version: int, rows: Rows) -> None:
    database.executescript((Path(__file__).parent / "versions" / f"journal-{version}.sql").read_text())
    database.execute("INSERT INTO identity VALUES (1337, ?, ?)", (FEDERATION, CLIENT))
    for table, values in rows.items():
        for row in values:
            database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    database.execute(f"PRAGMA user_version = {version}")


def rows_in(path: Path) -> tuple[int, dict[str, list[tuple[object, ...]]]]:
    """The version that a file says it has, and all that is in its tables."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as database:
        [[version]] = database.execute("PRAGMA user_version").fetchall()
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        names = [name for name in (*TABLES, *SINCE_VERSION_5) if name in there]
        tables = {table: database.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall() for table in names}
    return version, tables


def brought_forward(tables: Rows) -> dict[str, list[tuple[object, ...]]]:
    """What version 5 makes of version 3 or 4: of each update the file's name, and that no private state of it is known
    nor what it spent; of each transaction, that nothing of its gas is known; and of rounds that went by, nothing."""
    named = _named(tables)
    new = {"updates": (None, None), "intents": (None, None), "broadcasts": (None,)}
    known = {table: [(*row, *new.get(table, ())) for row in rows] for table, rows in named.items()}
    return {**known, **{table: [] for table in SINCE_VERSION_5}}


def _named(tables: Rows) -> dict[str, list[tuple[object, ...]]]:
    at = PATH_COLUMN
    named = [(*row[:at], Path(str(row[at])).name, *row[at + 1 :]) for row in tables.get("updates", [])]
    return {**tables, "updates": named}
