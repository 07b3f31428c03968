"""The money of a round, recomputed apart from the contract (`contracts/libraries/Rewards.sol`).

With T the claimed and T' the credited total in milliseconds and P(t) = min(pool, rate · t / 1000): a client gets
⌊P(T′) · credited ÷ T′⌋, pool − P(T) is carried, P(T) − P(T′) and the rounding are forfeited. Amounts in wei.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from processor.types import Address


@dataclass(frozen=True)
class Money:
    """Where a pool went. `rounding` is the part of the forfeited amount that division leaves over."""

    rewards: dict[Address, int]
    carried: int
    forfeited: int
    rounding: int


def payable(pool: int, reward_rate_cap: int, compute_ms: int) -> int:
    """P(t): what the pool pays at most for `compute_ms` of compute, rounded down."""
    return min(pool, reward_rate_cap * compute_ms // 1000)


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


def guaranteed_rate(pool: int, reward_rate_cap: int, max_updates: int, max_compute_ms: int) -> int:
    """Wei per second of compute that a client can count on even if every other slot claims the most it may."""
    return min(reward_rate_cap, pool * 1000 // (max_updates * max_compute_ms))
