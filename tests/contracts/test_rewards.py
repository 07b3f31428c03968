"""The money of a round, to the unit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from .chain import deploy
from .helpers import NANO, abandon, deploy_federation, open_round, owed, play_round, submit, view

relaxed = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))

SCALE = 10**12
pools = rates = st.integers(0, 2**112 - 1) | st.integers(0, 10**6)
totals = st.integers(0, 2**48 - 1) | st.integers(0, 10**5)


@pytest.fixture(scope="module")
def arithmetic(organization):
    return deploy("Arithmetic", {"from": organization})


@relaxed
@given(pool=pools, rate=rates, claimed=totals, credited=totals)
def test_a_pool_is_payable_or_surplus_or_forfeited(arithmetic, pool, rate, claimed, credited):
    assume(credited <= claimed)
    payable = arithmetic.payable_(pool, rate, credited)
    surplus = arithmetic.surplus(pool, rate, claimed)
    forfeited = arithmetic.forfeited(pool, rate, claimed, credited)
    assert payable == min(pool, rate * credited // SCALE)
    assert surplus == pool - min(pool, rate * claimed // SCALE)
    assert payable + surplus + forfeited == pool


@relaxed
@given(amount=pools, credited=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8))
def test_shares_leave_less_than_a_unit_per_client(arithmetic, amount, credited):
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
    selected=st.integers(1, 1000),
    most_ms=st.integers(1, 2**32 - 1),
    data=st.data(),
)
def test_the_guaranteed_rate_holds_whatever_the_others_claim(arithmetic, pool, rate, selected, most_ms, data):
    others = data.draw(st.integers(0, (selected - 1) * most_ms))
    own = data.draw(st.integers(1, most_ms))
    guaranteed = arithmetic.guaranteedRate(pool, rate, selected, most_ms)
    assert guaranteed == min(rate, pool * SCALE // (selected * most_ms))
    reward = arithmetic.share(arithmetic.payable_(pool, rate, own + others), own, own + others)
    assert reward >= guaranteed * own // SCALE - 1
    assert reward <= rate * own // SCALE


@relaxed
@given(
    rate=st.integers(1, 2**112 - 1) | st.integers(1, 10**12),
    selected=st.integers(1, 1000),
    most_ms=st.integers(1, 2**32 - 1) | st.integers(1, 10**5),
    spread=st.integers(1, 2**16 - 1) | st.integers(1, 5),
    data=st.data(),
)
def test_a_pool_that_may_open_raises_a_pay_at_most_s_fold(arithmetic, rate, selected, most_ms, spread, data):
    """Whatever is claimed and whoever is rejected; with a spread of 1 not at all, but for rounding."""
    least = arithmetic.leastPool(rate, selected, most_ms, spread)
    assert least == -(-rate * selected * most_ms // (spread * SCALE))
    own = data.draw(st.integers(1, most_ms))
    others = data.draw(st.integers(0, (selected - 1) * most_ms))
    alone = arithmetic.share(arithmetic.payable_(least, rate, own), own, own)
    among = arithmetic.share(arithmetic.payable_(least, rate, own + others), own, own + others)
    assert among <= alone + 1
    assert alone <= (among + 1) * spread + 1


def test_a_round_without_terms_guarantees_nothing(arithmetic):
    assert arithmetic.guaranteedRate(1, 1, 0, 0) == 0


# ------------------------------------------------------------------------------------------------- in a round


@pytest.fixture(scope="module")
def binding(organization, clients):
    """Its pool may be a thousandth of what can be claimed."""
    return deploy_federation(organization, clients, max_spread=1000)


def settle(federation, clients, times, adjustments=None, **terms):
    lowered = {clients[index]: ms for index, ms in (adjustments or {}).items()}
    play_round(federation, dict(zip(clients, times, strict=False)), lowered, **terms)
    seen = view(federation)
    return owed(federation, *clients), seen["payable_"], seen["surplus"], seen["forfeited"]


def test_where_the_pool_suffices_clients_earn_their_wage(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2500, 40_000], reward_rate_cap=10 * NANO, reward=5000
    )
    assert rewards == [10, 25, 400, 0, 0]
    assert (payable, surplus, forfeited) == (435, 4565, 0)


def test_every_division_rounds_down(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2500, 40_000], reward_rate_cap=7 * NANO, reward=5000
    )
    assert rewards == [6, 17, 279, 0, 0]  # 304 / 43.5 * (1, 2.5, 40); two units of rounding stay
    assert (payable, surplus, forfeited) == (304, 4696, 0)


@pytest.mark.parametrize("rate", [1, 333_333_333, NANO - 1, NANO + 1])
def test_wages_below_a_unit_a_second_are_exact(federation, clients, rate):
    """For a token with few decimals a cent an hour is less than a unit a second."""
    rewards, payable, _, _ = settle(federation, clients, [100_000], reward_rate_cap=rate, reward=5000, wait=200)
    assert rewards[0] == payable == rate * 100_000 // SCALE


def test_where_it_does_not_clients_share_it_by_compute_time(binding, clients):
    rewards, payable, surplus, forfeited = settle(
        binding, clients, [1000, 2000, 4000], reward_rate_cap=100 * NANO, reward=100
    )
    assert rewards == [14, 28, 57, 0, 0]  # 100/7, 200/7, 400/7; one unit of rounding stays
    assert (payable, surplus, forfeited) == (100, 0, 0)


def test_what_a_rejected_update_would_have_earned_is_forfeited(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000, 4000], {2: 0}, reward_rate_cap=10 * NANO, reward=5000
    )
    assert rewards == [10, 20, 0, 0, 0]
    assert (payable, surplus, forfeited) == (30, 4930, 40)


def test_a_lowered_update_gets_what_it_is_credited(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000, 4000], {2: 1000}, reward_rate_cap=10 * NANO, reward=5000
    )
    assert rewards == [10, 20, 10, 0, 0]
    assert (payable, surplus, forfeited) == (40, 4930, 30)


def test_honest_clients_are_made_whole_where_somebody_claimed_too_much(binding, clients):
    """The pool is too small for all that is claimed; without the exaggeration it is not."""
    rewards, payable, surplus, forfeited = settle(
        binding, clients, [1000, 2000, 100_000], {2: 0}, reward_rate_cap=10 * NANO, reward=40
    )
    assert rewards == [10, 20, 0, 0, 0]
    assert (payable, surplus, forfeited) == (30, 0, 10)


def test_rejecting_everybody_pays_the_organization_nothing(federation, clients):
    rewards, payable, surplus, forfeited = settle(
        federation, clients, [1000, 2000], {0: 0, 1: 0}, reward_rate_cap=10 * NANO, reward=5000
    )
    assert rewards == [0] * 5
    assert (payable, surplus, forfeited) == (0, 4970, 30)
    assert federation.carried() == 4970


def test_an_abandoned_round_pays_what_was_claimed(federation, clients):
    open_round(federation, reward_rate_cap=10 * NANO, reward=5000)
    submit(federation, clients[0], 1000)
    submit(federation, clients[1], 2000)
    assert owed(federation, clients[0]) == 0
    abandon(federation)
    seen = view(federation)
    assert (seen["payable_"], seen["surplus"], seen["forfeited"]) == (30, 4970, 0)
    assert owed(federation, *clients[:3]) == [10, 20, 0]
    open_round(federation)
    assert owed(federation, *clients[:3]) == [10, 20, 0], "also once the next opening has recorded it"


def test_a_round_without_updates_carries_its_whole_pool(federation):
    open_round(federation, reward=5000, reward_rate_cap=NANO)
    assert federation.carried() == 0
    abandon(federation)
    assert view(federation)["surplus"] == federation.carried() == 5000


def test_a_round_without_a_pool_pays_nothing_and_owes_nothing(federation, clients):
    rewards, payable, surplus, forfeited = settle(federation, clients, [1000] * 5, reward=0)
    assert (rewards, payable, surplus, forfeited) == ([0] * 5, 0, 0, 0)


def test_the_guaranteed_rate_of_a_round(binding):
    """By the selected, not by the most updates."""
    open_round(binding, reward_rate_cap=10 * NANO, max_updates=10, max_compute_ms=1000, reward=25)
    assert view(binding)["guaranteedRate"] == 5 * NANO
    abandon(binding)
    open_round(binding, reward_rate_cap=10 * NANO, max_updates=10, max_compute_ms=1000, reward=25)
    assert view(binding)["guaranteedRate"] == 10 * NANO
    abandon(binding)
    open_round(binding, reward_rate_cap=50 * NANO, max_updates=2, max_compute_ms=1000, reward=0)
    assert view(binding)["guaranteedRate"] == 25 * NANO


# ---------------------------------------------------------------------------------------------------- carrying


def test_what_is_carried_is_in_the_next_pool_once(federation, clients):
    settle(federation, clients, [1000], reward_rate_cap=10 * NANO, reward=5000)
    assert federation.carried() == 4990
    open_round(federation, reward=15, reward_rate_cap=NANO)
    assert federation.carried() == 0
    assert view(federation)["pool"] == 5005
    abandon(federation)
    assert federation.carried() == 5005
    open_round(federation, reward=0, reward_rate_cap=NANO)
    assert view(federation)["pool"] == 5005
