"""How much gas the transactions of a client may use in a day. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from processor.protocol.decide import Approve, Claim, ClientAction, Publish, Register, Stop, Submit, Train, Wait
from processor.protocol.limits import CLAIM_GAS, SUBMIT_GAS

DAY = 24 * 3600
"""Seconds, by the chain's time, over which gas is counted."""
USUAL_GAS = 60_000
"""Of a transaction that is none of those below, such as an approval."""
REGISTER_GAS = 130_000
_FREE = (Wait, Stop, Train, Publish)


@dataclass(frozen=True)
class GasOfTheDay:
    """Units of gas: `spent` of the last 24 hours, and the `most` that a client allows for them. `submission_ahead` says
    that the round that goes on still waits for an update of the client."""

    spent: int
    most: int
    submission_ahead: bool


def within_gas(action: ClientAction, day: GasOfTheDay, claim_gas: int = CLAIM_GAS) -> ClientAction:
    """The action, where the day's gas reaches for it; otherwise waiting, with the reason.

    What an update takes is kept for it as long as one may still be submitted: claims can wait, rounds do not.
    """
    if isinstance(action, _FREE):
        return action
    needed = claim_gas if isinstance(action, Claim) else gas_of(action)
    kept = 0 if isinstance(action, Submit) or not day.submission_ahead else SUBMIT_GAS
    return action if day.spent + needed + kept <= day.most else Wait(spent_in_words(day.most))


def gas_of(action: ClientAction) -> int:
    """A ceiling of the gas of an action's transaction today (docs/protocol.md, the gas snapshot)."""
    match action:
        case Submit():
            return SUBMIT_GAS
        case Claim():
            return CLAIM_GAS
        case Register():
            return REGISTER_GAS
        case Approve():
            return USUAL_GAS
    return USUAL_GAS


def training_refusal(day: GasOfTheDay) -> str | None:
    """Why nobody trains now: the update could not be submitted. Completes "round 3 refused:"."""
    return None if day.spent + SUBMIT_GAS <= day.most else spent_in_words(day.most)


def spent_in_words(most: int) -> str:
    """Without what changes from block to block: the log repeats only what is new."""
    return (
        f"what is left of the {most} gas that client.max_gas_per_day allows for 24 hours is not enough: waiting until "
        "earlier transactions are that old; raise the limit to go on now"
    )
