from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.stakes import Stake, left_of, stakes_of
from processor.types import ClientView
from tests.unit.protocol.views import ADDRESS, client_view

OTHER = "0x" + "22" * 20
RATES = st.lists(st.integers(0, 10_000), max_size=10)


def update(index: int, slash_rate: int, held: int, client: str = ADDRESS) -> ClientView:
    return client_view(client=client, index=index, slash_rate=slash_rate, stake=held)


def test_a_slash_takes_its_share_of_what_is_left_rounded_down() -> None:
    assert left_of(1001, [5_000]) == 501
    assert left_of(1000, [1_000, 1_000]) == 810
    assert left_of(1000, [10_000, 1]) == 0


@given(st.integers(0, 2**128 - 1), RATES)
def test_slashes_leave_between_nothing_and_the_whole_stake(stake: int, rates: list[int]) -> None:
    assert 0 <= left_of(stake, rates) <= stake
    assert left_of(stake, [*rates, 10_000]) == 0


def test_member_without_an_update_has_its_whole_stake() -> None:
    assert stakes_of(1000, [None, ADDRESS], []) == (Stake(ADDRESS, True, 1000, 1000, 1000, 0),)


def test_member_has_exactly_what_the_slashes_of_its_rounds_leave() -> None:
    rounds = [[update(0, 1_000, 810)], [], [update(0, 1_000, 810)]]
    (stake,) = stakes_of(1000, [ADDRESS], rounds)
    assert (stake.held, stake.least, stake.most, stake.slashed) == (810, 810, 810, 190)
    assert stake.as_it_should_be
    assert not replace(stake, held=809).as_it_should_be and not replace(stake, held=811).as_it_should_be


def test_member_has_not_nothing_where_nothing_was_slashed() -> None:
    (stake,) = stakes_of(1000, [ADDRESS], [[update(0, 0, 0)]])
    assert not stake.as_it_should_be


def test_client_that_left_has_its_stake_back_or_the_contract_still_holds_it() -> None:
    (returned,) = stakes_of(1000, [None], [[update(0, 5_000, 0)]])
    (waiting,) = stakes_of(1000, [None], [[update(0, 5_000, 500)]])
    assert returned.as_it_should_be and waiting.as_it_should_be
    assert returned.slashed == waiting.slashed == 500
    assert not replace(waiting, held=499).as_it_should_be


def test_stake_of_a_later_membership_is_whole_again() -> None:
    (stake,) = stakes_of(1000, [None, ADDRESS], [[update(0, 5_000, 1000)]])
    assert (stake.held, stake.most, stake.slashed) == (1000, 1000, 500)
    assert stake.as_it_should_be


def test_slash_for_an_update_of_before_may_meet_a_later_membership_of_who_had_nothing_left() -> None:
    rounds = [[update(0, 10_000, 750)], [update(0, 2_500, 750)]]
    (stake,) = stakes_of(1000, [None, ADDRESS], rounds)
    assert stake.as_it_should_be


def test_clients_are_kept_apart() -> None:
    stakes = stakes_of(1000, [ADDRESS, OTHER], [[update(0, 1_000, 900), update(1, 0, 1000, client=OTHER)]])
    assert [(stake.client, stake.held, stake.slashed) for stake in stakes] == [(ADDRESS, 900, 100), (OTHER, 1000, 0)]
    assert all(stake.as_it_should_be for stake in stakes)
