"""How long artifacts stay pinned: for the days in which a round may be audited, and while anything needs them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from processor.types import Cid, RoundView

DAY = 86_400


@dataclass(frozen=True)
class RoundArtifacts:
    """What a round refers to, and by when it had ended, as a block time; None while it may go on."""

    round: int
    ended_at: int | None
    cids: frozenset[Cid]


def ended_at(view: RoundView, following: RoundView | None) -> int | None:
    """By when a round had ended: the chain does not keep the moment, but the next could not open before, nor could
    this one go on after its last deadline. None while it may go on."""
    if not view.phase.over:
        return None
    if following is None:
        return view.aggregation_deadline
    return min(view.aggregation_deadline, following.opened_at)


def has_expired(ended_at: int | None, keep_days: int, now: int) -> bool:
    """Whether a round ended more than `keep_days` before the block time `now`."""
    return ended_at is not None and now - ended_at > keep_days * DAY


def expired(
    rounds: Sequence[RoundArtifacts], current: Collection[Cid], keep_days: int, now: int
) -> dict[int, frozenset[Cid]]:
    """What may be unpinned of each round that has expired: everything that neither a round that has not, nor the
    `current` state refers to.

    An artifact that several expired rounds share belongs to each of them.
    """
    over = [round for round in rounds if has_expired(round.ended_at, keep_days, now)]
    needed = set(current).union(*(round.cids for round in rounds if round not in over))
    return {round.round: round.cids - needed for round in over}
