from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.rewards import guaranteed_rate, money_of, payable

Pairs = list[tuple[int, int]]
POOL = st.integers(0, 2**128 - 1)
RATE = st.integers(1, 2**128 - 1)
CREDITS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=20)


def test_reward_is_the_share_by_credited_compute_time() -> None:
    money = money_of(pool=1000, reward_rate_cap=10**9, claimed_ms=400, credited={"a": 100, "b": 300})
    assert money.rewards == {"a": 250, "b": 750}
    assert (money.carried, money.forfeited, money.rounding) == (0, 0, 0)


def test_wage_bounds_what_a_round_pays_and_the_rest_is_carried() -> None:
    money = money_of(pool=1000, reward_rate_cap=500, claimed_ms=1000, credited={"a": 1000})
    assert money.rewards == {"a": 500}
    assert money.carried == 500


def test_rejected_time_is_forfeited_and_not_carried() -> None:
    money = money_of(pool=10_000, reward_rate_cap=1000, claimed_ms=2000, credited={"a": 1000, "b": 0})
    assert money.rewards == {"a": 1000, "b": 0}
    assert (money.carried, money.forfeited) == (8000, 1000)


def test_round_without_credit_pays_nothing() -> None:
    assert money_of(pool=10, reward_rate_cap=1000, claimed_ms=1000, credited={"a": 0}).rewards == {"a": 0}


def test_guaranteed_rate_is_the_wage_or_the_thinnest_share_of_the_pool() -> None:
    assert guaranteed_rate(pool=10_000, reward_rate_cap=7, max_updates=10, max_compute_ms=1000) == 7
    assert guaranteed_rate(pool=10_000, reward_rate_cap=7000, max_updates=10, max_compute_ms=1000) == 1000


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
    assert all(reward * 1000 <= rate * credited[client] for client, reward in money.rewards.items())


@given(POOL, RATE, CREDITS, st.integers(0, 19))
def test_rejecting_somebody_never_carries_more(pool: int, rate: int, pairs: Pairs, rejected: int) -> None:
    claimed = sum(map(max, pairs))
    everybody = {str(n): min(pair) for n, pair in enumerate(pairs)}
    fewer = {**everybody, str(rejected % len(pairs)): 0}
    assert money_of(pool, rate, claimed, fewer).carried == money_of(pool, rate, claimed, everybody).carried


@given(POOL, RATE, st.integers(0, 10**12))
def test_payable_never_exceeds_the_pool(pool: int, rate: int, compute_ms: int) -> None:
    assert payable(pool, rate, compute_ms) <= pool
