"""What became of the transactions in a journal, and what is done about each until no reorganization can reach it.

None is taken for lost because a node does not know it: a node may be behind, and give receipts late. That another
transaction used its nonce is proven first; where no node can prove it any more, what became of it is unknown, and so it
is called. Until then it is on its way, and nothing else is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from structlog.typing import FilteringBoundLogger

from processor.chain.calls import decoded
from processor.chain.fees import Fees
from processor.chain.receipts import Receipt
from processor.chain.transactions import Sender
from processor.daemons.forms import form_of, signed_bytes
from processor.daemons.inquiries import Inquiries
from processor.errors import ChainError, NotAccepted, Reverted, Underpriced
from processor.journal import CANCELLED, DROPPED, FAILED, MINED, UNKNOWN, Broadcast, Intent, Journal
from processor.metrics import Metrics
from processor.protocol.pending import PATIENCE, Fate, Pending, Step, decide_pending
from processor.types import Block

_GIVEN_UP = (DROPPED, UNKNOWN)


@dataclass
class Following:
    """Follows the transactions of one account; for the parameters see `Transactions`. `clock` gives seconds that never
    go back."""

    sender: Sender
    journal: Journal
    log: FilteringBoundLogger
    state_key: bytes = field(repr=False)
    confirmations: int
    stuck_after: float
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic
    _inquiries: Inquiries = field(init=False)
    _looked_at: str = ""
    _said: str = ""
    _behind_since: float | None = None
    _missing_since: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._inquiries = Inquiries(self.sender, self.confirmations, self.clock)

    def look(self, head: Block) -> None:
        """Looks what became of every transaction that is not final, and does what is to be done about it."""
        for intent in self.journal.unsettled_intents():
            if intent.status is None or intent.refused or head.hash != self._looked_at:
                self._follow(intent, head)
        self._looked_at = head.hash
        mined = self.journal.mined_up_to()
        if mined is None or mined[1] <= head.number:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self.clock()

    def pending(self) -> bool:
        """Whether a transaction is on its way: also for a head that is below its block, as a node's may be that is
        behind, while that does not last."""
        behind = self._behind_since is not None and self.clock() - self._behind_since < PATIENCE
        return behind or bool(self.journal.open_intents())

    def unconfirmed(self) -> bool:
        """Whether a transaction may still be taken out of its block, or is on its way."""
        return any(intent.status not in _GIVEN_UP for intent in self.journal.unsettled_intents())

    # --------------------------------------------------------------------------------------------- one transaction

    def _follow(self, intent: Intent, head: Block) -> None:
        mined = self.sender.mined()  # before the receipts: what is mined in between is seen at the next look
        forms = self.journal.broadcasts(intent)
        for form in forms:
            receipt = self.sender.receipt(form.tx_hash)
            if receipt is not None and intent.status is None and receipt.block > head.number:
                return  # at this head it is on its way: what is decided by the head must not be sent a second time
            if receipt is not None:
                self._in_a_block(intent, form, receipt, head)
                return
        used = mined > intent.nonce
        if intent.status is not None:
            if self._stands(intent, used, head):
                return
            self.journal.reopen_intent(intent, head.timestamp)
            intent, forms = self.journal.intent(intent.id), self.journal.broadcasts(intent)
        if used:
            self._look_into(intent, forms, head)
        else:
            self._inquiries.forget(intent)
            self._still_pending(intent, forms, intent.nonce == mined, head)

    def _in_a_block(self, intent: Intent, form: Broadcast, receipt: Receipt, head: Block) -> None:
        self._inquiries.forget(intent)
        self._missing_since.pop(intent.id, None)
        status = FAILED if not receipt.succeeded else CANCELLED if form.cancels else MINED
        if (intent.status, intent.tx_hash, intent.block_hash) != (status, receipt.tx_hash, receipt.block_hash):
            where = receipt.tx_hash, receipt.block, receipt.block_hash
            self.journal.settle_intent(intent, status, *where, receipt.gas_used)
            self.metrics.transaction(status)
            fee = None if receipt.fee_wei is None else str(receipt.fee_wei)
            facts = {"transaction": receipt.tx_hash, "block": receipt.block, "fee_wei": fee}
            if status == MINED:
                self.log.info(intent.kind, round=intent.round, **facts)
            elif status == CANCELLED:
                self.log.info("transaction cancelled", step=intent.kind, round=intent.round, **facts)
            else:
                why = self._failure(form, receipt)
                self.log.warning("transaction failed", step=intent.kind, round=intent.round, error=why, **facts)
        if self._is_final(receipt.block, head):
            self.journal.finish_intent(intent)
            self.log.debug("transaction final", step=intent.kind, transaction=receipt.tx_hash)

    def _stands(self, intent: Intent, used: bool, head: Block) -> bool:
        """Whether what is written down of a transaction holds, although the node has no receipt of it now: it does
        until its block is seen to be another one."""
        if intent.block_hash is None:
            if intent.status == DROPPED and used:  # the node may have had it after all when it refused it
                return False
        elif (hash := self.sender.hash_of(intent.block or 0)) != intent.block_hash:
            since = self._missing_since.setdefault(intent.id, self.clock())
            if hash is None and self.clock() - since < PATIENCE:
                return True
            del self._missing_since[intent.id]
            if hash is not None:
                self.metrics.transaction("reorganized")
                self.log.warning("transaction reorganized away", step=intent.kind, transaction=intent.tx_hash)
            return False
        self._missing_since.pop(intent.id, None)
        if self._is_final(intent.block or 0, head):
            self.journal.finish_intent(intent)
        return True

    # ------------------------------------------------------------------------------------- whose nonce is used

    def _look_into(self, intent: Intent, forms: list[Broadcast], head: Block) -> None:
        own = self.journal.mined_under(intent.nonce)
        if own is not None:
            self._give_up(intent, forms, DROPPED, own.tx_hash, own.block, own.block_hash)
            return
        found = self._inquiries.look(intent, [form.tx_hash for form in forms], head)
        if found.receipt is not None:
            form = next(form for form in forms if form.tx_hash == found.receipt.tx_hash)
            self._in_a_block(intent, form, found.receipt, head)
            return
        proof = found.verdict
        match found.fate:
            case Fate.OTHER if proof is not None:
                self._give_up(intent, forms, DROPPED, proof.tx_hash, proof.block, proof.block_hash)
            case Fate.UNKNOWN if proof is not None:
                self._give_up(intent, forms, UNKNOWN, proof.tx_hash, proof.block, proof.block_hash)
            case Fate.UNKNOWN:
                self._give_up(intent, forms, UNKNOWN, None, head.number, None)
            case _:
                why = "its nonce is used, and it is not proven yet by what"
                why = why if proof is None else f"block {proof.block} used its nonce"
                self._say_once("transaction awaited", intent, forms[0], why)

    def _give_up(
        self,
        intent: Intent,
        forms: list[Broadcast],
        status: str,
        used_by: str | None,
        block: int | None,
        hash: str | None,
    ) -> None:
        self._inquiries.forget(intent)
        self.journal.settle_intent(intent, status, used_by, block, hash)
        self.metrics.transaction(status)
        facts = {"step": intent.kind, "transaction": forms[0].tx_hash, "nonce": intent.nonce}
        if status == DROPPED:
            why = "its nonce was used by another transaction"
            self.log.warning("transaction dropped", reason=why, used_by=used_by, block=block, **facts)
        else:
            why = "its nonce is used, and no node says by what: it may have had its effect"
            why = why if hash is None else "it is in a block, and no node says whether it succeeded"
            self.log.warning("transaction unknown", reason=why, block=block, **facts)

    # ------------------------------------------------------------------------------------- whose nonce is free

    def _still_pending(self, intent: Intent, forms: list[Broadcast], is_next: bool, head: Block) -> None:
        last, known = forms[0], any(self.sender.knows(form.tx_hash) for form in forms)
        age = head.timestamp - last.sent_at if is_next else 0  # others are held up, not stuck
        looked_into = not last.cancels and (not known or age > self.stuck_after)
        refused = self._refusal(last, head) if looked_into else None
        pending = Pending(known, refused is not None, last.cancels, age)
        facts = {"step": intent.kind, "transaction": last.tx_hash, "nonce": intent.nonce}
        match decide_pending(pending, self.stuck_after):
            case Step.SEND_AGAIN:
                self._send_again(intent, last, head, facts)
            case Step.OUTBID:
                self._replace(intent, last, head, cancel=last.cancels)
            case Step.CANCEL:
                self.log.warning("cancelling", reason=refused, **facts)
                self._replace(intent, last, head, cancel=True)

    def _send_again(self, intent: Intent, last: Broadcast, head: Block, facts: dict[str, Any]) -> None:
        """The very same bytes; more for the gas where the market asks for more, or where it takes too long."""
        try:
            self.sender.broadcast(self._decrypted(last))
        except Underpriced as error:
            dearer = self.sender.market().max_fee > last.max_fee
            if dearer or head.timestamp - last.sent_at > self.stuck_after:
                self._replace(intent, last, head, cancel=last.cancels)
            else:
                self._say_once("transaction stuck", intent, last, str(error))
        except NotAccepted as error:
            self._say_once("transaction stuck", intent, last, str(error))
        else:
            self.log.warning("sent again", **facts)
            self.metrics.transaction("sent_again")

    def _replace(self, intent: Intent, last: Broadcast, head: Block, cancel: bool) -> None:
        """Signs and sends another form with higher fees; where the ceiling or the balance forbids it, it waits. What
        would then cost more than it is worth is cancelled."""
        before = Fees(last.max_fee, last.priority_fee)
        try:
            fees = self.sender.outbidding(before)
            if not cancel and intent.most_fee is not None and fees.max_fee > intent.most_fee:
                cancel = not self._is_worth(before, intent.most_fee)
                fees = fees if cancel else self.sender.outbidding(before, intent.most_fee)
            if cancel:
                form = self.sender.cancellation(intent.nonce, fees)
            else:
                form = self.sender.again(self._decrypted(last), fees)
        except ChainError as error:
            self._say_once("transaction stuck", intent, last, str(error))
            return
        self.journal.record_replacement(intent, form_of(form, head, self.state_key, cancel))
        self.log.warning(
            "outbidding",
            **{"step": intent.kind, "nonce": intent.nonce, "transaction": form.tx_hash, "cancels": cancel or None},
            **{"max_fee_per_gas": fees.max_fee, "priority_fee": fees.priority_fee},
        )
        try:
            self.sender.broadcast(form.raw)
        except NotAccepted as error:  # the form before may just have been mined
            self.log.warning("replacement refused", step=intent.kind, transaction=form.tx_hash, error=str(error))
        self.metrics.transaction("replaced")

    def _is_worth(self, before: Fees, most: int) -> bool:
        """Whether a form can be outbid at no more than `most` wei for a unit of gas."""
        try:
            self.sender.outbidding(before, most)
        except ChainError:
            return False
        return True

    # ---------------------------------------------------------------------------------------------------- internal

    def _say_once(self, what: str, intent: Intent, last: Broadcast, why: str) -> None:
        """Once for every reason, not with every cycle."""
        if self._said != (said := f"{what}: {last.tx_hash}: {why}"):
            self.log.warning(what, step=intent.kind, transaction=last.tx_hash, reason=why)
        self._said = said

    def _failure(self, form: Broadcast, receipt: Receipt) -> str:
        if not form.encrypted:
            return "it failed in another block than before"
        return str(self.sender.failure(decoded(self._decrypted(form)), receipt))

    def _refusal(self, form: Broadcast, head: Block) -> str | None:
        """Why a form is of no use any more; None where it is."""
        if not form.encrypted:
            return "it was final once, and is not kept"
        try:
            self.sender.simulate(self._decrypted(form), head)
        except Reverted as error:
            return str(error)
        return None

    def _is_final(self, block: int, head: Block) -> bool:
        return head.number - block >= self.confirmations

    def _decrypted(self, form: Broadcast) -> bytes:
        return signed_bytes(form, self.state_key)
