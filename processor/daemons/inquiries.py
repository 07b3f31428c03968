"""What became of transactions whose nonce is used while the node that was asked has no receipt of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from processor.chain.fates import Verdict
from processor.chain.receipts import Receipt
from processor.chain.transactions import Sender
from processor.journal import Intent
from processor.protocol.pending import PATIENCE, Fate, Used, decide_used
from processor.types import Block

FIRST_PAUSE = 2.0
"""Seconds between the first two attempts to prove what used a nonce, twice as long each time: proof takes dozens of
questions where the node has dropped what it knew."""


@dataclass(frozen=True)
class Finding:
    """What became of a transaction, with the block that used its nonce where that is proven, and its receipt where
    another node gave one."""

    fate: Fate
    verdict: Verdict | None = None
    receipt: Receipt | None = None


@dataclass
class _Inquiry:
    """`block` and `since`, in seconds: when the nonce was first seen to be used."""

    block: int
    since: float
    next_try: float = 0.0
    pause: float = FIRST_PAUSE
    verdict: Verdict | None = None


@dataclass
class Inquiries:
    """Looks for proof as long as there can be any; for one account. `clock` gives seconds that never go back."""

    sender: Sender
    confirmations: int
    clock: Callable[[], float] = time.monotonic
    _open: dict[int, _Inquiry] = field(default_factory=dict)

    def look(self, intent: Intent, hashes: Sequence[str], head: Block) -> Finding:
        """What became of a transaction that was sent in the forms `hashes`, as far as the head shows it. Raises
        ChainError where no node answers."""
        inquiry = self._open.setdefault(intent.id, _Inquiry(head.number, self.clock()))
        if inquiry.verdict is None and self.clock() >= inquiry.next_try:
            self._prove(inquiry, intent.nonce, hashes)
        fate = self._fate(inquiry, head)
        if fate is Fate.UNKNOWN and inquiry.verdict is None:  # nobody asks again after this
            self._prove(inquiry, intent.nonce, hashes)
            fate = self._fate(inquiry, head)
        if fate is Fate.UNKNOWN and (receipt := self.sender.receipt_anywhere(hashes)) is not None:
            return Finding(Fate.AWAITED, inquiry.verdict, receipt)
        return Finding(fate, inquiry.verdict)

    def forget(self, intent: Intent) -> None:
        """Its nonce is free, or what became of it is known."""
        self._open.pop(intent.id, None)

    def _prove(self, inquiry: _Inquiry, nonce: int, hashes: Sequence[str]) -> None:
        inquiry.next_try, inquiry.pause = self.clock() + inquiry.pause, min(2 * inquiry.pause, PATIENCE)
        inquiry.verdict = self.sender.verdict(nonce, hashes)

    def _fate(self, inquiry: _Inquiry, head: Block) -> Fate:
        proof = inquiry.verdict
        if proof is not None and proof.block > head.number:
            return Fate.AWAITED
        other = proof is not None and not proof.ours
        return decide_used(Used(other, head.number - inquiry.block, self.clock() - inquiry.since), self.confirmations)
