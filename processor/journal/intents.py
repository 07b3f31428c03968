"""Transactions, and what became of them."""

from __future__ import annotations

from processor.errors import JournalError
from processor.journal.records import Broadcast, Intent
from processor.journal.tables import Tables


class Intents(Tables):
    def record_intent(self, kind: str, round: int | None, nonce: int, broadcast: Broadcast) -> Intent:
        """Writes down a signed transaction, before it is broadcast; the very same one as before takes up where that was
        given up."""
        for (id,) in self._database.read("SELECT intent FROM broadcasts WHERE tx_hash = ?", (broadcast.tx_hash,)):
            again = self.intent(id)
            with self._database.whole():
                self.reopen_intent(again, broadcast.sent_at)
                self._database.execute("DELETE FROM broadcasts WHERE tx_hash = ?", (broadcast.tx_hash,))
                self._record_broadcast(id, broadcast)  # as the latest form
            return self.intent(id)
        with self._database.whole():
            [[id]] = self._database.read(
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
        self._database.execute(
            "UPDATE intents SET status = ?, tx_hash = ?, block = ?, block_hash = ?, final = 0 WHERE id = ?",
            (status, tx_hash, block, hash, intent.id),
        )

    def reopen_intent(self, intent: Intent, now: int) -> None:
        """Takes back what became of a transaction, whose block is no part of the chain any more: from `now` on, by the
        chain's time, it is on its way."""
        self._database.execute("UPDATE broadcasts SET sent_at = ? WHERE intent = ?", (now, intent.id))
        self._database.execute(
            "UPDATE intents SET status = NULL, tx_hash = NULL, block = NULL, block_hash = NULL, final = 0 WHERE id = ?",
            (intent.id,),
        )

    def finish_intent(self, intent: Intent) -> None:
        """Nothing more can become of the transaction; its signed bytes are not needed any more."""
        with self._database.whole():
            self._database.execute("UPDATE intents SET final = 1 WHERE id = ?", (intent.id,))
            self._database.execute("UPDATE broadcasts SET encrypted = x'' WHERE intent = ?", (intent.id,))

    def doubt_intents(self, above: int) -> None:
        """Takes back that the transactions in blocks above a number are final: those blocks were reorganized."""
        self._database.execute("UPDATE intents SET final = 0 WHERE block > ?", (above,))

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
        rows = self._database.read(
            "SELECT tx_hash, max_fee, priority_fee, cancels, sent_at, encrypted FROM broadcasts WHERE intent = ? "
            "ORDER BY rowid DESC",
            (intent.id,),
        )
        return [Broadcast(hash, fee, tip, bool(cancels), at, signed) for hash, fee, tip, cancels, at, signed in rows]

    def _record_broadcast(self, intent: int, broadcast: Broadcast) -> None:
        self._database.execute(
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
        rows = self._database.read(
            "SELECT id, kind, round, nonce, status, tx_hash, block, block_hash, final FROM intents "
            f"WHERE {condition} ORDER BY nonce, id",
            values,
        )
        return [Intent(*(*row[:-1], bool(row[-1]))) for row in rows]
