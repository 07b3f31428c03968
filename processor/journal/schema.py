"""The tables of a journal, and how those of earlier versions become these."""

from __future__ import annotations

import sqlite3
from pathlib import PurePath

from processor.journal.format import Format

PAST = """
CREATE TABLE seen_keys (round INTEGER NOT NULL, sealing_key BLOB NOT NULL, PRIMARY KEY (round, sealing_key)) STRICT;
CREATE TABLE read_reports (
    cid TEXT PRIMARY KEY,
    round INTEGER NOT NULL,
    plan TEXT NOT NULL,
    stop TEXT,
    before TEXT NOT NULL
) STRICT;
CREATE TABLE named_lists (cid TEXT PRIMARY KEY, round INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
"""
"""What is remembered of rounds that went by."""

SCHEMA = """
CREATE TABLE identity (chain_id INTEGER NOT NULL, federation TEXT NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TABLE intents (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    round INTEGER,
    nonce INTEGER NOT NULL,
    status TEXT,
    tx_hash TEXT,
    block INTEGER,
    block_hash TEXT,
    final INTEGER NOT NULL DEFAULT 0,
    gas INTEGER,
    most_fee INTEGER
) STRICT;
CREATE TABLE broadcasts (
    tx_hash TEXT PRIMARY KEY,
    intent INTEGER NOT NULL REFERENCES intents (id),
    max_fee INTEGER NOT NULL,
    priority_fee INTEGER NOT NULL,
    cancels INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    encrypted BLOB NOT NULL,
    gas_limit INTEGER
) STRICT;
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE updates (
    round INTEGER NOT NULL,
    sealing_key BLOB NOT NULL,
    base TEXT NOT NULL,
    cid TEXT NOT NULL,
    file TEXT NOT NULL,
    compute_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    claimed_ms INTEGER,
    seen_at INTEGER,
    final INTEGER NOT NULL DEFAULT 0,
    published INTEGER NOT NULL DEFAULT 0,
    state TEXT,
    epsilon REAL,
    PRIMARY KEY (round, sealing_key, base)
) STRICT;
CREATE TABLE metered (
    round INTEGER NOT NULL,
    sealing_key BLOB NOT NULL,
    ms INTEGER NOT NULL,
    PRIMARY KEY (round, sealing_key)
) STRICT;
CREATE TABLE secrets (
    public_key BLOB PRIMARY KEY,
    round INTEGER NOT NULL,
    base TEXT NOT NULL,
    plan TEXT NOT NULL,
    encrypted BLOB NOT NULL,
    broadcast INTEGER NOT NULL DEFAULT 0
) STRICT;
"""
SCHEMA += PAST


def name_files(database: sqlite3.Connection) -> None:
    """From 3 to 4: of a saved update the file's name instead of its path, so that a state folder may be moved."""
    database.execute("ALTER TABLE updates RENAME COLUMN path TO file")
    for row, path in database.execute("SELECT rowid, file FROM updates").fetchall():
        database.execute("UPDATE updates SET file = ? WHERE rowid = ?", (PurePath(path).name, row))


def name_states_and_gas(database: sqlite3.Connection) -> None:
    """From 4 to 5: of a saved update also the private state after its release, and what that spent of privacy; of a
    transaction the gas that it may use and used, and the most that it may pay for it. None is known of what was written
    before."""
    database.execute("ALTER TABLE updates ADD COLUMN state TEXT")
    database.execute("ALTER TABLE updates ADD COLUMN epsilon REAL")
    for statement in filter(str.strip, PAST.split(";")):
        database.execute(statement)
    database.execute("ALTER TABLE intents ADD COLUMN gas INTEGER")
    database.execute("ALTER TABLE intents ADD COLUMN most_fee INTEGER")
    database.execute("ALTER TABLE broadcasts ADD COLUMN gas_limit INTEGER")


JOURNAL = Format(name="journal", version=5, schema=SCHEMA, steps={3: name_files, 4: name_states_and_gas})
