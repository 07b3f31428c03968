"""What to do about a transaction that was signed and has no receipt yet: pure functions of what nodes say of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

PATIENCE = 60.0
"""Seconds for which nodes may not know yet, or not any more, what they have just shown."""


class Step(Enum):
    WAIT = auto()
    SEND_AGAIN = auto()
    """The very same bytes."""
    OUTBID = auto()
    """The same under the same nonce, with higher fees."""
    CANCEL = auto()
    """Use its nonce for nothing: the contract would refuse it by now."""


@dataclass(frozen=True)
class Pending:
    """What is known of a transaction whose nonce is free.

    `known`: a node has it on its way. `refused`: the contract would refuse it now. `cancels`: its latest form only uses
    the nonce. `age` is in seconds since that form was sent, by the chain's time: a chain that stands still makes
    nothing stuck.
    """

    known: bool
    refused: bool
    cancels: bool
    age: float


def decide_pending(pending: Pending, stuck_after: float) -> Step:
    """The next step; after `stuck_after` seconds on its way a transaction is stuck.

    None is forgotten, also where no node knows it any more: whoever has its bytes can send them, until something is in
    a block under its nonce.
    """
    unwanted = pending.refused and not pending.cancels
    if not pending.known:
        return Step.CANCEL if unwanted else Step.SEND_AGAIN
    if pending.age <= stuck_after:
        return Step.WAIT
    return Step.CANCEL if unwanted else Step.OUTBID


class Fate(Enum):
    AWAITED = auto()
    """Nothing is concluded yet, and nothing else sent."""
    OTHER = auto()
    """Another transaction is in a block under its nonce: this one never will be."""
    UNKNOWN = auto()
    """No node can say any more: it may have had its effect, which the chain's state shows by now."""


@dataclass(frozen=True)
class Used:
    """What is known of a transaction whose nonce is used, and of which the node asked has no receipt.

    `other`: it is proven that another transaction used the nonce. `depth` and `seconds`: how many blocks the chain has
    grown, and how long it is, since the nonce was first seen to be used.
    """

    other: bool
    depth: int
    seconds: float


def decide_used(used: Used, confirmations: int) -> Fate:
    """What became of it; `confirmations` is how many blocks make a transaction final.

    That there is no receipt proves nothing: nodes give receipts late, and drop old ones.
    """
    if used.other:
        return Fate.OTHER
    if used.depth >= confirmations and used.seconds >= PATIENCE:
        return Fate.UNKNOWN
    return Fate.AWAITED
