"""A federation at one block: each thing is read once, when it is asked for, and what rounds left is read once for all
blocks."""

from __future__ import annotations

from typing import Any, cast

import pytest

from processor.chain.federation import Federation, Standing, VoucherStanding
from processor.chain.snapshot import KEPT, Snapshot, Snapshots
from processor.types import Block, Phase, Release, Result, RoundView
from tests.unit.protocol.views import round_view

BASE, RELEASED, INITIAL = Release("base", "its report"), Release("released", "report"), Release("initial", None)


class Chain:
    """A federation that notes what it is asked."""

    def __init__(self, round: int, phase: Phase) -> None:
        self.round, self.phase = round, phase
        self.asked: list[Any] = []

    def round_view(self, client: str | None = None, at: Block | None = None) -> RoundView:
        self.asked.append("view")
        finalized = self.phase is Phase.FINALIZED
        nothing = Release(None, None)
        return round_view(
            round=self.round,
            phase=self.phase,
            base=nothing if finalized or self.phase is Phase.NONE else BASE,
            released=RELEASED if finalized else nothing,
        )

    def latest_release(self, at: Block) -> Release:
        self.asked.append("release")
        return INITIAL

    def standing(self, at: Block) -> Standing:
        self.asked.append("standing")
        return Standing(closed=False, paused=True, carried=7, member_count=3)

    def standing_with_voucher(self, id: int, at: Block) -> tuple[Standing, VoucherStanding]:
        self.asked.append(("voucher", id))
        return Standing(closed=False, paused=True, carried=7, member_count=3), VoucherStanding(id == 5, owner_nonce=2)

    def results(self, at: Block, first: int, last: int) -> list[Result]:
        if first <= last:
            self.asked.append((first, last))
        return [result_of(number) for number in range(first, last + 1)]

    def balances_of(self, clients: list[str], at: Block) -> dict[str, tuple[int, int]]:
        self.asked.append(tuple(clients))
        return {client: (len(client), 0) for client in clients}


def result_of(number: int) -> Result:
    return Result(number, number, key_of(number)[:12])


def key_of(number: int) -> bytes:
    return number.to_bytes(2) * 16


def block(number: int) -> Block:
    return Block(number, f"0x{number}", 0)


def snapshots(round: int, phase: Phase = Phase.TRAINING) -> tuple[Chain, Snapshots]:
    chain = Chain(round, phase)
    return chain, Snapshots(cast(Federation, chain))


def test_nothing_is_read_before_it_is_asked_for_and_nothing_twice() -> None:
    chain, seen = snapshots(4)
    found = seen.at(block(1))
    assert chain.asked == []
    assert (found.closed, found.paused, found.carried, found.member_count) == (False, True, 7, 3)
    assert (found.view.round, seen.at(block(1)).view.round) == (4, 4)
    assert chain.asked == ["standing", "view"]


def test_what_becomes_of_a_voucher_and_the_standing_come_with_one_request() -> None:
    chain, seen = snapshots(4)
    for _ in range(2):
        standing, voucher = seen.at(block(1)).standing_with_voucher(5)
        assert (standing.closed, standing.member_count) == (False, 3)
        assert (voucher.spent, voucher.owner_nonce) == (True, 2)
    assert chain.asked == [("voucher", 5)]
    assert not seen.at(block(1)).standing_with_voucher(6)[1].spent


@pytest.mark.parametrize(
    ("phase", "release", "asked"),
    [
        (Phase.NONE, INITIAL, ["view", "release"]),
        (Phase.TRAINING, BASE, ["view"]),
        (Phase.AGGREGATING, BASE, ["view"]),
        (Phase.ABANDONED, BASE, ["view"]),
        (Phase.FINALIZED, RELEASED, ["view"]),
    ],
)
def test_from_the_first_round_on_the_view_says_what_the_next_starts_from(
    phase: Phase, release: Release, asked: list[str]
) -> None:
    chain, seen = snapshots(0 if phase is Phase.NONE else 3, phase)
    assert seen.at(block(1)).release == release
    assert chain.asked == asked


def test_what_rounds_left_is_read_once_for_all_blocks() -> None:
    chain, seen = snapshots(100)
    assert [result.payable for result in seen.at(block(1)).settled] == list(range(1, 100))
    chain.round = 102
    assert len(seen.at(block(2)).settled) == 101
    assert len(seen.at(block(3)).settled) == 101
    assert [asked for asked in chain.asked if asked != "view"] == [(1, 99), (100, 101)]


def test_the_latest_round_has_settled_once_it_is_finalized_and_not_where_it_was_abandoned() -> None:
    for phase, settled in ((Phase.FINALIZED, 5), (Phase.ABANDONED, 4), (Phase.AGGREGATING, 4)):
        chain, seen = snapshots(5, phase)
        found = seen.at(block(1))
        assert (len(found.settled), len(found.results), found.view.chained) == (settled, 5, settled)


def test_a_reorganization_lets_everything_be_read_again() -> None:
    chain, seen = snapshots(3)
    _ = seen.at(block(1)).settled
    seen.forget()
    _ = seen.at(block(1)).settled
    assert chain.asked == ["view", (1, 2), "view", (1, 2)]


def test_a_key_of_a_round_before_is_found_by_what_stands_on_chain_of_it() -> None:
    _, seen = snapshots(9)
    found = seen.at(block(1))
    assert [found.round_with_key(key_of(number)) for number in (1, 8, 9, 500)] == [1, 8, None, None]


def test_a_balance_is_read_once_and_with_those_that_are_new() -> None:
    chain, seen = snapshots(1)
    found = seen.at(block(1))
    assert found.balances(["a", "bb"]) == {"a": (1, 0), "bb": (2, 0)}
    assert found.balances(["bb", "ccc"]) == {"bb": (2, 0), "ccc": (3, 0)}
    assert chain.asked == [("a", "bb"), ("ccc",)]


def test_only_the_last_blocks_are_kept() -> None:
    _, seen = snapshots(1)
    first = seen.at(block(0))
    others = [seen.at(block(number)) for number in range(1, KEPT + 1)]
    assert isinstance(first, Snapshot) and seen.at(block(0)) is not first
    assert seen.at(block(KEPT)) is others[-1]
