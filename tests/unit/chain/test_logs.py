"""Ranges of blocks: each block exactly once and in order, whatever the node refuses; and events that add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from processor.chain import commitments
from processor.chain.logs import Counts, Event, LoggedRound, Refused, Tally, over_ranges, rounds_in
from processor.cid import cid_of, digest_of
from processor.errors import ChainError
from processor.types import Adjustment, Opening, Outcome, Submitted


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


CLIENTS = [Web3.to_checksum_address(f"0x{number:040x}") for number in (0xA, 0xB, 0xC)]
CHAIN, FEDERATION = 31337, Web3.to_checksum_address("0x" + "fed1" * 10)


def event(name: str, **arguments: Any) -> Event:
    return Event(name, 1, "0x", arguments)


def opening_of(round: int) -> Opening:
    return Opening(
        *(round, 10**9 + round, 10**9 + 100 + round, 10**9 + 200 + round, 3, round % 3, 3, 10, 60_000 + round),
        *(cid_of(b"plan %d" % round), bytes([round]) * 32, cid_of(b"model %d" % (round - 1))),
        cid_of(b"report %d" % (round - 1)) if round > 1 else None,
        *(10**21 + round, 10**18 + round),
    )


def opened(round: int, record: bytes) -> Event:
    """As a node gives it: CIDs are their digests, and the struct is a mapping by Solidity's names."""
    opening = opening_of(round)
    values = {
        "round": round,
        "openedAt": opening.opened_at,
        "trainingDeadline": opening.training_deadline,
        "aggregationDeadline": opening.aggregation_deadline,
        "memberCount": opening.member_count,
        "selectionOffset": opening.selection_offset,
        "selectedCount": opening.selected_count,
        "maxUpdates": opening.max_updates,
        "maxComputeMs": opening.max_compute_ms,
        "planCid": digest_of(opening.plan),
        "sealingKey": opening.sealing_key,
        "baseModelCid": digest_of(opening.base_model),
        "baseReportCid": bytes(32) if opening.base_report is None else digest_of(opening.base_report),
        "rewardRateCap": opening.reward_rate_cap,
        "pool": opening.pool,
    }
    digest = commitments.first_digest(CHAIN, FEDERATION, opening)
    return event("RoundOpened", round=round, digest=digest, record=record, opening=values)


def submitted(round: int, number: int) -> Submitted:
    return Submitted(CLIENTS[number], cid_of(b"update %d of %d" % (number, round)), 100 * round + number)


def update(round: int, number: int) -> Event:
    line = submitted(round, number)
    cid = digest_of(line.update)
    return event("UpdateSubmitted", round=round, client=line.client, updateCid=cid, computeMs=line.compute_ms)


def outcome(round: int, credited_ms: int, *adjustments: Adjustment) -> Outcome:
    model, report = cid_of(b"model %d" % round), cid_of(b"report %d" % round)
    return Outcome(model, report, bytes([100 + round]) * 32, credited_ms, adjustments)


def finalized(round: int, made: Outcome) -> Event:
    return event(
        "RoundFinalized",
        round=round,
        modelCid=digest_of(made.model),
        reportCid=digest_of(made.report),
        secret=made.secret,
        creditedMs=made.credited_ms,
    )


ADJUSTMENT = Adjustment(CLIENTS[1], 50, 1_000)
FIRST, THIRD = outcome(1, 100 + 50, ADJUSTMENT), outcome(3, 300 + 302)


def record_of(round: int, before: bytes, numbers: list[int], made: Outcome | None) -> bytes:
    lines = [submitted(round, number) for number in numbers]
    digest = commitments.digest_of(CHAIN, FEDERATION, opening_of(round), lines)
    claimed = sum(line.compute_ms for line in lines)
    return commitments.next_record(before, round, digest, len(lines), claimed, commitments.outcome_of(made))


RECORDS = [commitments.NO_RECORD]
RECORDS.append(record_of(1, RECORDS[-1], [0, 1], FIRST))
RECORDS.append(record_of(2, RECORDS[-1], [2], None))
RECORDS.append(record_of(3, RECORDS[-1], [2, 0], THIRD))

