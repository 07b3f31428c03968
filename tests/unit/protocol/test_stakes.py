from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.stakes import Stake, left_of, stakes_of
from tests.unit.protocol.views import ADDRESS

OTHER = "0x" + "22" * 20
RATES = st.lists(st.integers(0, 10_000), max_size=10)
STAKES = st.integers(0, 2**128 - 1)


def test_a_slash_takes_its_share_of_what_is_left_rounded_down() -> None:
    assert left_of(1001, [5_000]) == 501
    assert left_of(1000, [1_000, 1_000]) == 810
    assert left_of(1000, [10_000, 1]) == 0


@given(STAKES, RATES)
def test_slashes_leave_between_nothing_and_the_whole_stake(stake: int, rates: list[int]) -> None:
    assert 0 <= left_of(stake, rates) <= stake
    assert left_of(stake, [*rates, 10_000]) == 0


def test_member_without_an_update_has_its_whole_stake() -> None:
    assert stakes_of(1000, [ADDRESS], {ADDRESS: 1000}, {}) == (Stake(ADDRESS, True, 1000, (1000,), 0),)


def test_member_has_what_the_slashes_of_its_rounds_leave() -> None:
    (stake,) = stakes_of(1000, [ADDRESS], {ADDRESS: 810}, {ADDRESS: [1_000, 0, 1_000]})
    assert (stake.held, stake.possible, stake.slashed) == (810, (810, 900, 1000), 190)
    assert stake.as_it_should_be
    assert not replace(stake, held=809).as_it_should_be and not replace(stake, held=811).as_it_should_be


def test_member_has_not_nothing_where_nothing_was_slashed() -> None:
    (stake,) = stakes_of(1000, [ADDRESS], {ADDRESS: 0}, {ADDRESS: [0]})
    assert not stake.as_it_should_be


def test_client_that_left_has_its_stake_back_or_the_contract_still_holds_it() -> None:
    (returned,) = stakes_of(1000, [], {ADDRESS: 0}, {ADDRESS: [5_000]})
    (waiting,) = stakes_of(1000, [], {ADDRESS: 500}, {ADDRESS: [5_000]})
    assert returned.as_it_should_be and waiting.as_it_should_be
    assert returned.slashed == waiting.slashed == 500
    assert not replace(waiting, held=499).as_it_should_be


def test_stake_of_a_later_membership_is_whole_again() -> None:
    (stake,) = stakes_of(1000, [ADDRESS], {ADDRESS: 1000}, {ADDRESS: [5_000]})
    assert stake.as_it_should_be and stake.slashed == 500


@given(STAKES, RATES, RATES)
def test_whatever_earlier_memberships_lost_the_latest_is_held_to_its_own_slashes(
    stake: int, earlier: list[int], own: list[int]
) -> None:
    (found,) = stakes_of(stake, [ADDRESS], {ADDRESS: left_of(stake, own)}, {ADDRESS: [*earlier, *own]})
    assert found.as_it_should_be
    assert found.slashed <= stake - left_of(stake, earlier) + stake - left_of(stake, own)


def test_clients_are_kept_apart() -> None:
    stakes = stakes_of(1000, [ADDRESS, OTHER], {ADDRESS: 900, OTHER: 1000}, {ADDRESS: [1_000]})
    assert [(stake.client, stake.held, stake.slashed) for stake in stakes] == [(ADDRESS, 900, 100), (OTHER, 1000, 0)]
    assert all(stake.as_it_should_be for stake in stakes)
