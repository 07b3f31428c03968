"""Members who sit still: who is retired, and when the others get a shorter training period."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.idle import (
    next_training_period,
    retirable,
    silent_count,
    silent_in,
    to_retire,
    waited_seconds,
)
from processor.types import ClientView, Phase, RoundView
from tests.unit.protocol.views import CID, client_view, round_view

ANN, BOB, EVE = ("0x" + digit * 40 for digit in "abe")


def over(**changes: Any) -> RoundView:
    """Round 9, in which one of three selected stayed silent."""
    fields = {"phase": Phase.FINALIZED, "selected_count": 3, "update_count": 2, "member_count": 3}
    return round_view(9, **{**fields, **changes})


def silent(client: str = EVE, last: int = 4) -> ClientView:
    return client_view(client=client, last=last)


def test_who_neither_updated_nor_declined_nor_left_is_silent() -> None:
    assert silent_count(over()) == 1
    assert silent_count(over(absent_count=1)) == 0
    clients = [
        client_view(client=ANN, update=CID, last=9),
        client_view(client=BOB, declined=True, last=9),
        client_view(client="0x" + "c" * 40, selected=False),
        client_view(client="0x" + "d" * 40, member=False),
        silent(),
    ]
    assert [each.client for each in silent_in(over(), clients)] == [EVE]


def test_nobody_is_silent_as_long_as_they_may_speak() -> None:
    assert silent_in(over(phase=Phase.TRAINING), [silent()]) == ()
    assert waited_seconds(over(phase=Phase.TRAINING)) == 0


def test_a_silent_member_costs_the_others_a_full_period_and_one_that_declined_costs_nothing() -> None:
    assert waited_seconds(over()) == 60
    assert waited_seconds(over(absent_count=1)) == 0


def test_the_terms_say_after_how_many_rounds_a_membership_may_end() -> None:
    assert retirable(over(), [silent(last=4)], idle_rounds=5) == (EVE,)
    assert retirable(over(), [silent(last=5)], idle_rounds=5) == ()
    assert retirable(over(), [silent(last=0)], idle_rounds=0) == ()


def test_idle_members_are_retired_one_after_the_other() -> None:
    assert to_retire(over(), [silent(ANN), silent(BOB)], idle_rounds=5, members=4, min_members=2) == ANN
    assert to_retire(over(), [silent(BOB)], idle_rounds=5, members=3, min_members=2) == BOB


@pytest.mark.parametrize(
    ("changes", "members"),
    [
        ({}, 2),  # one fewer, and no round would open any more
        ({"update_count": 0, "phase": Phase.ABANDONED}, 9),  # nobody came: it is not this member's doing
    ],
)
def test_nobody_is_retired_where_that_would_do_harm(changes: dict[str, Any], members: int) -> None:
    assert to_retire(over(**changes), [silent()], idle_rounds=5, members=members, min_members=2) is None


def test_the_next_training_is_shorter_where_only_who_sits_still_was_waited_for() -> None:
    assert next_training_period(600, 60, over(), [silent()], slowest=40) == 80
    assert next_training_period(600, 60, over(), [silent()], slowest=10) == 60
    assert next_training_period(600, 60, over(), [silent()], slowest=500) == 600


@pytest.mark.parametrize(
    ("shortest", "members", "slowest"),
    [
        (None, [silent()], 10.0),  # not asked for
        (60, [], 10.0),  # nobody was waited for
        (60, [silent(), silent(BOB, last=8)], 10.0),  # silent for the first time: perhaps it is slow
        (60, [silent()], None),  # nobody knows how long the others take
    ],
)
def test_else_the_training_is_as_long_as_configured(
    shortest: int | None, members: list[ClientView], slowest: float | None
) -> None:
    assert next_training_period(600, shortest, over(), members, slowest) == 600


def test_a_round_without_updates_shortens_nothing() -> None:
    assert next_training_period(600, 60, over(phase=Phase.ABANDONED, update_count=0), [silent()], 10.0) == 600


@given(
    configured=st.integers(30, 10**6),
    shortest=st.none() | st.integers(30, 10**6),
    slowest=st.none() | st.floats(0, 10**6),
    lasts=st.lists(st.integers(0, 9), max_size=4),
)
def test_a_training_period_is_never_longer_than_configured_nor_shorter_than_the_shortest(
    configured: int, shortest: int | None, slowest: float | None, lasts: list[int]
) -> None:
    found = next_training_period(configured, shortest, over(), [silent(last=each) for each in lasts], slowest)
    assert min(configured, shortest or configured) <= found <= configured
