"""A client's sealed updates: what each is for, and what became of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from processor.errors import JournalError
from processor.journal.records import SavedUpdate
from processor.journal.tables import Tables
from processor.types import Cid


def updates_folder(state: Path) -> Path:
    """Where a daemon with the folder `state` keeps sealed updates. The journal next to it keeps the files' names alone,
    so that the folder may be moved."""
    return state / "updates"


class Updates(Tables):
    def save_update(self, update: SavedUpdate) -> None:
        """Keeps what is to be submitted, with the private state after it and what it spent of privacy, as one row.

        Raises JournalError where the round has its update already, ValueError where its file is not in the folder of
        saved updates.
        """
        if update.path.parent != self._folder:
            raise ValueError(f"{update.path} is not in {self._folder}, where saved updates are")
        try:
            self._database.execute(
                "INSERT INTO updates "
                "(round, sealing_key, base, cid, file, compute_ms, samples, ends_at, state, epsilon) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    update.round,
                    update.sealing_key,
                    update.base,
                    update.cid,
                    update.path.name,
                    update.compute_ms,
                    update.samples,
                    update.ends_at,
                    update.state,
                    update.epsilon,
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

    def private_state(self) -> Cid | None:
        """The private state after the release that was kept last; None before the first."""
        rows = self._database.read("SELECT state FROM updates WHERE state IS NOT NULL ORDER BY rowid DESC LIMIT 1")
        return rows[0][0] if rows else None

    def sealed_elsewhere(self, sealing_key: bytes, round: int) -> bool:
        """Whether an update was sealed to the key for another round than this."""
        return bool(
            self._database.read("SELECT 1 FROM updates WHERE sealing_key = ? AND round != ?", (sealing_key, round))
        )

    def see_update(self, update: SavedUpdate, block: int, claimed_ms: int) -> None:
        """The chain shows the update, with the compute time that was claimed, since the block."""
        self._note(update, "seen_at = ?, claimed_ms = ?, final = 0", block, claimed_ms)

    def miss_update(self, update: SavedUpdate) -> None:
        """The chain shows the update no more: a reorganization took it away."""
        self._note(update, "seen_at = NULL, claimed_ms = NULL, final = 0")

    def doubt_updates(self, above: int) -> None:
        """Takes back that the chain showed updates in blocks above a number: those blocks were reorganized."""
        self._database.execute(
            "UPDATE updates SET seen_at = NULL, claimed_ms = NULL, final = 0 WHERE seen_at > ?", (above,)
        )

    def finish_updates(self, up_to: int) -> bool:
        """No reorganization can take away any more what the chain shows since blocks up to this number; whether that
        is true of any update for which it was not."""
        changed = self._database.execute("UPDATE updates SET final = 1 WHERE seen_at <= ? AND NOT final", (up_to,))
        return changed.rowcount > 0

    def publish_update(self, update: SavedUpdate) -> None:
        """The sealed bytes are where everybody finds them."""
        self._note(update, "published = 1")

    @property
    def _folder(self) -> Path:
        return updates_folder(self.path.parent)

    def _updates(self, condition: str, values: tuple[object, ...]) -> list[SavedUpdate]:
        rows = self._database.read(
            "SELECT round, sealing_key, base, cid, file, compute_ms, samples, ends_at, claimed_ms, seen_at, final, "
            f"published, state, epsilon FROM updates WHERE {condition} ORDER BY round, rowid",
            values,
        )
        return [
            SavedUpdate(
                *(round, key, base, cid, self._folder / file, compute, samples, ends),
                *(claimed, seen, bool(final), bool(out), state, epsilon),
            )
            for round, key, base, cid, file, compute, samples, ends, claimed, seen, final, out, state, epsilon in rows
        ]

    def _note(self, update: SavedUpdate, change: str, *values: object) -> None:
        self._database.execute(
            f"UPDATE updates SET {change} WHERE round = ? AND sealing_key = ? AND base = ?",
            (*values, update.round, update.sealing_key, update.base),
        )
