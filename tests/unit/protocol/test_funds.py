"""Warnings about money, before it runs out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.funds import CLIENT_GAS, ORGANIZATION_GAS, ROUNDS_AHEAD, funds_needed, low_balance
from tools.gas import read_figures

SNAPSHOTS = Path(__file__).parents[3] / "snapshots"
AMOUNT = st.integers(0, 10**24)


@given(AMOUNT, AMOUNT)
def test_a_warning_comes_exactly_when_the_balance_is_below_what_is_needed(balance: int, needed: int) -> None:
    assert (low_balance(balance, needed) is not None) == (balance < needed)


def test_the_warning_says_what_there_is_and_what_to_do() -> None:
    assert low_balance(10**16, 3 * 10**16) == (
        "the wallet holds 0.01 ETH, and its next 10 rounds need about 0.03 ETH at the present price of gas: "
        "send it some"
    )


@given(st.integers(1, 10**12), AMOUNT)
def test_what_is_needed_pays_for_the_next_rounds_and_the_reward(price: int, reward: int) -> None:
    assert funds_needed(CLIENT_GAS, price, reward) == ROUNDS_AHEAD * CLIENT_GAS * price + reward


@pytest.mark.parametrize("prices", ["today", "after the fork"])
def test_a_round_costs_no_more_gas_than_is_reckoned_with(prices: str) -> None:
    def gas(name: str) -> int:
        return read_figures(SNAPSHOTS)[f"{name}: {prices}"]

    dearest = max(gas(f"token: submitUpdate{kind}") for kind in ("", ", first of the client", ", books a slash"))
    assert dearest + gas("token: claim") <= CLIENT_GAS
    opened = max(gas("token: openRound"), gas("token: openRound, after an abandoned one"))
    assert opened + gas("token: finalizeRound") + 5 * gas("settlement: adjustment that slashes") <= ORGANIZATION_GAS
