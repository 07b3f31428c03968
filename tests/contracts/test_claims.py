from __future__ import annotations

import pytest

from .helpers import (
    AGGREGATING,
    GWEI,
    NONE,
    TRAINING,
    ZERO_ADDRESS,
    abandon,
    client_of,
    end_training,
    finalize,
    leave,
    open_round,
    reverts,
    submit,
)


@pytest.fixture
def rounds(federation, clients):
    """Two finalized rounds and an abandoned one, in each of which clients 0 and 1 are owed 1 and 2 gwei."""
    for outcome in (finalize, finalize, abandon):
        open_round(federation)
        submit(federation, clients[0], 1000)
        submit(federation, clients[1], 2000)
        end_training(federation)
        outcome(federation)
    return [1, 2, 3]


def test_a_client_claims_many_rounds_at_once(federation, clients, rounds):
    before = clients[1].balance()
    transaction = federation.claim(rounds, clients[1], {"from": clients[1]})
    assert transaction.return_value == clients[1].balance() - before == 6 * GWEI
    assert [dict(event) for event in transaction.events["RewardClaimed"]] == [
        {"round": round, "client": clients[1], "to": clients[1], "amount": 2 * GWEI} for round in rounds
    ]
    assert all(client_of(federation, round, clients[1])["claimed"] for round in rounds)
    assert not client_of(federation, 1, clients[0])["claimed"]


def test_a_reward_goes_where_its_client_says(federation, clients, stranger, rounds):
    before = stranger.balance()
    federation.claim([1], stranger, {"from": clients[0]})
    assert stranger.balance() - before == GWEI


def test_what_is_claimed_is_skipped(federation, clients, rounds):
    federation.claim([2], clients[0], {"from": clients[0]})
    transaction = federation.claim([1, 2, 1], clients[0], {"from": clients[0]})
    assert transaction.return_value == GWEI
    assert len(transaction.events["RewardClaimed"]) == 1
    assert federation.claim([1, 2], clients[0], {"from": clients[0]}).return_value == 0
    assert federation.claim([], clients[0], {"from": clients[0]}).return_value == 0


def test_anybody_can_have_a_client_paid_at_its_own_address(federation, clients, stranger, rounds):
    before = clients[1].balance()
    transaction = federation.claimFor(clients[1], [1, 3], {"from": stranger})
    assert transaction.return_value == clients[1].balance() - before == 4 * GWEI
    assert transaction.events["RewardClaimed"][0]["to"] == clients[1]


@pytest.mark.parametrize("front_run", [[2], [3, 1], [1, 2, 3]])
def test_a_clients_own_batch_survives_being_front_run(federation, clients, stranger, rounds, front_run):
    """Whoever claims some of the rounds for the client first takes nothing away and spoils nothing."""
    before = clients[0].balance()
    assert federation.claimFor(clients[0], front_run, {"from": stranger}).return_value == len(front_run) * GWEI
    own = federation.claim(rounds, clients[0], {"from": clients[0]})
    assert own.return_value == (3 - len(front_run)) * GWEI
    assert clients[0].balance() - before == 3 * GWEI


def test_a_batch_for_a_client_survives_that_it_claims_itself(federation, clients, stranger, rounds):
    federation.claim([1], stranger, {"from": clients[0]})
    before = clients[0].balance()
    assert federation.claimFor(clients[0], rounds, {"from": stranger}).return_value == 2 * GWEI
    assert clients[0].balance() - before == 2 * GWEI


def test_a_claimed_reward_still_shows_in_the_view(federation, clients, rounds):
    federation.claim([1], clients[0], {"from": clients[0]})
    client = client_of(federation, 1, clients[0])
    assert (client["reward"], client["claimed"]) == (GWEI, True)


def test_a_rejected_client_claims_nothing_without_an_error(federation, clients):
    open_round(federation)
    submit(federation, clients[0], 1000)
    end_training(federation)
    finalize(federation, {clients[0]: 0})
    before = clients[0].balance()
    assert federation.claim([1], clients[0], {"from": clients[0]}).return_value == 0
    assert clients[0].balance() == before


def test_a_client_that_left_claims_its_reward(federation, clients, rounds):
    leave(federation, clients[0])
    assert federation.claim(rounds, clients[0], {"from": clients[0]}).return_value == 3 * GWEI


def test_a_live_round_pays_nothing_yet(federation, clients, rounds):
    open_round(federation)
    submit(federation, clients[0])
    with reverts("RoundIsLive", 4, TRAINING):
        federation.claim([1, 4], clients[0], {"from": clients[0]})
    end_training(federation)
    with reverts("RoundIsLive", 4, AGGREGATING):
        federation.claimFor(clients[0], [4], {"from": clients[1]})
    with reverts("RoundIsLive", 5, NONE):
        federation.claim([5], clients[0], {"from": clients[0]})


def test_only_who_submitted_can_claim(federation, clients, stranger, rounds):
    with reverts("NoUpdate", 2, stranger):
        federation.claim([2], stranger, {"from": stranger})
    with reverts("NoUpdate", 1, clients[4]):
        federation.claimFor(clients[4], [1], {"from": stranger})


def test_rewards_are_never_burnt(federation, clients, rounds):
    with reverts("ZeroValue", "to"):
        federation.claim([1], ZERO_ADDRESS, {"from": clients[0]})
    with reverts("ZeroValue", "to"):
        federation.claimFor(ZERO_ADDRESS, [1], {"from": clients[0]})
