"""An organization's sealing keys."""

from __future__ import annotations

import sqlite3

from processor.errors import JournalError
from processor.journal.records import SavedSecret
from processor.journal.tables import Tables
from processor.types import Cid


class Secrets(Tables):
    def save_secret(self, secret: SavedSecret) -> None:
        """Keeps a sealing secret. Raises JournalError for a second one of the same key."""
        try:
            self._database.execute(
                "INSERT INTO secrets (public_key, round, base, plan, encrypted, broadcast) VALUES (?, ?, ?, ?, ?, ?)",
                (secret.public_key, secret.round, secret.base, secret.plan, secret.encrypted, secret.broadcast),
            )
        except sqlite3.IntegrityError as error:
            raise JournalError(f"the journal {self.path} has a secret for {secret.public_key.hex()} already") from error

    def secret_for(self, public_key: bytes) -> SavedSecret | None:
        rows = self._database.read(
            "SELECT round, base, plan, encrypted, broadcast FROM secrets WHERE public_key = ?", (public_key,)
        )
        for round, base, plan, encrypted, broadcast in rows:
            return SavedSecret(public_key, round, base, plan, encrypted, bool(broadcast))
        return None

    def broadcast_secret(self, public_key: bytes) -> None:
        """Writes down, before it is, that a secret is shown to others: its key is good for no other round any more."""
        self._database.execute("UPDATE secrets SET broadcast = 1 WHERE public_key = ?", (public_key,))

    def key_for_opening(self, round: int, base: Cid, plan: Cid) -> bytes | None:
        """The public key that was made for this very opening before, if one was and its secret was never shown."""
        rows = self._database.read(
            "SELECT public_key FROM secrets WHERE round = ? AND base = ? AND plan = ? AND NOT broadcast "
            "ORDER BY rowid DESC LIMIT 1",
            (round, base, plan),
        )
        return rows[0][0] if rows else None
