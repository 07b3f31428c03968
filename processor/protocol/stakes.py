"""The stakes of a federation, recomputed apart from the contract (`contracts/Registry.sol`).

A client stakes when it registers; each slash takes ⌊what is left · rate ÷ 10,000⌋, forfeited for ever. An index is
given out once: the updates that carry the same one belong to the same membership.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processor.types import Address, ClientView

BASIS_POINTS = 10_000


@dataclass(frozen=True)
class Stake:
    """A client's stake: `held` by the contract now, between `least` and `most` by what it was slashed.

    The bounds are one, unless the client was slashed in an earlier membership: with nothing left to return, it can
    register anew while its update is still in the live round, and the slash for that update then meets the new stake.
    `slashed` is what all its memberships lost, at least.
    """

    client: Address
    member: bool
    held: int
    least: int
    most: int
    slashed: int

    @property
    def as_it_should_be(self) -> bool:
        """Who is no member may have its stake back."""
        return self.least <= self.held <= self.most or (self.held == 0 and not self.member)


def left_of(stake: int, slash_rates: Iterable[int]) -> int:
    """What slashes at these rates, one after the other, leave of a stake."""
    for rate in slash_rates:
        stake -= stake * rate // BASIS_POINTS
    return stake


def stakes_of(
    stake: int, members: Sequence[Address | None], rounds: Iterable[Sequence[ClientView]]
) -> tuple[Stake, ...]:
    """The stake of every client that is a member or has an update in one of the `rounds`, which are in order.

    `members` are by index. A member without any update cannot have been slashed: its stake is whole.
    """
    index = {client: number for number, client in enumerate(members) if client is not None}
    rates: dict[Address, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    held = dict.fromkeys(index, stake)
    for clients in rounds:
        for view in clients:
            rates[view.client][view.index].append(view.slash_rate)
            held[view.client] = view.stake
    return tuple(_stake_of(stake, client, index.get(client), held[client], rates[client]) for client in held)


def _stake_of(stake: int, client: Address, index: int | None, held: int, rates: dict[int, list[int]]) -> Stake:
    current = index if index is not None else max(rates)
    return Stake(
        client=client,
        member=index is not None,
        held=held,
        least=left_of(stake, (rate for membership in rates.values() for rate in membership)),
        most=left_of(stake, rates.get(current, ())),
        slashed=sum(stake - left_of(stake, membership) for membership in rates.values()),
    )
