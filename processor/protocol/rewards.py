"""The money of a round, recomputed apart from the contract (`contracts/libraries/Rewards.sol`).

With T the claimed and T' the credited total in milliseconds and P(t) = min(pool, rate · t / 10¹²): a client gets
⌊P(T′) · credited ÷ T′⌋, pool − P(T) is carried, P(T) − P(T′) and the rounding are forfeited. Amounts are in the asset's
smallest unit, rates in 10⁻⁹ of that for a second of compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from processor.chain.asset import Asset
from processor.config import RATE_DECIMALS
from processor.types import Address

SCALE = 10 ** (RATE_DECIMALS + 3)
"""What a rate times milliseconds is divided by."""
BASIS_POINTS = 10_000
MOST = 2**112 - 1
"""The largest amount or rate that the contract keeps."""


@dataclass(frozen=True)
class Money:
    """Where a pool went. `rounding` is the part of the forfeited amount that division leaves over."""

    rewards: dict[Address, int]
    carried: int
    forfeited: int
    rounding: int


class PoolTerms(Protocol):
    """What of a round's terms its smallest pool follows from, as they are configured or as they open it."""

    @property
    def max_updates(self) -> int: ...
    @property
    def max_compute_ms(self) -> int: ...
    @property
    def selection_rate(self) -> int: ...
    @property
    def reward_rate_cap(self) -> int: ...


def payable(pool: int, reward_rate_cap: int, compute_ms: int) -> int:
    """P(t): what the pool pays at most for `compute_ms` of compute, rounded down."""
    return min(pool, reward_rate_cap * compute_ms // SCALE)


def money_of(pool: int, reward_rate_cap: int, claimed_ms: int, credited: Mapping[Address, int]) -> Money:
    """Divides the pool of a round that is over among the clients credited."""
    total = sum(credited.values())
    due = payable(pool, reward_rate_cap, total)
    rewards = {client: due * ms // total if total else 0 for client, ms in credited.items()}
    claimed = payable(pool, reward_rate_cap, claimed_ms)
    return Money(
        rewards=rewards,
        carried=pool - claimed,
        forfeited=claimed - due,
        rounding=due - sum(rewards.values()),
    )


def guaranteed_rate(pool: int, reward_rate_cap: int, selected: int, max_compute_ms: int) -> int:
    """What every second of compute can count on even where all of the selected claim the most they may, as a rate."""
    most_ms = selected * max_compute_ms
    return min(reward_rate_cap, pool * SCALE // most_ms) if most_ms else 0


def selected_of(members: int, selection_rate: int, max_updates: int) -> int:
    """How many of the members a round selects: a share in basis points, rounded up."""
    return min(-(-selection_rate * members // BASIS_POINTS), max_updates)


def least_pool(reward_rate_cap: int, selected: int, max_compute_ms: int, max_spread: int) -> int:
    """The smallest pool, other than none, that a round may open with: the selected can claim `max_spread` times what it
    pays, and no more."""
    return -(-reward_rate_cap * selected * max_compute_ms // (max_spread * SCALE))


def selected_under(terms: PoolTerms, members: int) -> int:
    """How many of the members a round with these terms selects."""
    return selected_of(members, terms.selection_rate, terms.max_updates)


def least_pool_under(terms: PoolTerms, members: int, max_spread: int) -> int:
    """The `least_pool` of a round with these terms that opens with so many members."""
    return least_pool(terms.reward_rate_cap, selected_under(terms, members), terms.max_compute_ms, max_spread)


def most_selected(pool: int, reward_rate_cap: int, max_compute_ms: int, max_spread: int) -> int:
    """The most clients that a pool above 0 may be opened for: the largest number whose `least_pool` it reaches."""
    return max_spread * SCALE * pool // (reward_rate_cap * max_compute_ms)


def rate_in_words(asset: Asset, rate: int) -> str:
    """A rate as an amount for a second of compute, exact and with the symbol ("0.5 ETH")."""
    return replace(asset, decimals=asset.decimals + RATE_DECIMALS).format(rate)
