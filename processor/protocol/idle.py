"""Members who sit still: who they are, what they cost the others, and what is done about it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from processor.types import Address, ClientView, Phase, RoundView

PATIENCE = 2
"""Rounds of silence after which a member counts as sitting still, where the terms name no other number."""
SLACK = 2
"""How many times as long as the slowest update a shortened training period is."""


def silent_count(view: RoundView) -> int:
    """How many of the selected neither updated nor declined nor left: while the round trains they are waited for, once
    that is over nobody has heard of them."""
    return max(view.selected_count - view.update_count - view.absent_count, 0)


def waited_seconds(view: RoundView) -> int:
    """How long the others waited for those who stayed silent: the training period, which ends early only where nobody
    is waited for. 0 while it goes on, and where nobody was."""
    if view.phase in (Phase.NONE, Phase.TRAINING) or not silent_count(view):
        return 0
    return view.training_deadline - view.opened_at


def silent_in(view: RoundView, clients: Iterable[ClientView]) -> tuple[ClientView, ...]:
    """The members that the round, whose training is over, selected and heard nothing of."""
    if view.phase in (Phase.NONE, Phase.TRAINING):
        return ()
    return tuple(
        each for each in clients if each.member and each.selected and each.update is None and not each.declined
    )


def retirable(view: RoundView, silent: Sequence[ClientView], idle_rounds: int) -> tuple[Address, ...]:
    """Whose membership anybody may end now, by the terms: those who have been silent for `idle_rounds` rounds."""
    if not idle_rounds:
        return ()
    return tuple(each.client for each in silent if view.round - each.last >= idle_rounds)


def to_retire(
    view: RoundView, silent: Sequence[ClientView], idle_rounds: int, members: int, min_members: int
) -> Address | None:
    """Whom the organization retires next; None where that would do more harm than good.

    In a round without any update it is not they who are at fault, and with fewer than `min_members` none opens.
    """
    if not view.update_count or members <= min_members:
        return None
    return next(iter(retirable(view, silent, idle_rounds)), None)


def next_training_period(
    configured: int, shortest: int | None, view: RoundView, silent: Sequence[ClientView], slowest: float | None
) -> int:
    """Seconds of training in the next round: fewer than `configured` where the latest, `view`, was waited to its end
    for members who sit still, and for nobody else.

    Then they are `SLACK` times what the `slowest` update of the latest rounds took, in seconds after its opening, but
    never below `shortest`. Somebody who was silent for the first time may be slow, and gets all the time again.
    """
    if shortest is None or slowest is None or not silent or not view.update_count:
        return configured
    if any(view.round - each.last < PATIENCE for each in silent):
        return configured
    return min(configured, max(shortest, math.ceil(SLACK * slowest)))
