"""Transactions, and what became of them."""

from __future__ import annotations

from processor.errors import JournalError
from processor.journal.records import CANCELLED, DROPPED, FAILED, MINED, Broadcast, Intent
from processor.journal.tables import Tables

_IN_A_BLOCK = f"status IN ('{MINED}', '{FAILED}', '{CANCELLED}')"


class Intents(Tables):
    def record_intent(
        self, kind: str, round: int | None, nonce: int, broadcast: Broadcast, most_fee: int | None = None
    ) -> Intent:
        """Writes down a signed transaction, before it is broadcast; the very same one as before takes up where that was
        given up. `most_fee` is the most that any form of it may offer for a unit of gas, in wei."""
        for (id,) in self._database.read("SELECT intent FROM broadcasts WHERE tx_hash = ?", (broadcast.tx_hash,)):
            again = self.intent(id)
            with self._database.whole():
                self.reopen_intent(again, broadcast.sent_at)
                self._database.execute("DELETE FROM broadcasts WHERE tx_hash = ?", (broadcast.tx_hash,))
                self._record_broadcast(id, broadcast)  # as the latest form
            return self.intent(id)
        with self._database.whole():
            [[id]] = self._database.read(
                "INSERT INTO intents (kind, round, nonce, most_fee) VALUES (?, ?, ?, ?) RETURNING id",
                (kind, round, nonce, most_fee),
            )
            self._record_broadcast(id, broadcast)
        return self.intent(id)

    def record_replacement(self, intent: Intent, broadcast: Broadcast) -> None:
        """Writes down another form of a transaction, before it is broadcast."""
        self._record_broadcast(intent.id, broadcast)

    def settle_intent(
        self,
        intent: Intent,
        status: str,
        tx_hash: str | None = None,
        block: int | None = None,
        hash: str | None = None,
        gas: int | None = None,
    ) -> None:
        """Writes down what became of a transaction, in which block, and with how much gas."""
        self._database.execute(
            "UPDATE intents SET status = ?, tx_hash = ?, block = ?, block_hash = ?, gas = ?, final = 0 WHERE id = ?",
            (status, tx_hash, block, hash, gas, intent.id),
        )

    def reopen_intent(self, intent: Intent, now: int) -> None:
        """Takes back what became of a transaction, whose block is no part of the chain any more: from `now` on, by the
        chain's time, it is on its way."""
        self._database.execute("UPDATE broadcasts SET sent_at = ? WHERE intent = ?", (now, intent.id))
        self._database.execute(
            "UPDATE intents SET status = NULL, tx_hash = NULL, block = NULL, block_hash = NULL, gas = NULL, final = 0 "
            "WHERE id = ?",
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

    def gas_spent(self, since: int) -> int:
        """Units of gas that transactions took which were sent since a time of the chain, and the most that those can
        take which are on their way, or of which nobody knows what they took."""
        [[gas]] = self._database.read(
            "SELECT coalesce(sum(coalesce(gas, gas_limit, 0)), 0) FROM intents JOIN (SELECT intent, max(gas_limit) AS "
            "gas_limit, max(sent_at) AS sent_at FROM broadcasts GROUP BY intent) ON intent = id "
            "WHERE status IS NULL OR (status != ? AND sent_at >= ?)",
            (DROPPED, since),
        )
        return int(gas)

    def mined_under(self, nonce: int) -> Intent | None:
        """The transaction of this journal that is in a block with the nonce."""
        return next(iter(self._intents(f"nonce = ? AND {_IN_A_BLOCK}", (nonce,))), None)

    def mined_up_to(self) -> tuple[int, int] | None:
        """The highest nonce and the highest block of the transactions that were last seen in blocks; None before the
        first."""
        [[nonce, block]] = self._database.read(f"SELECT max(nonce), max(block) FROM intents WHERE {_IN_A_BLOCK}")
        return None if nonce is None or block is None else (nonce, block)

    def broadcasts(self, intent: Intent) -> list[Broadcast]:
        """The forms in which a transaction was signed, the latest first."""
        rows = self._database.read(
            "SELECT tx_hash, max_fee, priority_fee, cancels, sent_at, encrypted, gas_limit FROM broadcasts "
            "WHERE intent = ? ORDER BY rowid DESC",
            (intent.id,),
        )
        return [Broadcast(*(*row[:3], bool(row[3]), *row[4:])) for row in rows]

    def _record_broadcast(self, intent: int, broadcast: Broadcast) -> None:
        self._database.execute(
            "INSERT INTO broadcasts (tx_hash, intent, max_fee, priority_fee, cancels, sent_at, encrypted, gas_limit) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                broadcast.tx_hash,
                intent,
                broadcast.max_fee,
                broadcast.priority_fee,
                broadcast.cancels,
                broadcast.sent_at,
                broadcast.encrypted,
                broadcast.gas_limit,
            ),
        )

    def _intents(self, condition: str, values: tuple[object, ...]) -> list[Intent]:
        rows = self._database.read(
            "SELECT id, kind, round, nonce, status, tx_hash, block, block_hash, final, gas, most_fee FROM intents "
            f"WHERE {condition} ORDER BY nonce, id",
            values,
        )
        return [Intent(*(*row[:8], bool(row[8]), *row[9:])) for row in rows]
