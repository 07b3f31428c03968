"""Ranges of blocks: each block exactly once and in order, whatever the node refuses; and counts that agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.logs import Counts, Event, Refused, over_ranges


class TooMuch(Exception):
    pass


@given(
    first=st.integers(0, 1000),
    blocks=st.integers(0, 400),
    longest=st.integers(1, 500),
    limits=st.lists(st.integers(1, 500), min_size=1, max_size=20),
)
def test_every_block_is_covered_exactly_once_and_in_order_whatever_the_node_refuses(
    first: int, blocks: int, longest: int, limits: list[int]
) -> None:
    asked: list[int] = []

    def fetch(start: int, end: int) -> list[int]:
        asked.append(end - start + 1)
        if asked[-1] > limits[len(asked) % len(limits)]:  # a limit of its own each time
            raise Refused from TooMuch()
        return list(range(start, end + 1))

    found: list[int] = []
    for cursor, blocks_found in over_ranges(fetch, first, first + blocks - 1, longest):
        found += blocks_found
        assert cursor == first + len(found)
    assert found == list(range(first, first + blocks))
    assert all(length <= longest for length in asked)


@given(blocks=st.integers(1, 2000), limit=st.integers(1, 64), longest=st.integers(64, 512))
def test_ranges_halve_where_they_are_refused_and_double_where_they_are_not(
    blocks: int, limit: int, longest: int
) -> None:
    asked: list[tuple[int, bool]] = []

    def fetch(start: int, end: int) -> None:
        length = end - start + 1
        asked.append((length, length <= limit))
        if length > limit:
            raise Refused from TooMuch()

    ends = [cursor for cursor, _ in over_ranges(fetch, 0, blocks - 1, longest)]
    done = 0
    for (length, accepted), (following, _) in zip(asked, asked[1:], strict=False):
        done += length if accepted else 0
        wanted = min(2 * length, longest) if accepted else length // 2
        assert following == min(wanted, blocks - done)
    assert ends[-1] == blocks


@given(first=st.integers(0, 50), bad=st.integers(0, 60), longest=st.integers(1, 100))
def test_a_block_that_is_refused_alone_ends_it_with_the_cause_and_the_cursor_before_it(
    first: int, bad: int, longest: int
) -> None:
    def fetch(start: int, end: int) -> None:
        if start <= first + bad <= end:
            raise Refused from TooMuch()

    cursor = first
    with pytest.raises(TooMuch):
        for following, _ in over_ranges(fetch, first, first + 100, longest):
            cursor = following
    assert cursor == first + bad


def event(name: str, **arguments: int) -> Event:
    return Event(name, 1, "0x", arguments)


EVENTS = [
    event("Registered", index=0),
    event("Registered", index=1),
    event("RoundOpened", round=1),
    event("UpdateSubmitted", round=1),
    event("UpdateSubmitted", round=1),
    event("RoundFinalized", round=1),
    event("RoundOpened", round=2),
    event("UpdateSubmitted", round=2),
    event("Funded"),
]


@given(st.integers(0, len(EVENTS)))
def test_events_are_counted_alike_at_once_and_one_read_after_the_other(cut: int) -> None:
    everything = Counts().after(EVENTS)
    assert everything == Counts(members=2, rounds=2, updates={1: 2, 2: 1}, finalized=frozenset({1}))
    assert Counts().after(EVENTS[:cut]).after(EVENTS[cut:]) == everything


@given(st.integers(0, len(EVENTS) - 2))
def test_an_event_that_is_missing_is_missed(left_out: int) -> None:
    assert Counts().after(EVENTS[:left_out] + EVENTS[left_out + 1 :]) != Counts().after(EVENTS)
