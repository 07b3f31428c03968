"""How long artifacts stay pinned: for the days in which a round may be audited, and while anything needs them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from processor.types import Cid, Opening

DAY = 86_400


@dataclass(frozen=True)
class RoundArtifacts:
    """What a round refers to, and by when it has ended, as a block time."""

    round: int
    ended_at: int
    cids: frozenset[Cid]


def ended_at(opening: Opening, following: Opening | None) -> int:
    """By when a round has ended: the chain does not keep the moment, but the next could not open before, nor can this
    one go on after its last deadline."""
    if following is None:
        return opening.aggregation_deadline
    return min(opening.aggregation_deadline, following.opened_at)


def has_expired(ended_at: int, keep_days: int, now: int) -> bool:
    """Whether a round ended more than `keep_days` before the block time `now`."""
    return now - ended_at > keep_days * DAY


def expired(
    rounds: Sequence[RoundArtifacts], current: Collection[Cid], keep_days: int, now: int
) -> dict[int, frozenset[Cid]]:
    """What may be unpinned of each round that has expired: everything that neither a round that has not, nor the
    `current` state refers to.

    An artifact that several expired rounds share belongs to each of them. A number may stand twice: after a
    reorganization it is another round's.
    """
    over = [round for round in rounds if has_expired(round.ended_at, keep_days, now)]
    needed = set(current).union(*(round.cids for round in rounds if round not in over))
    released: dict[int, frozenset[Cid]] = {}
    for each in over:
        released[each.round] = released.get(each.round, frozenset()) | (each.cids - needed)
    return released
