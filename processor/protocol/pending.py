"""What to do about a transaction that was signed and is in no block yet: a pure function of what a node says of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Step(Enum):
    WAIT = auto()
    GIVE_UP = auto()
    """Forget it: what has to be done is decided again, under a nonce that is free."""
    SEND_AGAIN = auto()
    """The very same bytes."""
    OUTBID = auto()
    """The same under the same nonce, with higher fees."""
    CANCEL = auto()
    """Use its nonce for nothing: the contract would refuse it by now."""


@dataclass(frozen=True)
class Pending:
    """What is known of a transaction in no block.

    `nonce_used`: another transaction is in a block with its nonce. `known`: a node has it on its way. `refused`: the
    contract would refuse it now. `cancels`: its latest form only uses the nonce. `holds_up`: others of the account,
    with higher nonces, wait for it. `age` is in seconds since that form was sent, by the chain's time: a chain that
    stands still makes nothing stuck.
    """

    nonce_used: bool
    known: bool
    refused: bool
    cancels: bool
    holds_up: bool
    age: float


def decide_pending(pending: Pending, stuck_after: float) -> Step:
    """The next step; after `stuck_after` seconds on its way a transaction is stuck."""
    if pending.nonce_used:
        return Step.GIVE_UP
    unwanted = pending.refused or pending.cancels
    if not pending.known and unwanted and not pending.holds_up:
        return Step.GIVE_UP
    if not pending.known:
        return Step.CANCEL if pending.refused and not pending.cancels else Step.SEND_AGAIN
    if pending.age <= stuck_after:
        return Step.WAIT
    return Step.CANCEL if pending.refused and not pending.cancels else Step.OUTBID
