from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.amounts import format_ether


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


@given(st.integers(min_value=-(2**256), max_value=2**256))
def test_no_wei_is_lost_or_written_with_an_exponent(wei: int) -> None:
    shown = format_ether(wei)

    with localcontext() as exact:
        exact.prec = 100
        assert Decimal(shown) * 10**18 == wei
    assert set(shown) <= set("-.0123456789")
    assert "." not in shown or not shown.endswith("0")
