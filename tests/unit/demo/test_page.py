"""The closing page says what happened, and whether every unit of every amount is accounted for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processor.chain.asset import Asset
from processor.cid import cid_of
from processor.demo.page import ClientLine, ClosingPage, RoundLine, Verdict
from processor.demo.settings import UNIT, stake_of
from processor.errors import ConfigurationError
from processor.types import ZERO_ADDRESS

COIN = Asset(ZERO_ADDRESS, "ETH", 18)
TOKEN = Asset("0x5FbDB2315678afecb367f032d93F642f64180aa3", "PLAY", 2)
CID = cid_of(b"model")


def client(number: int, **changes: Any) -> ClientLine:
    """A client that earned 300, has 50 staked, and paid 7 of gas in coins that are not the asset."""
    line = ClientLine(f"0x{number:040x}", 100, 100, 300, 50, 250, coin_change_wei=-7, fees_wei=7)
    return replace(line, **changes)


def page(**changes: Any) -> ClosingPage:
    """A round of two clients in a token."""
    whole = ClosingPage(
        federation="0x5B38Da6a701c568545dCfcB03FcB875f56beddC4",
        chain_id=31337,
        asset=TOKEN,
        rounds_wanted=1,
        rounds=[RoundLine(1, CID, CID, CID, updates=2, accuracy=0.5, seconds=3)],
        local_only_accuracy=0.4,
        clients=[client(1), client(2)],
        pool=1000,
        paid=600,
        carried=390,
        forfeited=10,
        staked_in=100,
        slashed=0,
        holdings=500,
        audit=Verdict(True, 10, []),
    )
    return replace(whole, **changes)


def in_coins() -> ClosingPage:
    """The same in the chain's coin, out of which gas is paid too."""
    line = client(1, balance_change=243, coin_change_wei=243)
    return page(asset=COIN, clients=[line, replace(line, address=client(2).address)])


def test_page_on_which_everything_adds_up_has_no_failure() -> None:
    assert page().failures() == []
    assert in_coins().failures() == []
    assert page().as_text().endswith("Everything holds.")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounds_wanted": 2}, "1 rounds were finalized, expected 2"),
        ({"clients": [client(1), client(2), client(3)]}, "round 1 has 2 updates, expected 3"),
        (
            {"clients": [client(1), client(2, balance_change=249)]},
            "changed by 2.49 PLAY, expected its reward of 3 PLAY",
        ),
        ({"clients": [client(1), client(2, coin_change_wei=-8)]}, "expected it to have paid 0.000000000000000007 ETH"),
        ({"paid": 601}, "what was paid is not the sum of the rewards"),
        ({"pool": 1001}, "the pool of 10.01 PLAY is not paid 6 PLAY + carried 3.9 PLAY + forfeited 0.1 PLAY"),
        ({"slashed": 1}, "1 PLAY were staked, 1 PLAY are left and 0.01 PLAY slashed"),
        ({"holdings": 499}, "the contract holds 4.99 PLAY, expected carried 3.9 PLAY"),
        ({"audit": Verdict(False, 10, ["round 1: wrong"])}, "the audit found 1 violations"),
    ],
)
def test_what_does_not_hold_is_said(changes: dict[str, Any], said: str) -> None:
    failures = page(**changes).failures()
    assert any(said in failure for failure in failures), failures
    assert "NOT everything holds:" in page(**changes).as_text()


def test_gas_comes_out_of_the_balance_only_where_it_is_paid_in_the_asset() -> None:
    assert page(asset=COIN).failures() != []
    assert replace(in_coins(), asset=TOKEN).failures() != []


def test_page_speaks_in_the_asset_and_shows_stakes_where_there_are_any() -> None:
    text = page().as_text()
    assert "reward (PLAY)" in text and "staked (PLAY)" in text and "ETH in all" in text
    assert "  slashed" in text
    without = page(staked_in=0, clients=[client(n, stake=0, balance_change=300) for n in (1, 2)], holdings=400)
    assert without.failures() == []
    assert "  slashed" not in without.as_text()


def test_amounts_are_decimal_strings_for_programs() -> None:
    said = page().as_json()
    assert said["asset"] == {"address": TOKEN.address, "symbol": "PLAY", "decimals": 2}
    assert [said[name] for name in ("pool", "paid", "carried", "forfeited", "staked", "slashed", "holdings")] == [
        "1000", "600", "390", "10", "100", "0", "500",
    ]  # fmt: skip
    assert said["clients"][0]["balance_change"] == "250"


def test_a_stake_is_an_amount_that_the_demo_can_hand_out() -> None:
    assert stake_of("0.5") == UNIT // 2
    assert stake_of("0") == 0
    for wrong in ("-1", "half", "1001", "0.0000000000000000001"):
        with pytest.raises(ConfigurationError, match="--stake"):
            stake_of(wrong)
