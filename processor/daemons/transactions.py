"""The transactions of a daemon: written down before they are sent, and followed until no reorganization can reach them.

A daemon does not wait for them. A cycle that sends is followed by cycles that look what became of it: they send the
same bytes again where the chain lost them, outbid what is stuck under the same nonce, and cancel what the contract
would refuse by now. So there is one transaction on its way at most, no nonce is left out, and whatever is lost is
decided again.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from structlog.typing import FilteringBoundLogger

from processor.chain.asset import approve
from processor.chain.federation import Federation
from processor.chain.fees import Fees
from processor.chain.transactions import Call, Receipt, Sender, SignedIntent, decoded
from processor.errors import ChainError, NotAccepted, Reverted, Underpriced
from processor.journal import CANCELLED, DROPPED, FAILED, MINED, Broadcast, Intent, Journal
from processor.keystore import decrypt, encrypt
from processor.locks import held
from processor.metrics import Metrics
from processor.protocol.pending import Pending, Step, decide_pending
from processor.types import Block

STUCK_AFTER = 90.0


@dataclass
class Transactions:
    """What one wallet sends in one federation.

    `state_key` encrypts signed transactions in the journal: one may carry a round's secret. `confirmations` is how many
    blocks make a transaction final, `stuck_after` how many seconds of the chain's time one may be on its way before it
    is outbid.
    """

    sender: Sender
    journal: Journal
    log: FilteringBoundLogger
    state_key: bytes = field(repr=False)
    confirmations: int = 0
    stuck_after: float = STUCK_AFTER
    metrics: Metrics = field(default_factory=Metrics)
    _unknown: tuple[int, int] | None = None
    _at_least: Fees | None = None
    _looked_at: str = ""
    _said: str = ""

    # ----------------------------------------------------------------------------------------------------- sending

    def send(self, kind: str, call: Call, round: int | None = None, **facts: Any) -> Intent:
        """Simulates, signs, journals and sends; `follow` tells what becomes of it, at once where it is mined at once.

        Raises Reverted where the contract refuses it, ChainError where an earlier transaction is on its way, where it
        cannot be paid, or where the node does not accept it.
        """
        with self._turn() as ours:
            if not ours:
                raise ChainError(
                    f"another program on this machine is just sending from {self.sender.address}: try again in a moment"
                )
            head = self.sender.block()
            self._look(head)
            signed = self.sender.sign(call, self._free_nonce(head), self._at_least)
            intent = self.journal.record_intent(kind, round, signed.nonce, self._broadcast_of(signed, head))
            self.log.info("sending", step=kind, round=round, transaction=signed.tx_hash, nonce=signed.nonce, **facts)
            self._broadcast(intent, signed)
            self.metrics.transaction("sent")
            self._look(self.sender.block())
        return intent

    def approve(self, federation: Federation, amount: int) -> None:
        """Lets the federation take `amount` of its token from the account, and no more."""
        asset = federation.asset()
        self.send("approved", approve(asset, federation.address, amount), amount=asset.format(amount))

    def complete(self, kind: str, call: Call, timeout: float = 600, pause: float = 0.5) -> Receipt:
        """Sends a call, after what is on its way already, and waits until it is in a block: for a person.

        Raises what `send` raises, Reverted where it failed in its block, and ChainError where it is in none after
        `timeout` seconds: the journal remembers it then.
        """
        deadline = time.monotonic() + timeout
        self.follow(self.sender.block())
        while self.pending() and time.monotonic() < deadline:
            time.sleep(pause)
            self.follow(self.sender.block())
        id = self.send(kind, call).id
        while True:
            intent = self.journal.intent(id)
            receipt = self.sender.receipt(intent.tx_hash) if intent.tx_hash else None
            if receipt is not None and intent.status == MINED:
                return receipt
            if receipt is not None and intent.status == FAILED:
                raise self.sender.failure(call, receipt)
            if intent.status in (CANCELLED, DROPPED):
                raise ChainError(f"cannot {call.description}: its transaction was {intent.status}; nothing was changed")
            if time.monotonic() > deadline:
                raise ChainError(
                    f"to {call.description}, a transaction was sent that is in no block after {timeout:g} s; it may "
                    "still be mined: look whether it was before trying again"
                )
            time.sleep(pause)
            self.follow(self.sender.block())

    # --------------------------------------------------------------------------------------------------- following

    def follow(self, head: Block) -> None:
        """Looks what became of every transaction that is not final, and does what is to be done about it; where another
        program does that just now, it is left to that one."""
        with self._turn() as ours:
            if ours:
                self._look(head)

    def _look(self, head: Block) -> None:
        unsettled = self.journal.unsettled_intents()
        highest = max((intent.nonce for intent in unsettled if intent.status != DROPPED), default=0)
        for intent in unsettled:
            if intent.status is None or head.hash != self._looked_at:
                self._follow(intent, head, holds_up=intent.nonce < highest)
        self._looked_at = head.hash

    def pending(self) -> bool:
        """Whether a transaction is on its way."""
        return bool(self.journal.open_intents())

    def unconfirmed(self) -> bool:
        """Whether a transaction may still be taken out of its block, or is on its way."""
        return any(intent.status != DROPPED for intent in self.journal.unsettled_intents())

    def _follow(self, intent: Intent, head: Block, holds_up: bool) -> None:
        mined = self.sender.mined()  # before the receipts: what is mined in between is seen at the next look
        forms = self.journal.broadcasts(intent)
        for form in forms:
            receipt = self.sender.receipt(form.tx_hash)
            if receipt is not None and intent.status is None and receipt.block > head.number:
                return  # at this head it is on its way: what is decided by the head must not be sent a second time
            if receipt is not None:
                self._in_a_block(intent, form, receipt, head)
                return
        if intent.status == DROPPED:  # a node that was behind may have misled us
            if self._is_final(intent.block or 0, head):
                self.journal.finish_intent(intent)
            return
        if intent.status is not None:
            self.journal.reopen_intent(intent, head.timestamp)
            forms = self.journal.broadcasts(intent)
            self.metrics.transaction("reorganized")
            self.log.warning("transaction reorganized away", step=intent.kind, transaction=intent.tx_hash)
        self._still_pending(intent, forms, mined, holds_up, head)

    def _in_a_block(self, intent: Intent, form: Broadcast, receipt: Receipt, head: Block) -> None:
        status = FAILED if not receipt.succeeded else CANCELLED if form.cancels else MINED
        if (intent.status, intent.tx_hash, intent.block_hash) != (status, receipt.tx_hash, receipt.block_hash):
            self.journal.settle_intent(intent, status, receipt.tx_hash, receipt.block, receipt.block_hash)
            self.metrics.transaction(status)
            facts = {"transaction": receipt.tx_hash, "block": receipt.block, "fee_wei": str(receipt.fee_wei)}
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

    def _still_pending(self, intent: Intent, forms: list[Broadcast], mined: int, holds_up: bool, head: Block) -> None:
        last, known = forms[0], any(self.sender.knows(form.tx_hash) for form in forms)
        age = head.timestamp - last.sent_at if intent.nonce == mined else 0  # others are held up, not stuck
        nonce_used = mined > intent.nonce
        looked_into = not nonce_used and not last.cancels and (not known or age > self.stuck_after)
        refused = self._refusal(last) if looked_into else None
        pending = Pending(nonce_used, known, refused is not None, last.cancels, holds_up, age)
        facts = {"step": intent.kind, "transaction": last.tx_hash, "nonce": intent.nonce}
        match decide_pending(pending, self.stuck_after):
            case Step.GIVE_UP:
                self.journal.settle_intent(intent, DROPPED, block=head.number)
                self.metrics.transaction(DROPPED)
                why = "its nonce was used otherwise" if nonce_used else refused or "no node has it any more"
                self.log.warning("transaction dropped", reason=why, **facts)
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
                self._say_stuck(intent, last, error)
        except NotAccepted as error:
            self._say_stuck(intent, last, error)
        else:
            self.log.warning("sent again", **facts)
            self.metrics.transaction("sent_again")

    def _replace(self, intent: Intent, last: Broadcast, head: Block, cancel: bool) -> None:
        """Signs and sends another form with higher fees; where the ceiling or the balance forbids it, it waits."""
        try:
            fees = self.sender.outbidding(Fees(last.max_fee, last.priority_fee))
            if cancel:
                form = self.sender.cancellation(intent.nonce, fees)
            else:
                form = self.sender.again(self._decrypted(last), fees)
        except ChainError as error:
            self._say_stuck(intent, last, error)
            return
        self.journal.record_replacement(intent, self._broadcast_of(form, head, cancel))
        self.log.warning(
            "outbidding",
            **{"step": intent.kind, "nonce": intent.nonce, "transaction": form.tx_hash},
            **{"max_fee_per_gas": fees.max_fee, "priority_fee": fees.priority_fee},
        )
        try:
            self.sender.broadcast(form.raw)
        except NotAccepted as error:  # the form before may just have been mined
            self.log.warning("replacement refused", step=intent.kind, transaction=form.tx_hash, error=str(error))
        self.metrics.transaction("replaced")

    def _say_stuck(self, intent: Intent, last: Broadcast, why: ChainError) -> None:
        """Once for every reason, not with every cycle."""
        if self._said != str(why):
            self.log.warning("transaction stuck", step=intent.kind, transaction=last.tx_hash, reason=str(why))
        self._said = str(why)

    def _failure(self, form: Broadcast, receipt: Receipt) -> str:
        if not form.encrypted:
            return "it failed in another block than before"
        return str(self.sender.failure(decoded(self._decrypted(form)), receipt))

    def _refusal(self, form: Broadcast) -> str | None:
        """Why a form is of no use any more; None where it is."""
        if not form.encrypted:
            return "it was final once, and is not kept"
        try:
            self.sender.simulate(self._decrypted(form))
        except Reverted as error:
            return str(error)
        return None

    # ---------------------------------------------------------------------------------------------------- internal

    def _is_final(self, block: int, head: Block) -> bool:
        return head.number - block >= self.confirmations

    def _turn(self) -> AbstractContextManager[bool]:
        """One program at a time works on the transactions of an account, a daemon or the command of its owner: two
        transactions under one nonce would be one too many. False for the others."""
        return held(f"sending-{self.sender.chain_id}-{self.sender.address}")

    def _free_nonce(self, head: Block) -> int:
        """The next nonce, behind no transaction that is on its way.

        One that the journal does not know (it was lost, or somebody else has the key) is waited for, and outbid when it
        is stuck. Raises ChainError while one is waited for.
        """
        if self.pending():
            raise ChainError(
                f"account {self.sender.address} has an earlier transaction on its way: wait until it is in a block"
            )
        mined, sent = self.sender.nonces()
        if sent == mined:
            self._unknown = self._at_least = None
            return mined
        if self._unknown is None or self._unknown[0] != mined:
            self._unknown = (mined, head.timestamp)
        if head.timestamp - self._unknown[1] <= self.stuck_after:
            raise ChainError(
                f"account {self.sender.address} has a transaction on its way (nonce {mined}) that this journal does "
                "not know: let only one program use an account at a time, and wait until it is in a block"
            )
        return mined

    def _broadcast(self, intent: Intent, signed: SignedIntent) -> None:
        try:
            self.sender.broadcast(signed.raw)
        except NotAccepted as error:
            if isinstance(error, Underpriced):  # the next one offers a step more
                self._at_least = signed.fees
            self.journal.settle_intent(intent, DROPPED, block=self.sender.block().number)
            self.metrics.transaction("refused")
            raise

    def _broadcast_of(self, intent: SignedIntent, head: Block, cancels: bool = False) -> Broadcast:
        return Broadcast(
            tx_hash=intent.tx_hash,
            max_fee=intent.fees.max_fee,
            priority_fee=intent.fees.priority_fee,
            cancels=cancels,
            sent_at=head.timestamp,
            encrypted=encrypt(self.state_key, intent.raw),
        )

    def _decrypted(self, form: Broadcast) -> bytes:
        return decrypt(self.state_key, form.encrypted)
