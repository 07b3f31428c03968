"""A finalization may slash the stake of a client whose update it lowers, within a bound fixed at creation."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .chain import CHAIN
from .helpers import (
    BASIS_POINTS,
    GWEI,
    MAX_SLASH_RATE,
    STAKE,
    abandon,
    ascending,
    client_of,
    decline,
    deploy_federation,
    end_training,
    finalize,
    leave,
    open_round,
    owed,
    register,
    reverts,
    stake_of,
    submit,
    view,
)

relaxed = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


def aggregating(federation, clients, **terms):
    """A round with an update of one second of every client."""
    round = open_round(federation, **terms)
    for client in clients:
        submit(federation, client, 1000)
    end_training(federation)
    return round


def test_a_slash_takes_a_share_of_the_stake(staked, clients):
    """At once for everybody who looks; it is said when it is booked."""
    round = aggregating(staked, clients)
    lowered = ascending({clients[0]: (0, 1000), clients[1]: (999, MAX_SLASH_RATE)})
    transaction = finalize(staked, triples=lowered)
    assert transaction.event("UpdatesAdjusted") == {"round": round, "adjustments": lowered}
    assert transaction.all("Slashed") == []
    assert stake_of(staked, *clients) == [900, 500, STAKE, STAKE, STAKE]
    left = leave(staked, clients[1])
    assert left.event("Slashed") == {"round": round, "client": clients[1], "amount": 500}
    assert left.event("Paid")["stake"] == 500
    claimed = finalize_and_claim(staked, clients[0])
    assert claimed.event("Slashed") == {"round": round, "client": clients[0], "amount": 100}


def finalize_and_claim(federation, client):
    """Another round in which the client earns something; its update books what is pending."""
    open_round(federation)
    booked = submit(federation, client, 1000)
    end_training(federation)
    finalize(federation)
    federation.claim(client, {"from": client})
    return booked


@pytest.mark.parametrize("booking", ["submitting", "declining", "claiming", "leaving", "nothing"])
def test_a_slash_is_booked_once_whatever_books_it(staked, clients, booking):
    client = clients[0]
    round = aggregating(staked, clients)
    finalize(staked, {client: (500, 2500)})
    assert staked.balanceOf(client) == (GWEI // 2, STAKE * 3 // 4)
    if booking == "claiming":
        sent = staked.claim(client, {"from": client})
    elif booking == "leaving":
        sent = leave(staked, client)
        assert sent.return_value == GWEI // 2 + STAKE * 3 // 4
    else:
        open_round(staked)
    if booking == "submitting":
        sent = submit(staked, client)
    elif booking == "declining":
        sent = decline(staked, client)
    if booking != "nothing":
        assert sent.all("Slashed") == [{"round": round, "client": client, "amount": STAKE // 4}]
    if booking != "leaving":
        assert stake_of(staked, client) == STAKE * 3 // 4
        abandon(staked)
        last = leave(staked, client)
        assert last.event("Paid")["stake"] == STAKE * 3 // 4
        assert len(last.all("Slashed")) == (booking == "nothing")


def test_a_slash_of_a_claim_is_booked_before_the_next_one(staked, clients):
    """What is slashed is a share of what is left, in whatever order the rounds are booked."""
    for claims in (True, False, True):
        aggregating(staked, clients)
        finalize(staked, {clients[0]: (999, MAX_SLASH_RATE)})
        if claims:
            staked.claim(clients[0], {"from": clients[0]})
    assert stake_of(staked, clients[0]) == STAKE // 8


def test_a_slash_shows_in_the_views_of_its_round(staked, clients):
    rates = []
    for lowered in ((400, 1000), (0, 2000)):
        aggregating(staked, clients)
        finalize(staked, {clients[0]: lowered})
        rates.append([client_of(staked, client)["slashRate"] for client in clients])
        lines = {line["client"]: line["slashRate"] for line in staked.updates(0, 5)}
        assert [lines[client] for client in clients] == rates[-1]
    assert rates == [[1000, 0, 0, 0, 0], [2000, 0, 0, 0, 0]]


def test_a_lowered_update_keeps_its_stake_where_the_rate_is_nothing(staked, clients):
    aggregating(staked, clients)
    finalize(staked, {clients[0]: (0, 0)})
    assert stake_of(staked, clients[0]) == STAKE
    assert leave(staked, clients[0]).all("Slashed") == []


@pytest.mark.parametrize("rate", [MAX_SLASH_RATE + 1, BASIS_POINTS, 2**16 - 1])
def test_a_slash_beyond_the_bound_is_refused(staked, clients, rate):
    aggregating(staked, clients)
    with reverts("SlashRateTooHigh", MAX_SLASH_RATE, rate):
        finalize(staked, {clients[0]: (0, rate)})


def test_where_nothing_is_staked_nothing_can_be_slashed(federation, clients):
    aggregating(federation, clients)
    with reverts("SlashRateTooHigh", 0, 1):
        finalize(federation, {clients[0]: (0, 1)})
    finalize(federation, {clients[0]: (0, 0)})


def test_a_federation_that_slashes_nobody_refuses_every_slash(organization, clients):
    federation = deploy_federation(organization, clients[:1], stake=STAKE, max_slash_rate=0)
    aggregating(federation, clients[:1])
    with reverts("SlashRateTooHigh", 0, 1):
        finalize(federation, {clients[0]: (0, 1)})


@pytest.mark.parametrize("credited", [1000, 1001])
def test_only_whose_update_is_lowered_can_be_slashed(staked, clients, credited):
    aggregating(staked, clients)
    with reverts("AdjustmentNotLower", clients[0], 1000, credited):
        finalize(staked, {clients[0]: (credited, 1)})


def test_who_submitted_nothing_cannot_be_slashed(staked, clients, stranger):
    round = aggregating(staked, clients[:4])
    with reverts("NoUpdate", round, clients[4]):
        finalize(staked, {clients[4]: (0, 1)})
    register(staked, stranger)
    with reverts("NoUpdate", round, stranger):
        finalize(staked, {stranger: (0, 1)})


def test_a_client_is_slashed_at_most_once_a_round(staked, clients):
    aggregating(staked, clients)
    with reverts("AdjustmentsNotAscending", clients[0], clients[0]):
        finalize(staked, triples=[(clients[0], 500, MAX_SLASH_RATE), (clients[0], 0, MAX_SLASH_RATE)])


def test_an_abandoned_round_slashes_nobody(staked, clients):
    aggregating(staked, clients)
    abandon(staked)
    assert stake_of(staked, *clients) == [STAKE] * 5
    assert [client_of(staked, client)["slashRate"] for client in clients] == [0] * 5


def test_every_round_slashes_what_is_left(staked, clients):
    for left in (500, 250, 125, 63, 32):
        aggregating(staked, clients[:1])
        finalize(staked, {clients[0]: (0, MAX_SLASH_RATE)})
        assert stake_of(staked, clients[0]) == left
    assert leave(staked, clients[0]).return_value == 32


def test_a_slash_that_rounds_to_nothing_takes_nothing(organization, clients):
    federation = deploy_federation(organization, clients[:1], stake=1, max_slash_rate=9999)
    aggregating(federation, clients[:1])
    finalize(federation, {clients[0]: (0, 9999)})
    assert stake_of(federation, clients[0]) == 1
    assert client_of(federation, clients[0])["slashRate"] == 9999
    assert leave(federation, clients[0]).all("Slashed") == []


def test_a_client_that_left_a_live_round_can_still_be_slashed(staked, clients):
    aggregating(staked, clients)
    leave(staked, clients[0])
    finalize(staked, {clients[0]: (0, MAX_SLASH_RATE)})
    assert leave(staked, clients[0]).return_value == STAKE // 2


def test_a_client_that_left_without_an_update_cannot_be_slashed(staked, clients):
    round = open_round(staked)
    leave(staked, clients[0])
    submit(staked, clients[1])
    end_training(staked)
    with reverts("NoUpdate", round, clients[0]):
        finalize(staked, {clients[0]: (0, 1)})


def test_a_slash_changes_no_reward(staked, clients):
    aggregating(staked, clients)
    finalize(staked, {clients[0]: (500, MAX_SLASH_RATE)})
    assert owed(staked, *clients) == [GWEI // 2, *[GWEI] * 4]


def test_what_is_slashed_is_forfeited_and_nobody_can_withdraw_it(staked, organization, clients):
    """Every stake is halved, everybody takes all that is theirs: the other halves stay for ever."""
    aggregating(staked, clients)
    finalize(staked, dict.fromkeys(clients, (999, MAX_SLASH_RATE)))
    assert staked.carried() == 995 * GWEI, "a slash is no gift to the next round"
    open_round(staked, reward=0)
    assert view(staked)["pool"] == 995 * GWEI
    abandon(staked)
    staked.close({"from": organization})
    lowered = GWEI // 1000
    for client in clients:
        assert leave(staked, client).return_value == GWEI - lowered + STAKE // 2
    assert staked.withdraw(organization, {"from": organization}).return_value == 995 * GWEI
    assert staked.balance() == 5 * STAKE // 2 + 5 * lowered
    assert staked.withdraw(organization, {"from": organization}).return_value == 0


@pytest.fixture(scope="module")
def unbounded(organization, rich):
    """A federation with a large and odd stake, one member, and nothing that bounds what is slashed."""
    return deploy_federation(organization, [rich], stake=2**128 - 7, max_slash_rate=BASIS_POINTS)


@relaxed
@given(rates=st.lists(st.integers(1, BASIS_POINTS) | st.integers(1, 3), min_size=1, max_size=4))
def test_what_is_slashed_and_what_is_left_is_the_stake(unbounded, rich, rates):
    federation, left = unbounded, 2**128 - 7
    with CHAIN.imagined():
        for rate in rates:
            aggregating(federation, [rich], reward=0)
            finalize(federation, {rich: (0, rate)})
            left -= left * rate // BASIS_POINTS
            assert stake_of(federation, rich) == left
        assert leave(federation, rich).return_value == left
        assert federation.balance() == 2**128 - 7 - left
