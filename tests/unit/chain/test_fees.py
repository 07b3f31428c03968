"""Fees: enough for the chain, within the ceiling, and a step above what they replace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.fees import Fees, offered, outbid
from processor.errors import ChainError

FEE = st.integers(0, 10**15)


def test_twice_the_base_fee_is_offered_and_the_proposers_part() -> None:
    assert offered(100, 7, None) == Fees(207, 7)


def test_a_ceiling_between_what_is_asked_and_what_lasts_is_what_is_offered() -> None:
    assert offered(100, 7, 150) == Fees(150, 7)


def test_gas_above_the_ceiling_is_waited_out() -> None:
    with pytest.raises(ChainError, match="107 wei now, more than the 106 wei allowed"):
        offered(100, 7, 106)


def test_a_replacement_follows_the_market_where_that_has_risen_more() -> None:
    assert outbid(Fees(207, 7), Fees(900, 50), None) == Fees(900, 50)


def test_a_replacement_at_the_ceiling_is_still_one() -> None:
    assert outbid(Fees(100, 1), Fees(500, 3), 200) == Fees(200, 3)


def test_a_replacement_above_the_ceiling_says_what_it_would_take() -> None:
    with pytest.raises(ChainError, match="more than the 105 wei allowed: wait, or allow more"):
        outbid(Fees(100, 1), Fees(50, 1), 105)


@given(FEE, FEE, FEE, FEE, st.none() | FEE)
def test_a_replacement_outbids_in_both_parts_and_keeps_to_the_ceiling(
    last: int, last_tip: int, market: int, tip: int, ceiling: int | None
) -> None:
    before = Fees(max(last, last_tip), last_tip)
    try:
        after = outbid(before, Fees(max(market, tip), tip), ceiling)
    except ChainError:
        assert ceiling is not None
        return
    assert after.max_fee * 100 >= before.max_fee * 110 and after.priority_fee * 100 >= before.priority_fee * 110
    assert after.max_fee > before.max_fee and after.priority_fee > before.priority_fee
    assert after.max_fee >= after.priority_fee
    assert ceiling is None or after.max_fee <= ceiling
