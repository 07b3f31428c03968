"""The transactions of a daemon: written down before they are sent, and followed until no reorganization can reach them.

A daemon does not wait for them. A cycle that sends is followed by cycles that look what became of it: they send the
same bytes again where the chain lost them, outbid what is stuck under the same nonce, and cancel what the contract
would refuse by now (`daemons.following`). So there is one transaction on its way at most, no nonce is left out, and
whatever is lost is decided again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from structlog.typing import FilteringBoundLogger

from processor.chain.asset import approve
from processor.chain.federation import Federation
from processor.chain.fees import Fees
from processor.chain.receipts import Receipt
from processor.chain.transactions import Call, Sender, SignedIntent
from processor.daemons.following import Following
from processor.daemons.forms import form_of
from processor.errors import ChainError, NonceUsed, NotAccepted, Underpriced
from processor.journal import CANCELLED, DROPPED, FAILED, MINED, UNKNOWN, Intent, Journal
from processor.locks import held
from processor.metrics import Metrics
from processor.protocol.pending import PATIENCE
from processor.types import Block

STUCK_AFTER = 90.0


@dataclass
class Transactions:
    """What one wallet sends in one federation.

    `state_key` encrypts signed transactions in the journal: one may carry a round's secret. `confirmations` is how many
    blocks make a transaction final, `stuck_after` how many seconds of the chain's time one may be on its way before it
    is outbid. `clock` gives seconds that never go back.
    """

    sender: Sender
    journal: Journal
    log: FilteringBoundLogger
    state_key: bytes = field(repr=False)
    confirmations: int = 0
    stuck_after: float = STUCK_AFTER
    metrics: Metrics = field(default_factory=Metrics)
    clock: Callable[[], float] = time.monotonic
    _following: Following = field(init=False)
    _strange: tuple[int, int] | None = None
    _fewer_since: float | None = None
    _at_least: Fees | None = None

    def __post_init__(self) -> None:
        self._following = Following(
            *(self.sender, self.journal, self.log, self.state_key, self.confirmations, self.stuck_after, self.metrics),
            self.clock,
        )

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
            self._following.look(head)
            signed = self.sender.sign(call, self._free_nonce(head), self._at_least)
            most_fee = None if call.worth is None else call.worth // signed.gas
            form = form_of(signed, head, self.state_key)
            intent = self.journal.record_intent(kind, round, signed.nonce, form, most_fee)
            self.log.info("sending", step=kind, round=round, transaction=signed.tx_hash, nonce=signed.nonce, **facts)
            self._broadcast(intent, signed)
            self.metrics.transaction("sent")
            self._following.look(self.sender.block())
        return intent

    def approve(self, federation: Federation, amount: int) -> None:
        """Lets the federation take `amount` of its token from the account, and no more."""
        asset = federation.asset()
        self.send("approved", approve(asset, federation.address, amount), amount=asset.format(amount))

    def complete(self, kind: str, call: Call, timeout: float = 600, pause: float = 0.5) -> Receipt:
        """Sends a call, after what is on its way already, and waits until it is in a block: for a person.

        Raises what `send` raises, Reverted where it failed in its block, and ChainError where it is in none after
        `timeout` seconds, or where that is unknown: the journal remembers it then.
        """
        deadline = self.clock() + timeout
        self.follow(self.sender.block())
        while self.clock() < deadline and (self.pending() or self._fewer_than_known(self.sender.mined())):
            time.sleep(pause)
            self.follow(self.sender.block())
        id = self.send(kind, call).id
        while True:
            intent = self.journal.intent(id)
            receipt = self._receipt(intent)
            if receipt is not None and intent.status == MINED:
                return receipt
            if receipt is not None and intent.status == FAILED:
                raise self.sender.failure(call, receipt)
            if intent.status in (CANCELLED, DROPPED, UNKNOWN):
                raise ChainError(f"cannot {call.description}: {self._end(intent)}")
            if self.clock() > deadline:
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
                self._following.look(head)

    def pending(self) -> bool:
        """Whether a transaction is on its way, or in a block that the head which was looked at does not show yet."""
        return self._following.pending()

    def unconfirmed(self) -> bool:
        """Whether a transaction may still be taken out of its block, or is on its way."""
        return self._following.unconfirmed()

    # ---------------------------------------------------------------------------------------------------- internal

    def _turn(self) -> AbstractContextManager[bool]:
        """One program at a time works on the transactions of an account, a daemon or the command of its owner: two
        transactions under one nonce would be one too many. False for the others."""
        return held(f"sending-{self.sender.chain_id}-{self.sender.address}")

    def _free_nonce(self, head: Block) -> int:
        """The next nonce, behind no transaction that is on its way.

        One that the journal does not know (it was lost, or somebody else has the key) is waited for, and outbid when it
        is stuck. Raises ChainError while one is waited for, while the node does not know yet what the journal knows to
        be in blocks, and until it is known what used the nonce of one that a node refused.
        """
        if self.pending():
            raise ChainError(
                f"account {self.sender.address} has an earlier transaction on its way: wait until it is in a block"
            )
        mined, sent = self.sender.nonces()
        if self._fewer_than_known(mined):
            raise ChainError(
                f"the node counts {mined} transactions of account {self.sender.address}, fewer than are in blocks: "
                "it is behind; try again in a moment"
            )
        if any(intent.refused and intent.nonce < mined for intent in self.journal.unsettled_intents()):
            raise ChainError(
                f"a transaction of account {self.sender.address} that a node refused before may be in a block all the "
                "same: try again in a moment"
            )
        if sent == mined:
            self._strange = self._at_least = None
            return mined
        if self._strange is None or self._strange[0] != mined:
            self._strange = (mined, head.timestamp)
        if head.timestamp - self._strange[1] <= self.stuck_after:
            raise ChainError(
                f"account {self.sender.address} has a transaction on its way (nonce {mined}) that this journal does "
                "not know: let only one program use an account at a time, and wait until it is in a block"
            )
        return mined

    def _fewer_than_known(self, mined: int) -> bool:
        """Whether the node counts fewer transactions in blocks than the journal knows, as long as that may be because
        it is behind."""
        known = self.journal.mined_up_to()
        if known is None or mined > known[0]:
            self._fewer_since = None
            return False
        if self._fewer_since is None:
            self._fewer_since = self.clock()
        return self.clock() - self._fewer_since < PATIENCE

    def _broadcast(self, intent: Intent, signed: SignedIntent) -> None:
        try:
            self.sender.broadcast(signed.raw)
        except NonceUsed as error:  # by what is looked into, as long as it is on its way for everybody
            self.log.warning("nonce used already", step=intent.kind, transaction=signed.tx_hash, reason=str(error))
        except NotAccepted as error:
            if isinstance(error, Underpriced):  # the next one offers a step more
                self._at_least = signed.fees
            self.journal.settle_intent(intent, DROPPED, block=self.sender.block().number)
            self.metrics.transaction("refused")
            raise

    def _receipt(self, intent: Intent) -> Receipt | None:
        return self.sender.receipt(intent.tx_hash) if intent.tx_hash else None

    def _end(self, intent: Intent) -> str:
        """How a transaction ended that will not be in a block as it was meant: never more than what is proven."""
        account, block = self.sender.address, intent.block
        if intent.status == CANCELLED:
            return f"its transaction was taken back, in block {block}: nothing was changed by it"
        if intent.refused:
            return "the node refused its transaction; look at the federation (koinon status) before trying again"
        if intent.status == DROPPED:
            other = intent.tx_hash or "something else"
            return (
                f"{other} used its nonce {intent.nonce} in block {block}, so it never will be in one: nothing was "
                f"changed by it. Let only one program use account {account} at a time, and try again"
            )
        sent = self.journal.broadcasts(intent)[0].tx_hash
        if intent.tx_hash is not None:
            return (
                f"transaction {intent.tx_hash} is in block {block}, and no node says whether it succeeded: look at the "
                "federation's state (koinon status) before trying again"
            )
        return (
            f"transaction {sent} was sent, its nonce {intent.nonce} is used, and no node says by what: it may have had "
            "its effect. Look at the federation's state (koinon status) before trying again"
        )
