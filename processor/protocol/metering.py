"""The metering rule: claimed compute time is compared between clients, because it cannot be proved.

A plan asks equal work of every client, so honest claims lie close together. A claim above `tolerance_percent` of the
median of the accepted claims is lowered to that ceiling, but never below `floor_ms`: otherwise a majority of cheap
wallets with tiny claims could lower what the others are credited. Integers only, so that every machine agrees to the
millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processor.types import Address


def median(values: Sequence[int]) -> int:
    """The middle of the sorted values; of two middles their mean, rounded down."""
    if not values:
        raise ValueError("the median of no values is not defined")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


def credited_ms(claims: Mapping[Address, int], tolerance_percent: int, floor_ms: int) -> dict[Address, int]:
    """What each accepted client is credited, in milliseconds: its claim, or the ceiling where it claimed more."""
    if not claims:
        return {}
    ceiling = max(floor_ms, tolerance_percent * median(list(claims.values())) // 100)
    return {client: min(claim, ceiling) for client, claim in claims.items()}


def claimable_ms(metered_ms: int, max_compute_ms: int, opened_at: int, now: int) -> int:
    """What a client claims: what it measured, or the contract's bound where that is smaller; at least 1 ms.

    `opened_at` and `now` are block times in seconds; a block's time is whole seconds, so the contract adds one.
    """
    return max(1, min(metered_ms, max_compute_ms, (now - opened_at + 1) * 1000))
