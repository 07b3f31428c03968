"""The signed forms of a transaction as a journal keeps them: encrypted, since one may carry a round's secret."""

from __future__ import annotations

from processor.chain.transactions import SignedIntent
from processor.journal import Broadcast
from processor.keystore import decrypt, encrypt
from processor.types import Block


def form_of(signed: SignedIntent, head: Block, key: bytes, cancels: bool = False) -> Broadcast:
    """A signed transaction that is about to be sent, at this head of the chain."""
    return Broadcast(
        tx_hash=signed.tx_hash,
        max_fee=signed.fees.max_fee,
        priority_fee=signed.fees.priority_fee,
        cancels=cancels,
        sent_at=head.timestamp,
        encrypted=encrypt(key, signed.raw),
        gas_limit=signed.gas,
    )


def signed_bytes(form: Broadcast, key: bytes) -> bytes:
    return decrypt(key, form.encrypted)
