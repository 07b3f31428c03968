"""What a daemon must not forget: one SQLite file for each wallet and federation.

Everything that is written is on disk before the call returns, and whole: a daemon may be killed at any moment. A reader
beside the daemon that writes (`koinon client status`) is fine.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from processor.errors import JournalBusy, JournalDamaged, JournalError
from processor.types import Address, Cid

VERSION = 3
"""Earlier ones were written for contracts that this program does not know."""
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
    final INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE broadcasts (
    tx_hash TEXT PRIMARY KEY,
    intent INTEGER NOT NULL REFERENCES intents (id),
    max_fee INTEGER NOT NULL,
    priority_fee INTEGER NOT NULL,
    cancels INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    encrypted BLOB NOT NULL
) STRICT;
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE updates (
    round INTEGER NOT NULL,
    sealing_key BLOB NOT NULL,
    base TEXT NOT NULL,
    cid TEXT NOT NULL,
    path TEXT NOT NULL,
    compute_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    claimed_ms INTEGER,
    seen_at INTEGER,
    final INTEGER NOT NULL DEFAULT 0,
    published INTEGER NOT NULL DEFAULT 0,
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
PATIENCE = 10.0
"""Seconds to wait for another process that is writing."""

MINED, FAILED, CANCELLED, DROPPED = "mined", "failed", "cancelled", "dropped"

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR)


@dataclass(frozen=True)
class Broadcast:
    """One signed form of a transaction; a later one of the same nonce pays more for its gas, or `cancels` it.

    Fees are wei for a unit of gas, `sent_at` is the chain's time in seconds. `encrypted` holds the signed bytes, which
    may carry a round's secret.
    """

    tx_hash: str
    max_fee: int
    priority_fee: int
    cancels: bool
    sent_at: int
    encrypted: bytes = field(repr=False)


@dataclass(frozen=True)
class Intent:
    """A transaction that was signed, written down before it was broadcast.

    `status` is None until its nonce is used in a block (`mined`, `failed`, `cancelled`) or it was given up (`dropped`);
    it is `final` once that block, or the one at which it was given up, is as deep as a reorganization may reach.
    `tx_hash` is the form that is in the block.
    """

    id: int
    kind: str
    round: int | None
    nonce: int
    status: str | None
    tx_hash: str | None
    block: int | None
    block_hash: str | None
    final: bool


@dataclass(frozen=True)
class SavedUpdate:
    """A sealed update as it was or will be submitted: to be sent again, never to be made again.

    Round, sealing key and base model together name it: after a reorganization a round of the same number may be another
    one. `ends_at` is the block time by which its round is over. It is sealed first; then the chain shows it, with
    `claimed_ms` since the block `seen_at`, and it is `published`; and it is `final` once no reorganization can take it
    away.
    """

    round: int
    sealing_key: bytes
    base: Cid
    cid: Cid
    path: Path
    compute_ms: int
    samples: int
    ends_at: int
    claimed_ms: int | None = None
    seen_at: int | None = None
    final: bool = False
    published: bool = False


@dataclass(frozen=True)
class SavedSecret:
    """The secret of a sealing key, encrypted by the caller, and the opening that it was made for. Once it was
    `broadcast`, anybody may know it, whatever became of the transaction."""

    public_key: bytes
    round: int
    base: Cid
    plan: Cid
    encrypted: bytes = field(repr=False)
    broadcast: bool = False


class Journal:
    """The journal of one wallet in one federation, made where there is none.

    Raises JournalError where the file is of another wallet, federation, chain or version; JournalDamaged where it is no
    journal any more, JournalBusy where its disk is full or another process holds it.
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

    # ------------------------------------------------------------------------------------------------ transactions

    def record_intent(self, kind: str, round: int | None, nonce: int, broadcast: Broadcast) -> Intent:
        """Writes down a signed transaction, before it is broadcast; the very same one as before takes up where that was
        given up."""
        for (id,) in self._read("SELECT intent FROM broadcasts WHERE tx_hash = ?", (broadcast.tx_hash,)):
            again = self.intent(id)
            with self._whole():
                self.reopen_intent(again, broadcast.sent_at)
                self._write("DELETE FROM broadcasts WHERE tx_hash = ?", (broadcast.tx_hash,))
                self._record_broadcast(id, broadcast)  # as the latest form
            return self.intent(id)
        with self._whole():
            [[id]] = self._read(
                "INSERT INTO intents (kind, round, nonce) VALUES (?, ?, ?) RETURNING id", (kind, round, nonce)
            )
            self._record_broadcast(id, broadcast)
        return self.intent(id)

    def record_replacement(self, intent: Intent, broadcast: Broadcast) -> None:
        """Writes down another form of a transaction, before it is broadcast."""
        self._record_broadcast(intent.id, broadcast)

    def settle_intent(
        self, intent: Intent, status: str, tx_hash: str | None = None, block: int | None = None, hash: str | None = None
    ) -> None:
        """Writes down what became of a transaction, and in which block."""
        self._write(
            "UPDATE intents SET status = ?, tx_hash = ?, block = ?, block_hash = ?, final = 0 WHERE id = ?",
            (status, tx_hash, block, hash, intent.id),
        )

    def reopen_intent(self, intent: Intent, now: int) -> None:
        """Takes back what became of a transaction, whose block is no part of the chain any more: from `now` on, by the
        chain's time, it is on its way."""
        self._write("UPDATE broadcasts SET sent_at = ? WHERE intent = ?", (now, intent.id))
        self._write(
            "UPDATE intents SET status = NULL, tx_hash = NULL, block = NULL, block_hash = NULL, final = 0 WHERE id = ?",
            (intent.id,),
        )

    def finish_intent(self, intent: Intent) -> None:
        """Nothing more can become of the transaction; its signed bytes are not needed any more."""
        with self._whole():
            self._write("UPDATE intents SET final = 1 WHERE id = ?", (intent.id,))
            self._write("UPDATE broadcasts SET encrypted = x'' WHERE intent = ?", (intent.id,))

    def doubt_intents(self, above: int) -> None:
        """Takes back that the transactions in blocks above a number are final: those blocks were reorganized."""
        self._write("UPDATE intents SET final = 0 WHERE block > ?", (above,))

    def intents(self) -> list[Intent]:
        """Every transaction, in the order in which they were signed."""
        return self._intents("1", ())

    def intent(self, id: int) -> Intent:
        """Raises JournalError for one that was never recorded."""
        for intent in self._intents("id = ?", (id,)):
            return intent
        raise JournalError(f"the journal {self.path} has no intent {id}")

    def open_intents(self) -> list[Intent]:
        """The transactions whose fate is not known yet, by nonce."""
        return self._intents("status IS NULL", ())

    def unsettled_intents(self) -> list[Intent]:
        """The transactions that may still be mined, or be taken out of their block: by nonce."""
        return self._intents("NOT final", ())

    def broadcasts(self, intent: Intent) -> list[Broadcast]:
        """The forms in which a transaction was signed, the latest first."""
        rows = self._read(
            "SELECT tx_hash, max_fee, priority_fee, cancels, sent_at, encrypted FROM broadcasts WHERE intent = ? "
            "ORDER BY rowid DESC",
            (intent.id,),
        )
        return [Broadcast(hash, fee, tip, bool(cancels), at, signed) for hash, fee, tip, cancels, at, signed in rows]

    def _record_broadcast(self, intent: int, broadcast: Broadcast) -> None:
        self._write(
            "INSERT INTO broadcasts (tx_hash, intent, max_fee, priority_fee, cancels, sent_at, encrypted) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                broadcast.tx_hash,
                intent,
                broadcast.max_fee,
                broadcast.priority_fee,
                broadcast.cancels,
                broadcast.sent_at,
                broadcast.encrypted,
            ),
        )

    def _intents(self, condition: str, values: tuple[object, ...]) -> list[Intent]:
        rows = self._read(
            "SELECT id, kind, round, nonce, status, tx_hash, block, block_hash, final FROM intents "
            f"WHERE {condition} ORDER BY nonce, id",
            values,
        )
        return [Intent(*(*row[:-1], bool(row[-1]))) for row in rows]

    # ----------------------------------------------------------------------------------------------------- the chain

    def blocks(self) -> list[tuple[int, str]]:
        """The blocks that were seen, number and hash, the latest first."""
        return [(number, hash) for number, hash in self._read("SELECT number, hash FROM blocks ORDER BY number DESC")]

    def record_block(self, number: int, hash: str, keep: int) -> None:
        """Remembers a block in the place of what was there or above it, and forgets those more than `keep` below."""
        with self._whole():
            self._write("DELETE FROM blocks WHERE number >= ? OR number < ?", (number, number - keep))
            self._write("INSERT INTO blocks (number, hash) VALUES (?, ?)", (number, hash))

    def forget_blocks(self, above: int) -> None:
        """Forgets the blocks above a number: they are no part of the chain any more."""
        self._write("DELETE FROM blocks WHERE number > ?", (above,))

    # ----------------------------------------------------------------------------------------------- a client's rounds

    def save_update(self, update: SavedUpdate) -> None:
        """Keeps what is to be submitted. Raises JournalError where the round has its update already."""
        try:
            self._write(
                "INSERT INTO updates (round, sealing_key, base, cid, path, compute_ms, samples, ends_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    update.round,
                    update.sealing_key,
                    update.base,
                    update.cid,
                    str(update.path),
                    update.compute_ms,
                    update.samples,
                    update.ends_at,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise JournalError(
                f"the journal {self.path} has an update for round {update.round} already: there is one per round"
            ) from error

    def update_for(self, round: int, sealing_key: bytes, base: Cid) -> SavedUpdate | None:
        return next(iter(self._updates("round = ? AND sealing_key = ? AND base = ?", (round, sealing_key, base))), None)

    def update_in(self, round: int, sealing_key: bytes) -> SavedUpdate | None:
        """The update of a round whose base the chain does not name any more: that which the chain showed, if it did."""
        found = self._updates("round = ? AND sealing_key = ?", (round, sealing_key))
        return max(found, key=lambda update: update.seen_at or 0, default=None)

    def updates(self) -> list[SavedUpdate]:
        """Every update, by round."""
        return self._updates("1", ())

    def sealed_elsewhere(self, sealing_key: bytes, round: int) -> bool:
        """Whether an update was sealed to the key for another round than this."""
        return bool(self._read("SELECT 1 FROM updates WHERE sealing_key = ? AND round != ?", (sealing_key, round)))

    def see_update(self, update: SavedUpdate, block: int, claimed_ms: int) -> None:
        """The chain shows the update, with the compute time that was claimed, since the block."""
        self._note(update, "seen_at = ?, claimed_ms = ?, final = 0", block, claimed_ms)

    def miss_update(self, update: SavedUpdate) -> None:
        """The chain shows the update no more: a reorganization took it away."""
        self._note(update, "seen_at = NULL, claimed_ms = NULL, final = 0")

    def doubt_updates(self, above: int) -> None:
        """Takes back that the chain showed updates in blocks above a number: those blocks were reorganized."""
        self._write("UPDATE updates SET seen_at = NULL, claimed_ms = NULL, final = 0 WHERE seen_at > ?", (above,))

    def finish_update(self, update: SavedUpdate) -> None:
        """No reorganization can take the update away any more."""
        self._note(update, "final = 1")

    def publish_update(self, update: SavedUpdate) -> None:
        """The sealed bytes are where everybody finds them."""
        self._note(update, "published = 1")

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

    # ------------------------------------------------------------------------------------------ an organization's keys

    def save_secret(self, secret: SavedSecret) -> None:
        """Keeps a sealing secret. Raises JournalError for a second one of the same key."""
        try:
            self._write(
                "INSERT INTO secrets (public_key, round, base, plan, encrypted, broadcast) VALUES (?, ?, ?, ?, ?, ?)",
                (secret.public_key, secret.round, secret.base, secret.plan, secret.encrypted, secret.broadcast),
            )
        except sqlite3.IntegrityError as error:
            raise JournalError(f"the journal {self.path} has a secret for {secret.public_key.hex()} already") from error

    def secret_for(self, public_key: bytes) -> SavedSecret | None:
        rows = self._read(
            "SELECT round, base, plan, encrypted, broadcast FROM secrets WHERE public_key = ?", (public_key,)
        )
        for round, base, plan, encrypted, broadcast in rows:
            return SavedSecret(public_key, round, base, plan, encrypted, bool(broadcast))
        return None

    def broadcast_secret(self, public_key: bytes) -> None:
        """Writes down, before it is, that a secret is shown to others: its key is good for no other round any more."""
        self._write("UPDATE secrets SET broadcast = 1 WHERE public_key = ?", (public_key,))

    def key_for_opening(self, round: int, base: Cid, plan: Cid) -> bytes | None:
        """The public key that was made for this very opening before, if one was and its secret was never shown."""
        rows = self._read(
            "SELECT public_key FROM secrets WHERE round = ? AND base = ? AND plan = ? AND NOT broadcast "
            "ORDER BY rowid DESC LIMIT 1",
            (round, base, plan),
        )
        return rows[0][0] if rows else None

    # ------------------------------------------------------------------------------------------------------- internal

    def _updates(self, condition: str, values: tuple[object, ...]) -> list[SavedUpdate]:
        rows = self._read(
            "SELECT round, sealing_key, base, cid, path, compute_ms, samples, ends_at, claimed_ms, seen_at, final, "
            f"published FROM updates WHERE {condition} ORDER BY round, rowid",
            values,
        )
        return [
            SavedUpdate(round, key, base, cid, Path(path), compute, samples, end, claimed, seen, bool(final), bool(out))
            for round, key, base, cid, path, compute, samples, end, claimed, seen, final, out in rows
        ]

    def _note(self, update: SavedUpdate, change: str, *values: object) -> None:
        self._write(
            f"UPDATE updates SET {change} WHERE round = ? AND sealing_key = ? AND base = ?",
            (*values, update.round, update.sealing_key, update.base),
        )

    def _open(self, identity: tuple[int, Address, Address]) -> None:
        with self._readable():
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            if self._database.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                raise JournalDamaged(f"the journal {self.path} is damaged")
            self._database.execute("BEGIN IMMEDIATE")
            [[version]] = self._database.execute("PRAGMA user_version")
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    self._database.execute(statement)
                self._database.execute("INSERT INTO identity VALUES (?, ?, ?)", identity)
                self._database.execute(f"PRAGMA user_version = {VERSION}")
            self._database.execute("COMMIT")
            if version not in (0, VERSION):
                raise JournalError(
                    f"the journal {self.path} has version {version}, this program reads {VERSION}, and the federations "
                    "of the one are not those of the other: finish there with the version of Koinon that wrote it "
                    "(claim, leave, withdraw), and choose a new state directory for a federation of this version"
                )
            found = self._database.execute("SELECT chain_id, federation, address FROM identity").fetchone()
        if found is None:
            raise JournalDamaged(f"the journal {self.path} is damaged: it does not say whose it is")
        if found != identity:
            chain_id, federation, address = found
            raise JournalError(
                f"the journal {self.path} belongs to {address} in federation {federation} on chain {chain_id}, "
                f"expected {identity[2]} in {identity[1]} on chain {identity[0]}: choose another state directory"
            )

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What the block writes is written together, or not at all."""
        self._write("BEGIN IMMEDIATE", ())
        try:
            yield
        except BaseException:
            if self._database.in_transaction:  # SQLite itself ends it where the disk is full
                self._database.execute("ROLLBACK")
            raise
        self._write("COMMIT", ())

    def _write(self, statement: str, values: tuple[object, ...]) -> int:
        """One statement is one transaction, outside of `_whole`; gives the number of rows that it changed."""
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
            said = f"the journal {self.path} cannot be used: {error}"
            code = getattr(error, "sqlite_errorcode", None)
            if code is not None and code & 0xFF in _DAMAGED:
                raise JournalDamaged(said) from error
            if code is not None and code & 0xFF in _PASSING:
                raise JournalBusy(f"{said}: free some space on its disk, or end the program that holds it") from error
            raise JournalError(said) from error
