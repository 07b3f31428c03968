"""Compute time that rounds have taken so far."""

from __future__ import annotations

from processor.journal.tables import Tables


class Metered(Tables):
    def keep_metered(self, round: int, sealing_key: bytes, ms: int) -> None:
        """The round has taken `ms` of compute time in all: what is known already stays where that is more."""
        self._database.execute(
            "INSERT INTO metered (round, sealing_key, ms) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET ms = max(ms, excluded.ms)",
            (round, sealing_key, ms),
        )

    def metered_ms(self, round: int, sealing_key: bytes) -> int:
        rows = self._database.read("SELECT ms FROM metered WHERE round = ? AND sealing_key = ?", (round, sealing_key))
        return rows[0][0] if rows else 0