EVENTS = [
    event("Registered", client=CLIENTS[0], index=0),
    event("Registered", client=CLIENTS[1], index=1),
    event("Registered", client=CLIENTS[2], index=2),
    opened(1, RECORDS[0]),
    update(1, 0),
    update(1, 1),
    event(
        "UpdatesAdjusted",
        round=1,
        adjustments=[{"client": ADJUSTMENT.client, "creditedMs": 50, "slashRate": 1_000}],
    ),
    finalized(1, FIRST),
    opened(2, RECORDS[1]),
    update(2, 2),
    event("RoundAbandoned", round=2),
    opened(3, RECORDS[2]),
    event("Left", client=CLIENTS[1], index=1, moved=CLIENTS[2], retired=False),
    update(3, 2),
    update(3, 0),
    finalized(3, THIRD),
    opened(4, RECORDS[3]),
    update(4, 0),
]
LATEST = commitments.digest_of(CHAIN, FEDERATION, opening_of(4), [submitted(4, 0)])
EXPECTED = Counts(members=2, rounds=4, digest=LATEST, finalized=False, record=RECORDS[3])


@given(st.integers(0, len(EVENTS)))
def test_events_add_up_alike_at_once_and_one_read_after_the_other(cut: int) -> None:
    everything = Tally().after(EVENTS)
    assert everything.counts == EXPECTED
    assert Tally().after(EVENTS[:cut]).after(EVENTS[cut:]) == everything


@given(st.integers(0, len(EVENTS) - 1))
def test_an_event_that_is_missing_is_missed(left_out: int) -> None:
    assert Tally().after(EVENTS[:left_out] + EVENTS[left_out + 1 :]).counts != EXPECTED


@pytest.mark.parametrize("place", [place for place, found in enumerate(EVENTS) if found.name == "UpdateSubmitted"])
@pytest.mark.parametrize("change", [{"client": CLIENTS[1][:-1] + "F"}, {"updateCid": b"\x01" * 32}, {"computeMs": 1}])
def test_an_update_that_was_changed_is_missed(place: int, change: dict[str, Any]) -> None:
    found = list(EVENTS)
    found[place] = event("UpdateSubmitted", **{**EVENTS[place].arguments, **change})
    assert Tally().after(found).counts != EXPECTED


def test_rounds_are_told_with_their_updates_in_order_and_what_became_of_them() -> None:
    assert rounds_in(EVENTS) == [
        LoggedRound(opening_of(1), RECORDS[0], (submitted(1, 0), submitted(1, 1)), (ADJUSTMENT,), FIRST),
        LoggedRound(opening_of(2), RECORDS[1], (submitted(2, 2),)),
        LoggedRound(opening_of(3), RECORDS[2], (submitted(3, 2), submitted(3, 0)), (), THIRD),
        LoggedRound(opening_of(4), RECORDS[3], (submitted(4, 0),)),
    ]


def test_a_round_whose_opening_is_missing_is_not_told() -> None:
    told = rounds_in(found for found in EVENTS if found.name != "RoundOpened" or found.arguments["round"] != 2)
    assert [round.opening.round for round in told] == [1, 3, 4]


def test_a_log_that_names_no_artifact_is_refused() -> None:
    for place, name in ((4, "updateCid"), (7, "modelCid"), (7, "reportCid")):
        broken = list(EVENTS)
        broken[place] = event(EVENTS[place].name, **{**EVENTS[place].arguments, name: bytes(32)})
        with pytest.raises(ChainError, match=f"log of {EVENTS[place].name} in block 1 names no artifact"):
            rounds_in(broken)
        with pytest.raises(ChainError, match="names no artifact"):
            Tally().after(broken)
    values = EVENTS[3].arguments
    for name in ("planCid", "baseModelCid"):
        opening = event("RoundOpened", **{**values, "opening": {**values["opening"], name: bytes(32)}})
        with pytest.raises(ChainError, match="log of RoundOpened in block 1 names no artifact"):
            rounds_in([opening])
