from hypothesis import given
from hypothesis import strategies as st

from processor.chain.asset import Asset
from processor.protocol.rewards import (
    SCALE,
    guaranteed_rate,
    least_pool,
    least_pool_under,
    money_of,
    most_selected,
    payable,
    rate_in_words,
    selected_of,
    selected_under,
)
from processor.types import ZERO_ADDRESS, RoundTerms

Pairs = list[tuple[int, int]]
UNIT = 10**9
POOL = st.integers(0, 2**112 - 1)
RATE = st.integers(1, 2**112 - 1)
CREDITS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=20)
MS = st.integers(1, 2_592_000_000)


def test_reward_is_the_share_by_credited_compute_time() -> None:
    money = money_of(pool=1000, reward_rate_cap=UNIT * 10**9, claimed_ms=400, credited={"a": 100, "b": 300})
    assert money.rewards == {"a": 250, "b": 750}
    assert (money.carried, money.forfeited, money.rounding) == (0, 0, 0)


def test_wage_bounds_what_a_round_pays_and_the_rest_is_carried() -> None:
    money = money_of(pool=1000, reward_rate_cap=500 * UNIT, claimed_ms=1000, credited={"a": 1000})
    assert money.rewards == {"a": 500}
    assert money.carried == 500


def test_wage_may_be_a_part_of_the_smallest_unit() -> None:
    money = money_of(pool=10, reward_rate_cap=UNIT // 1000, claimed_ms=3_000_000, credited={"a": 3_000_000})
    assert money.rewards == {"a": 3}


def test_rejected_time_is_forfeited_and_not_carried() -> None:
    money = money_of(pool=10_000, reward_rate_cap=1000 * UNIT, claimed_ms=2000, credited={"a": 1000, "b": 0})
    assert money.rewards == {"a": 1000, "b": 0}
    assert (money.carried, money.forfeited) == (8000, 1000)


def test_round_without_credit_pays_nothing() -> None:
    assert money_of(pool=10, reward_rate_cap=1000 * UNIT, claimed_ms=1000, credited={"a": 0}).rewards == {"a": 0}


def test_guaranteed_rate_is_the_wage_or_the_thinnest_share_of_the_pool() -> None:
    assert guaranteed_rate(pool=10_000, reward_rate_cap=7 * UNIT, selected=10, max_compute_ms=1000) == 7 * UNIT
    assert guaranteed_rate(pool=10_000, reward_rate_cap=7000 * UNIT, selected=10, max_compute_ms=1000) == 1000 * UNIT
    assert guaranteed_rate(pool=10_000, reward_rate_cap=7 * UNIT, selected=0, max_compute_ms=1000) == 0


def test_a_share_of_the_members_is_selected_rounded_up_and_never_more_than_may_submit() -> None:
    assert selected_of(members=10, selection_rate=2_500, max_updates=100) == 3
    assert selected_of(members=10, selection_rate=1, max_updates=100) == 1
    assert selected_of(members=10, selection_rate=10_000, max_updates=4) == 4


def test_least_pool_pays_what_the_selected_may_claim_or_the_part_of_it_that_the_spread_leaves() -> None:
    assert least_pool(reward_rate_cap=500 * UNIT, selected=3, max_compute_ms=2_000, max_spread=1) == 3_000
    assert least_pool(reward_rate_cap=500 * UNIT, selected=3, max_compute_ms=2_000, max_spread=4) == 750
    assert least_pool(reward_rate_cap=1, selected=1, max_compute_ms=1, max_spread=1) == 1


def test_least_pool_under_terms_pays_for_as_many_as_they_select_of_the_members() -> None:
    terms = RoundTerms("a plan", bytes(32), 30, 30, 3, 2_000, 5_000, 500 * UNIT, 0)
    assert [selected_under(terms, members) for members in (1, 4, 100)] == [1, 2, 3]
    assert [least_pool_under(terms, members, max_spread=1) for members in (1, 4, 100)] == [1_000, 2_000, 3_000]
    assert least_pool_under(terms, 100, max_spread=2) == 1_500


def test_rate_is_shown_exactly_also_below_the_smallest_unit() -> None:
    gold = Asset("0x5FbDB2315678afecb367f032d93F642f64180aa3", "GOLD", 2)
    assert rate_in_words(gold, 150 * UNIT) == "1.5 GOLD"
    assert rate_in_words(gold, UNIT // 4) == "0.0025 GOLD"
    assert rate_in_words(Asset(ZERO_ADDRESS, "ETH", 18), 10**15 * UNIT) == "0.001 ETH"


@given(POOL, RATE, CREDITS)
def test_every_wei_of_the_pool_is_paid_carried_or_forfeited(pool: int, rate: int, pairs: Pairs) -> None:
    claims = {str(n): max(pair) for n, pair in enumerate(pairs)}
    credited = {str(n): min(pair) for n, pair in enumerate(pairs)}
    money = money_of(pool, rate, sum(claims.values()), credited)
    assert pool == sum(money.rewards.values()) + money.carried + money.forfeited + money.rounding
    assert 0 <= money.rounding < max(1, len(pairs))
    assert money.carried >= 0 and money.forfeited >= 0


@given(POOL, RATE, CREDITS)
def test_nobody_earns_more_than_the_wage(pool: int, rate: int, pairs: Pairs) -> None:
    credited = {str(n): min(pair) for n, pair in enumerate(pairs)}
    money = money_of(pool, rate, sum(map(max, pairs)), credited)
    assert all(reward * SCALE <= rate * credited[client] for client, reward in money.rewards.items())


@given(RATE, st.integers(1, 20), MS, st.integers(1, 2**16 - 1), st.data())
def test_rejecting_others_raises_the_pay_at_most_by_the_spread(
    rate: int, selected: int, most_ms: int, spread: int, data: st.DataObject
) -> None:
    pool = least_pool(rate, selected, most_ms, spread)
    claims = data.draw(st.lists(st.integers(1, most_ms), min_size=1, max_size=selected))
    everybody = money_of(pool, rate, sum(claims), {str(n): ms for n, ms in enumerate(claims)}).rewards["0"]
    alone = money_of(pool, rate, sum(claims), {"0": claims[0]}).rewards["0"]
    assert alone <= (everybody + 1) * spread
    assert spread > 1 or alone <= everybody + 1


@given(RATE, st.integers(1, 2**112 - 1), MS, st.integers(1, 2**16 - 1))
def test_most_selected_is_the_largest_number_that_the_pool_reaches(rate: int, pool: int, ms: int, spread: int) -> None:
    most = most_selected(pool, rate, ms, spread)
    assert least_pool(rate, most, ms, spread) <= pool < least_pool(rate, most + 1, ms, spread)


@given(RATE, st.integers(1, 20), MS)
def test_with_a_spread_of_one_the_guaranteed_rate_is_the_wage(rate: int, selected: int, most_ms: int) -> None:
    pool = least_pool(rate, selected, most_ms, max_spread=1)
    assert guaranteed_rate(pool, rate, selected, most_ms) == rate


@given(POOL, RATE, CREDITS, st.integers(0, 19))
def test_rejecting_somebody_never_carries_more(pool: int, rate: int, pairs: Pairs, rejected: int) -> None:
    claimed = sum(map(max, pairs))
    everybody = {str(n): min(pair) for n, pair in enumerate(pairs)}
    fewer = {**everybody, str(rejected % len(pairs)): 0}
    assert money_of(pool, rate, claimed, fewer).carried == money_of(pool, rate, claimed, everybody).carried


@given(POOL, RATE, st.integers(0, 10**12))
def test_payable_never_exceeds_the_pool(pool: int, rate: int, compute_ms: int) -> None:
    assert payable(pool, rate, compute_ms) <= pool
