"""What a call is worth bounds what is paid for a unit of gas."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.transactions import Call
from processor.errors import ChainError

CALL = Call("0x" + "11" * 20, b"", 0, "claim")


@given(st.integers(1, 2**112), st.integers(21_000, 30_000_000), st.one_of(st.none(), st.integers(1, 10**15)))
def test_no_gas_that_a_call_is_given_costs_more_than_it_is_worth(worth: int, gas: int, ceiling: int | None) -> None:
    call = replace(CALL, worth=worth)
    if worth < gas:
        with pytest.raises(ChainError, match="cannot claim: its gas costs more than it brings"):
            call.ceiling(gas, ceiling)
        return
    most = call.ceiling(gas, ceiling)
    assert most is not None and most * gas <= worth
    assert ceiling is None or most <= ceiling


@pytest.mark.parametrize("ceiling", [None, 7])
def test_a_call_that_is_worth_whatever_it_costs_keeps_the_ceiling_that_there_is(ceiling: int | None) -> None:
    assert CALL.ceiling(50_000, ceiling) == ceiling
