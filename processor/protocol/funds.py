"""How far a wallet's coins reach: said before they run out, since a round that cannot be paid for is a round lost."""

from __future__ import annotations

from processor.chain.amounts import format_ether

CLIENT_GAS = 300_000
"""Gas of a client's round: an update, its first too, and a claim, under today's prices of state and those of the coming
fork (see snapshots/token.json)."""
ORGANIZATION_GAS = 600_000
"""Gas of an organization's round: opened, after an abandoned one too, and finalized with some adjustments; as above."""
ROUNDS_AHEAD = 10
"""Rounds that a wallet should be able to pay for: enough time to send it some."""


def funds_needed(gas: int, gas_price: int, reward: int = 0) -> int:
    """Wei that a wallet should hold: the gas of the next rounds at `gas_price` wei, and the `reward` of one of them,
    where that is in the chain's coin and the wallet's to pay."""
    return ROUNDS_AHEAD * gas * gas_price + reward


def low_balance(balance: int, needed: int) -> str | None:
    """A warning where the balance is below what is needed; None where it is enough."""
    if balance >= needed:
        return None
    return (
        f"the wallet holds {format_ether(balance)} ETH, and its next {ROUNDS_AHEAD} rounds need about "
        f"{format_ether(needed)} ETH at the present price of gas: send it some"
    )
