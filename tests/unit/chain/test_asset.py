from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from processor.chain import contracts
from processor.chain.asset import Asset, _symbol, approval_needed, approve, mint
from processor.errors import ChainError
from processor.types import ZERO_ADDRESS

ETH = Asset(ZERO_ADDRESS, "ETH", 18)
USDC = Asset("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USDC", 6)
FEDERATION = Web3.to_checksum_address("0x00000000000000000000000000000000000fede1")


def test_an_amount_is_shown_with_its_symbol() -> None:
    assert (ETH.format(5 * 10**17), USDC.format(1_500_000), USDC.format(0)) == ("0.5 ETH", "1.5 USDC", "0 USDC")


def test_only_the_zero_address_is_the_coin_of_the_chain() -> None:
    assert (ETH.native, USDC.native) == (True, False)


@given(st.integers(min_value=0, max_value=2**256), st.integers(min_value=0, max_value=77))
def test_what_is_shown_reads_back_as_the_same_amount(amount: int, decimals: int) -> None:
    asset = Asset(FEDERATION, "T", decimals)
    assert asset.parse(asset.format(amount).removesuffix(" T")) == amount


@pytest.mark.parametrize(
    ("text", "units"),
    [("0.5", 500_000), ("12", 12_000_000), (" 1.0 ", 1_000_000), ("0.0000010", 1), ("1.50000000000", 1_500_000)],
)
def test_an_amount_is_read_as_a_person_writes_it(text: str, units: int) -> None:
    assert USDC.parse(text) == units


@pytest.mark.parametrize("text", ["", "-1", "+1", "1e6", "1,5", ".5", "1.", "1_000", "0x10", "١", "1 USDC", "9" * 5000])
def test_what_is_no_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ChainError, match="is not an amount of USDC: expected a number such as 12 or 0.5"):
        USDC.parse(text)


def test_an_amount_finer_than_the_smallest_unit_is_refused() -> None:
    with pytest.raises(ChainError, match="'0.0000001' is finer than USDC can be divided: expected at most 6 digits"):
        USDC.parse("0.0000001")


@pytest.mark.parametrize(
    ("allowance", "amount", "needed"), [(0, 0, None), (5, 5, None), (6, 5, None), (0, 5, 5), (4, 5, 0), (1, 0, None)]
)
def test_an_allowance_is_raised_from_zero_only(allowance: int, amount: int, needed: int | None) -> None:
    assert approval_needed(allowance, amount) == needed


@given(st.integers(min_value=0), st.integers(min_value=0))
def test_at_most_two_approvals_reach_any_amount(allowance: int, amount: int) -> None:
    for _ in range(2):
        needed = approval_needed(allowance, amount)
        if needed is None:
            break
        assert allowance == 0 or needed == 0
        allowance = needed
    assert approval_needed(allowance, amount) is None


@given(st.lists(st.integers(min_value=0, max_value=2**256 - 1), max_size=8), st.binary(max_size=64))
def test_whatever_a_token_answers_its_symbol_is_a_short_word_or_none(words: list[int], rest: bytes) -> None:
    symbol = _symbol(b"".join(word.to_bytes(32) for word in [32, *words]) + rest)
    assert len(symbol) <= 16 and symbol.isascii() and symbol.isprintable()


def test_calls_say_what_they_allow_and_carry_no_coins() -> None:
    calls = [approve(USDC, FEDERATION, 1_500_000), approve(USDC, FEDERATION, 0), mint(USDC, FEDERATION, 1_000_000)]
    assert [call.description for call in calls] == [
        f"let {FEDERATION} take 1.5 USDC",
        f"take back what {FEDERATION} may take of USDC",
        "make 1 USDC",
    ]
    assert all((call.to, call.value) == (USDC.address, 0) for call in calls)
    assert calls[0].data == contracts.encode("Token", "approve", FEDERATION, 1_500_000)


def test_an_amount_that_no_token_holds_is_refused() -> None:
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        approve(USDC, FEDERATION, 2**256)
