"""The stakes of a federation, recomputed apart from the contract (`contracts/Registry.sol`).

A client stakes when it registers; each slash takes ⌊what is left · rate ÷ 10,000⌋, forfeited for ever. Whoever leaves
has the rest back and may register again with a whole stake: the chain does not keep where one membership ended and the
next began, so what is left of a stake is what some of the latest slashes leave of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from processor.types import Address

BASIS_POINTS = 10_000


@dataclass(frozen=True)
class Stake:
    """A client's stake: `held` by the contract now, one of `possible`, by how many of its slashes met this membership.

    `slashed` is what all its memberships lost, at least.
    """

    client: Address
    member: bool
    held: int
    possible: tuple[int, ...]
    slashed: int

    @property
    def as_it_should_be(self) -> bool:
        """Who is no member may have its stake back."""
        return self.held in self.possible or (self.held == 0 and not self.member)


def left_of(stake: int, slash_rates: Iterable[int]) -> int:
    """What slashes at these rates, one after the other, leave of a stake."""
    for rate in slash_rates:
        stake -= stake * rate // BASIS_POINTS
    return stake


def stakes_of(
    stake: int, members: Iterable[Address], held: Mapping[Address, int], slash_rates: Mapping[Address, Sequence[int]]
) -> tuple[Stake, ...]:
    """The stakes of everybody of whom the contract says what it holds.

    `slash_rates` are those of each client's rounds that are over, in their order; 0 where nothing was slashed.
    """
    standing = frozenset(members)
    return tuple(
        _stake_of(stake, client, client in standing, amount, [rate for rate in slash_rates.get(client, ()) if rate])
        for client, amount in held.items()
    )


def _stake_of(stake: int, client: Address, member: bool, held: int, rates: Sequence[int]) -> Stake:
    possible = {left_of(stake, rates[start:]) for start in range(len(rates) + 1)}
    return Stake(client, member, held, tuple(sorted(possible)), slashed=stake - left_of(stake, rates))
