"""No round opens under a plan that nobody heard of, nor again and again for nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.opening import Fruitless, NewPlan, notice_left, pause_after, pause_left
from tests.unit.protocol.views import CID

NEW = NewPlan(CID, announced_at=1_000, agreed=0, needed=3, notice=600)
EMPTY = Fruitless(rounds=1, over_at=1_000, period=60, longest_pause=3_600, agreed=0, needed=3)


def test_a_round_under_another_plan_waits_for_its_notice_and_says_for_what_and_how_long() -> None:
    said = notice_left(NEW, now=1_599)
    assert said is not None
    assert CID in said and "once all 3 have agreed, 0 so far" in said and "1970-01-01 00:26:40 UTC" in said
    assert notice_left(NEW, now=1_000) == said  # the log repeats only what is new
    assert notice_left(NEW, now=1_600) is None


def test_a_notice_ends_once_enough_members_have_agreed() -> None:
    assert notice_left(replace(NEW, agreed=2), now=1_000) is not None
    assert notice_left(replace(NEW, agreed=3), now=1_000) is None


def test_nobody_is_waited_for_before_the_plan_is_announced() -> None:
    assert "not announced" in (notice_left(replace(NEW, announced_at=None, agreed=9), now=9_999) or "")


def test_a_round_without_an_update_is_followed_by_a_pause_that_is_said() -> None:
    said = pause_left(EMPTY, now=1_059)
    assert said is not None and "the round before ended without an update" in said and "koinon client join" in said
    assert "`koinon check`" in said and "once another member agrees" in said and "3 members in all" in said
    assert "1970-01-01 00:17:40 UTC" in said
    assert pause_left(EMPTY, now=1_060) is None
    assert "the 4 rounds before" in (pause_left(replace(EMPTY, rounds=4), now=1_060) or "")


def test_a_pause_ends_early_once_members_agree() -> None:
    assert pause_left(replace(EMPTY, agreed=2), now=1_000) is not None
    assert pause_left(replace(EMPTY, agreed=3), now=1_000) is None


def test_without_a_longest_pause_there_is_none() -> None:
    assert pause_left(replace(EMPTY, rounds=9, longest_pause=0), now=1_000) is None


@pytest.mark.parametrize(
    ("rounds", "seconds"), [(0, 0), (1, 60), (2, 120), (3, 240), (6, 1_920), (7, 3_600), (10**6, 3_600)]
)
def test_pauses_double_up_to_the_longest(rounds: int, seconds: int) -> None:
    assert pause_after(rounds, 60, 3_600) == seconds


@given(rounds=st.integers(1, 10**6), period=st.integers(30, 10**7), longest=st.integers(0, 10**7))
def test_a_pause_never_shrinks_and_is_never_longer_than_the_longest(rounds: int, period: int, longest: int) -> None:
    found = pause_after(rounds, period, longest)
    assert min(period, longest) <= found <= longest
    assert found <= pause_after(rounds + 1, period, longest)
