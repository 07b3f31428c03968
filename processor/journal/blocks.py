"""The blocks that were seen."""

from __future__ import annotations

from processor.journal.tables import Tables


class Blocks(Tables):
    def blocks(self) -> list[tuple[int, str]]:
        """The blocks that were seen, number and hash, the latest first."""
        return [
            (number, hash)
            for number, hash in self._database.read("SELECT number, hash FROM blocks ORDER BY number DESC")
        ]

    def record_block(self, number: int, hash: str, keep: int) -> None:
        """Remembers a block in the place of what was there, and forgets those more than `keep` below."""
        with self._database.whole():
            self._database.execute("DELETE FROM blocks WHERE number = ? OR number < ?", (number, number - keep))
            self._database.execute("INSERT INTO blocks (number, hash) VALUES (?, ?)", (number, hash))

    def forget_blocks(self, above: int) -> None:
        """Forgets the blocks above a number: they are no part of the chain any more."""
        self._database.execute("DELETE FROM blocks WHERE number > ?", (above,))
