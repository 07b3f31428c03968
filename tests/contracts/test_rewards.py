"""The money of a round, to the wei."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from .helpers import GWEI, ZERO_ADDRESS, abandon, client_of, end_training, finalize, open_round, submit

relaxed = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))

pools = rates = st.integers(0, 2**128 - 1) | st.integers(0, 10**6)
totals = st.integers(0, 2**48 - 1) | st.integers(0, 10**5)


@pytest.fixture(scope="module")
def arithmetic(Arithmetic, organization):
    return Arithmetic.deploy({"from": organization})


@relaxed
@given(pool=pools, rate=rates, claimed=totals, credited=totals)
def test_a_pool_is_payable_or_surplus_or_forfeited(arithmetic, pool, rate, claimed, credited):
    assume(credited <= claimed)
    payable = arithmetic.payable_(pool, rate, credited)
    surplus = arithmetic.surplus(pool, rate, claimed)
    forfeited = arithmetic.forfeited(pool, rate, claimed, credited)
    assert payable == min(pool, rate * credited // 1000)
    assert surplus == pool - min(pool, rate * claimed // 1000)
    assert payable + surplus + forfeited == pool


@relaxed
@given(amount=pools, credited=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8))
def test_shares_leave_less_than_a_wei_per_client(arithmetic, amount, credited):
    shares = [arithmetic.share(amount, ms, sum(credited)) for ms in credited]
    if sum(credited) == 0:
        assert sum(shares) == 0
    else:
        assert shares == [amount * ms // sum(credited) for ms in credited]
        assert 0 <= amount - sum(shares) < len(credited)


@relaxed
@given(
    pool=pools,
    rate=rates,
    most_updates=st.integers(1, 1000),
    most_ms=st.integers(1, 2**32 - 1),
    data=st.data(),
)
def test_the_guaranteed_rate_holds_whatever_the_others_claim(arithmetic, pool, rate, most_updates, most_ms, data):
    others = data.draw(st.integers(0, (most_updates - 1) * most_ms))
    own = data.draw(st.integers(1, most_ms))
    guaranteed = arithmetic.guaranteedRate(pool, rate, most_updates, most_ms)
    assert guaranteed == min(rate, pool * 1000 // (most_updates * most_ms))
    reward = arithmetic.share(arithmetic.payable_(pool, rate, own + others), own, own + others)
    assert reward >= guaranteed * own // 1000 - 1
    assert reward <= rate * own // 1000


def test_a_round_without_terms_guarantees_nothing(arithmetic):
    assert arithmetic.guaranteedRate(1, 1, 0, 0) == 0


# ------------------------------------------------------------------------------------------------- in a round


def settle(federation, clients, times, adjustments=None, **terms):
    round = open_round(federation, **terms)
    for client, ms in zip(clients, times, strict=False):
        submit(federation, client, ms)
    end_training(federation)
    finalize(federation, {clients[index]: ms for index, ms in (adjustments or {}).items()})
    view = federation.roundView(round, ZERO_ADDRESS)
    rewards = [client_of(federation, round, client)["reward"] for client in clients]
    return rewards, view["payable_"], view["surplus"], view["forfeited"]


def test_where_the_pool_suffices_clients_earn_their_wage(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2500, 40_000], reward_rate_cap=10, reward=1000
    )
    assert rewards == [10, 25, 400, 0, 0]
    assert (payable, surplus, forfeited) == (435, 565, 0)


def test_every_division_rounds_down(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2500, 40_000], reward_rate_cap=7, reward=1000
    )
    assert rewards == [6, 17, 279, 0, 0]  # 304 / 43.5 * (1, 2.5, 40); two wei of rounding stay
    assert (payable, surplus, forfeited) == (304, 696, 0)


def test_where_it_does_not_clients_share_it_by_compute_time(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000, 4000], reward_rate_cap=GWEI, reward=100
    )
    assert rewards == [14, 28, 57, 0, 0]  # 100/7, 200/7, 400/7; one wei of rounding stays
    assert (payable, surplus, forfeited) == (100, 0, 0)


def test_what_a_rejected_update_would_have_earned_is_forfeited(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000, 4000], {2: 0}, reward_rate_cap=10, reward=1000
    )
    assert rewards == [10, 20, 0, 0, 0]
    assert (payable, surplus, forfeited) == (30, 930, 40)


def test_a_lowered_update_gets_what_it_is_credited(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000, 4000], {2: 1000}, reward_rate_cap=10, reward=1000
    )
    assert rewards == [10, 20, 10, 0, 0]
    assert (payable, surplus, forfeited) == (40, 930, 30)


def test_honest_clients_are_made_whole_where_somebody_claimed_too_much(federation, clients):
    """The pool is too small for all that is claimed; without the exaggeration it is not."""
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000, 100_000], {2: 0}, reward_rate_cap=10, reward=40
    )
    assert rewards == [10, 20, 0, 0, 0]
    assert (payable, surplus, forfeited) == (30, 0, 10)


def test_rejecting_everybody_pays_the_organization_nothing(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000], {0: 0, 1: 0}, reward_rate_cap=10, reward=100
    )
    assert rewards == [0] * 5
    assert (payable, surplus, forfeited) == (0, 70, 30)
    assert federation.carried() == 70


def test_an_abandoned_round_pays_what_was_claimed(federation, clients):
    round = open_round(federation, reward_rate_cap=10, reward=100)
    submit(federation, clients[0], 1000)
    submit(federation, clients[1], 2000)
    assert client_of(federation, round, clients[0])["reward"] == 0
    abandon(federation)
    view = federation.roundView(round, clients[0])
    assert (view["payable_"], view["surplus"], view["forfeited"]) == (30, 70, 0)
    assert view["client"]["reward"] == 10
    assert client_of(federation, round, clients[1])["reward"] == 20


def test_a_round_without_updates_carries_its_whole_pool(federation):
    round = open_round(federation, reward=100)
    assert federation.carried() == 0
    abandon(federation)
    assert federation.roundView(round, ZERO_ADDRESS)["surplus"] == federation.carried() == 100


def test_the_guaranteed_rate_of_a_round(federation):
    round = open_round(federation, reward_rate_cap=10, max_updates=10, max_compute_ms=1000, reward=55)
    assert federation.roundView(round, ZERO_ADDRESS)["guaranteedRate"] == 5
    abandon(federation)
    round = open_round(federation, reward_rate_cap=10, max_updates=10, max_compute_ms=1000, reward=100)
    assert federation.roundView(round, ZERO_ADDRESS)["guaranteedRate"] == 10


# ---------------------------------------------------------------------------------------------------- carrying


def test_what_is_carried_is_in_the_next_pool_once(federation, clients):
    settle(federation, clients, [1000], reward_rate_cap=10, reward=100)
    assert federation.carried() == 90
    open_round(federation, reward=5)
    assert federation.carried() == 0
    assert federation.roundView(2, ZERO_ADDRESS)["pool"] == 95
    abandon(federation)
    assert federation.carried() == 95
    open_round(federation, reward=0)
    assert federation.roundView(3, ZERO_ADDRESS)["pool"] == 95
