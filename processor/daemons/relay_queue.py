"""What a relay has promised: everything that it took, with the receipts, in one SQLite file in its state folder.

A receipt leaves only when what it is for is on disk. `over` says why something is not sent (again): the chain shows it,
or the contract refuses it. A reorganization takes all of that back, and the chain is asked again.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from processor.errors import JournalError
from processor.journal.database import Database
from processor.journal.format import Format
from processor.journal.tables import Tables
from processor.protocol.relaying import (
    DAY,
    SIGNED_REGISTRATION,
    SIGNED_UPDATE,
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
QUEUE = Format(
    name="queue",
    version=1,
    schema=SCHEMA,
    steps={},
    loss=(
        ": what this relay gave receipts for may be lost. Put a backup back, or move it away to begin another, and "
        "tell the clients"
    ),
)


def queue_path(state: Path) -> Path:
    """Where a relay with the folder `state` keeps what it took."""
    return state / "queue.sqlite"


@dataclass(frozen=True)
class Waiting:
    """How much was taken that is not over: entries, and the gas that each takes by itself."""

    count: int
    gas: int


class Queue(Tables):
    """What one relay took in one federation; for several threads of one process.

    Raises JournalError where the file is of another relay, federation, chain or version, JournalDamaged where it is no
    queue any more, JournalBusy where the disk is full or another process holds it.
    """

    def __init__(self, path: Path, chain_id: int, federation: Address, relay: Address) -> None:
        self._database = Database(path, QUEUE, (chain_id, federation, relay))

    # ------------------------------------------------------------------------------------------------------- taking

    def earlier(self, handed: Handed) -> tuple[Handed, bytes] | None:
        """What stands in the place of `handed`, and its receipt: there is one update for a client and a round, and one
        registration or leaving that is not over."""
        rows = self._database.read(
            "SELECT handed, receipt FROM taken WHERE kind = ? AND client = ? AND round = ? AND sealing_key = ? "
            "AND (over IS NULL OR kind = ?)",
            (*_place(handed), SIGNED_UPDATE.name),
        )
        for content, receipt in rows:
            return decode_handed(content), receipt
        return None

    def take(self, handed: Handed, taken_at: int, receipt: bytes, gas: int) -> None:
        """Keeps what a receipt is for, and counts its gas; in the place of a registration or a leaving that is over.

        Raises JournalError where something else is in its place.
        """
        place = _place(handed)
        with self._database.whole():
            self._database.execute(
                "DELETE FROM taken WHERE kind = ? AND client = ? AND round = ? AND sealing_key = ? "
                "AND over IS NOT NULL AND kind != ?",
                (*place, SIGNED_UPDATE.name),
            )
            try:
                self._database.execute(
                    "INSERT INTO taken (kind, client, round, sealing_key, taken_at, gas, handed, receipt) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*place, taken_at, gas, encode_handed(handed), receipt),
                )
            except sqlite3.IntegrityError:
                raise JournalError(f"{handed.client} has handed over something else for round {handed.round}") from None
            self._database.execute(
                "INSERT INTO spent (day, client, kind, gas) VALUES (?, ?, ?, ?)",
                (day_of(taken_at), handed.client, kind_of(handed), gas),
            )

    # ------------------------------------------------------------------------------------------------- what is to do

    def updates(self, round: int, sealing_key: bytes) -> tuple[Taken, ...]:
        """The updates and declines of one round that are not over, in the order in which they were taken."""
        rows = self._database.read(
            "SELECT id, taken_at, handed FROM taken WHERE kind = ? AND round = ? AND sealing_key = ? AND over IS NULL "
            "ORDER BY id",
            (SIGNED_UPDATE.name, round, sealing_key.hex()),
        )
        return tuple(Taken(id, at, decode_handed(content)) for id, at, content in rows)

    def calls(self, round: int) -> tuple[Taken, ...]:
        """The registrations and leavings that are good in this round and not over, in order."""
        rows = self._database.read(
            "SELECT id, taken_at, handed FROM taken WHERE kind != ? AND round = ? AND over IS NULL ORDER BY id",
            (SIGNED_UPDATE.name, round),
        )
        return tuple(Taken(id, at, decode_handed(content)) for id, at, content in rows)

    def finish(self, taken: Taken, why: str) -> None:
        """Not to be tried again: it is done, or the contract refuses it."""
        self._database.execute("UPDATE taken SET over = ? WHERE id = ?", (why, taken.id))

    def doubt(self) -> None:
        """Takes back what is over: the chain was reorganized."""
        self._database.execute("UPDATE taken SET over = NULL WHERE over IS NOT NULL")

    def waiting(self, round: int) -> Waiting:
        """What was taken in the round and is not known to be over."""
        rows = self._database.read(
            "SELECT count(*), coalesce(sum(gas), 0) FROM taken WHERE round = ? AND over IS NULL", (round,)
        )
        return Waiting(*rows[0])

    def served(self) -> list[Address]:
        """The clients whose updates were taken, the first served first."""
        rows = self._database.read(
            "SELECT client FROM taken WHERE kind = ? GROUP BY client ORDER BY min(id)", (SIGNED_UPDATE.name,)
        )
        return [client for (client,) in rows]

    def forget(self, before: int) -> None:
        """Drops what was taken before a block time: its rounds are long over."""
        with self._database.whole():
            self._database.execute("DELETE FROM taken WHERE taken_at < ?", (before,))
            self._database.execute("DELETE FROM spent WHERE day < ?", (before // DAY,))

    # -------------------------------------------------------------------------------------------------------- budgets

    def spend(self, day: int, client: Address, kind: str, gas: int) -> None:
        """Counts gas that is about to be spent for a client without a hand-over."""
        self._database.execute(
            "INSERT INTO spent (day, client, kind, gas) VALUES (?, ?, ?, ?)", (day, client, kind, gas)
        )

    def spent(self, day: int, client: Address) -> Spent:
        """The gas of a day: in all, for one client, and for registrations."""
        [[today, own, registrations]] = self._database.read(
            "SELECT coalesce(sum(gas), 0), coalesce(sum(gas) FILTER (WHERE client = ?), 0), "
            "coalesce(sum(gas) FILTER (WHERE kind = ?), 0) FROM spent WHERE day = ?",
            (client, SIGNED_REGISTRATION.name, day),
        )
        return Spent(today, own, registrations)


def _place(handed: Handed) -> tuple[str, Address, int, str]:
    """A round of the same number may be another one after a reorganization, and then it has another key."""
    key = handed.sealing_key if isinstance(handed, HandedUpdate) else ""
    return kind_of(handed), handed.client, handed.round, key
