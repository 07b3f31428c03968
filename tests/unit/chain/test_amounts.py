from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.amounts import format_ether, format_moment, format_units


@pytest.mark.parametrize(
    ("wei", "ether"),
    [
        (0, "0"),
        (1, "0.000000000000000001"),
        (5 * 10**17, "0.5"),
        (10**18, "1"),
        (-12 * 10**18, "-12"),
        (2**128, "340282366920938463463.374607431768211456"),
    ],
)
def test_an_amount_is_shown_in_ether(wei: int, ether: str) -> None:
    assert format_ether(wei) == ether


@given(st.integers(min_value=-(2**256), max_value=2**256), st.integers(min_value=0, max_value=77))
def test_no_unit_is_lost_or_written_with_an_exponent(amount: int, decimals: int) -> None:
    shown = format_units(amount, decimals)

    with localcontext() as exact:
        exact.prec = 200
        assert Decimal(shown) * 10**decimals == amount
    assert set(shown) <= set("-.0123456789")
    assert "." not in shown or not shown.endswith("0")


def test_a_moment_is_shown_in_universal_time_up_to_the_last_that_the_chain_can_hold() -> None:
    assert format_moment(1_800_000_000) == "2027-01-15 08:00:00 UTC"
    assert format_moment(2**40 - 1).startswith("36812-02-20")
