"""What `koinon check` makes of what it finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.asset import Asset
from processor.cli.checks import (
    COPIES,
    HEADS_APART,
    LEAST_SPACE,
    NodeHead,
    Status,
    balance,
    chain_of_all,
    clock,
    disk,
    key,
    limits,
    pool,
    wage,
)
from processor.types import ZERO_ADDRESS

COIN = Asset(ZERO_ADDRESS, "ETH", 18)
GAS, PRICE = 150_000, 10**9


def heads(*numbers: int, chain_id: int = 1) -> list[NodeHead]:
    return [NodeHead(f"http://node-{place}", chain_id, number) for place, number in enumerate(numbers)]


def test_nodes_of_one_chain_are_fine() -> None:
    result = chain_of_all(heads(100, 100 - HEADS_APART), 1)
    assert (result.status, result.words) == (Status.OK, "chain 1, as configured")


def test_without_a_chain_id_it_is_advised_to_set_one() -> None:
    assert "set network.chain_id = 1" in chain_of_all(heads(5), None).words


def test_nodes_of_different_chains_fail_with_who_is_where() -> None:
    result = chain_of_all([*heads(5), *heads(6, chain_id=2)], 1)
    assert result.status is Status.FAILED and "is on 1" in result.words and "is on 2" in result.words


def test_another_chain_than_the_configured_one_fails() -> None:
    result = chain_of_all(heads(5), 7)
    assert result.status is Status.FAILED and "network.chain_id is 7" in result.words


def test_a_node_that_is_behind_is_named() -> None:
    result = chain_of_all(heads(100, 94), 1)
    assert result.status is Status.WARNING and "http://node-1 by 6" in result.words and "node-0" not in result.words


def test_without_a_node_nothing_is_known_of_the_chain() -> None:
    assert chain_of_all([], 1).status is Status.SKIPPED


@pytest.mark.parametrize(
    ("late", "status"),
    [(0, Status.OK), (120, Status.OK), (121, Status.WARNING), (-15, Status.OK), (-16, Status.FAILED)],
)
def test_a_clock_that_is_behind_the_chain_fails_and_an_old_block_warns(late: int, status: Status) -> None:
    assert clock(1_000_000.0 + late, 1_000_000).status is status


@given(st.integers(0, 10**20), st.integers(1, 10**12), st.integers(0, 10**18))
def test_a_balance_fails_below_one_round_and_warns_below_ten(held: int, price: int, reward: int) -> None:
    one, ten = GAS * price + reward, 10 * GAS * price + reward
    expected = Status.FAILED if held < one else Status.WARNING if held < ten else Status.OK
    assert balance(held, GAS, price, reward).status is expected


def test_a_low_balance_says_what_there_is_and_what_is_needed() -> None:
    words = balance(10**14, GAS, PRICE, 0).words
    assert "0.0001 ETH" in words and "0.00015 ETH" in words and "send it some" in words


@given(st.integers(0, 10**13), st.integers(0, 10**11))
def test_a_disk_must_hold_what_a_round_writes(free: int, artifact: int) -> None:
    needed = max(LEAST_SPACE, COPIES * artifact)
    result = disk("disk", "/state", free, artifact)
    expected = Status.OK if free >= needed else Status.WARNING if free >= needed // 2 else Status.FAILED
    assert result.status is expected
    assert ("make room" in result.words) == (expected is not Status.OK)


def test_a_key_that_nobody_can_unlock_without_a_person_is_a_warning() -> None:
    assert key("0x12", None).status is Status.WARNING and "passphrase_file" in key("0x12", None).words
    assert key("0x12", True).status is Status.OK


def test_a_pool_that_pays_what_the_selected_may_claim_is_fine_and_the_least_is_said() -> None:
    result = pool(COIN, pool=1000, least=1000, selected=3, spread=1)
    assert result.status is Status.OK and "is the least" in result.words


def test_a_wage_below_the_gas_of_an_update_is_warned_of_since_clients_skip_such_rounds() -> None:
    assert wage(COIN, reward=1_000, gas=1_000) is None
    result = wage(COIN, reward=10**14, gas=2 * 10**14)
    assert result is not None and result.status is Status.WARNING
    assert "guarantees 0.0001 ETH" in result.words and "costs 0.0002 ETH" in result.words


def test_a_pool_that_no_round_opens_with_fails_with_what_is_missing() -> None:
    result = pool(Asset("0x5FbDB2315678afecb367f032d93F642f64180aa3", "GOLD", 2), 1000, 1250, 3, spread=2)
    assert result.status is Status.FAILED
    assert "for 3 selected clients the federation's max_spread of 2 asks for 12.5 GOLD" in result.words
    assert "raise round.reward by 2.5 GOLD, fund the federation" in result.words


def test_limits_that_refuse_the_plan_fail_with_the_first_reason_and_where_the_others_are() -> None:
    result = limits(["it is public"], [])
    assert result.status is Status.FAILED and result.words.endswith("every round of the plan: it is public")
    result = limits(["it is public", "it is large"], ["it pays little"])
    assert result.status is Status.FAILED and "it is public (and 2 more reasons: `koinon client join" in result.words


def test_limits_that_refuse_what_the_latest_round_pays_are_warned_of_since_the_next_may_pay_more() -> None:
    result = limits([], ["it pays little"])
    assert result.status is Status.WARNING and "such as the latest: it pays little" in result.words
    assert limits([], []).status is Status.OK


def test_an_empty_pool_is_allowed_and_warned_of() -> None:
    result = pool(COIN, pool=0, least=1000, selected=3, spread=1)
    assert result.status is Status.WARNING and "nobody is paid" in result.words
