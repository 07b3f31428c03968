"""Rewards accumulate: a claim pays everything that is owed, of whatever rounds."""

from __future__ import annotations

import pytest

from .helpers import (
    GWEI,
    ZERO_ADDRESS,
    abandon,
    client_of,
    end_training,
    finalize,
    leave,
    open_round,
    owed,
    play_round,
    register,
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


def test_a_client_claims_all_its_rounds_at_once(federation, clients, rounds):
    before = clients[1].balance()
    transaction = federation.claim(clients[1], {"from": clients[1]})
    assert transaction.return_value == clients[1].balance() - before == 6 * GWEI
    assert transaction.event("Paid") == {"client": clients[1], "to": clients[1], "reward": 6 * GWEI, "stake": 0}
    assert owed(federation, *clients[:2]) == [3 * GWEI, 0]


def test_a_reward_goes_where_its_client_says(federation, clients, stranger, rounds):
    before = stranger.balance()
    transaction = federation.claim(stranger, {"from": clients[0]})
    assert stranger.balance() - before == 3 * GWEI
    assert transaction.event("Paid")["to"] == stranger


def test_what_was_claimed_is_not_owed_again(federation, clients, rounds):
    federation.claim(clients[0], {"from": clients[0]})
    with reverts("NothingOwed", clients[0]):
        federation.claim(clients[0], {"from": clients[0]})
    with reverts("NothingOwed", clients[0]):
        federation.claimFor(clients[0], {"from": clients[1]})
    play_round(federation, {clients[0]: 5000})
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 5 * GWEI


def test_anybody_can_have_a_client_paid_at_its_own_address(federation, clients, stranger, rounds):
    before = clients[1].balance()
    transaction = federation.claimFor(clients[1], {"from": stranger})
    assert transaction.return_value == clients[1].balance() - before == 6 * GWEI
    assert transaction.event("Paid") == {"client": clients[1], "to": clients[1], "reward": 6 * GWEI, "stake": 0}


def test_a_claim_in_a_live_round_pays_what_was_before_and_keeps_the_live_one(federation, clients, rounds):
    """Before and after its update in the live round, which is then paid once."""
    open_round(federation)
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 3 * GWEI
    submit(federation, clients[0], 7000)
    submit(federation, clients[1], 5000)
    assert federation.claim(clients[1], {"from": clients[1]}).return_value == 6 * GWEI
    for client in clients[:2]:
        with reverts("NothingOwed", client):
            federation.claim(client, {"from": client})
    end_training(federation)
    with reverts("NothingOwed", clients[0]):
        federation.claim(clients[0], {"from": clients[0]})
    finalize(federation)
    assert owed(federation, *clients[:2]) == [7 * GWEI, 5 * GWEI]
    for client, amount in ((clients[0], 7 * GWEI), (clients[1], 5 * GWEI)):
        assert federation.claim(client, {"from": client}).return_value == amount


def test_an_adjustment_after_a_claim_in_the_live_round_counts(federation, clients, rounds):
    open_round(federation)
    submit(federation, clients[0], 7000)
    federation.claim(clients[0], {"from": clients[0]})
    end_training(federation)
    finalize(federation, {clients[0]: 2000})
    assert owed(federation, clients[0]) == 2 * GWEI


def test_claiming_between_submissions_changes_no_amount(federation, clients):
    paid = [0, 0]
    for number in range(1, 5):
        play_round(federation, dict.fromkeys(clients[:2], 1000 * number))
        paid[0] += federation.claim(clients[0], {"from": clients[0]}).return_value
    paid[1] += federation.claim(clients[1], {"from": clients[1]}).return_value
    assert paid == [10 * GWEI] * 2
    assert client_of(federation, clients[0])["owed"] == client_of(federation, clients[1])["owed"] == 0


def test_a_rejected_client_is_owed_nothing(federation, clients):
    play_round(federation, {clients[0]: 1000}, {clients[0]: 0})
    with reverts("NothingOwed", clients[0]):
        federation.claim(clients[0], {"from": clients[0]})


def test_a_client_that_leaves_takes_its_rewards_along(federation, clients, rounds):
    before = clients[0].balance()
    transaction = leave(federation, clients[0])
    assert transaction.return_value == clients[0].balance() - before == 3 * GWEI
    assert transaction.event("Paid") == {"client": clients[0], "to": clients[0], "reward": 3 * GWEI, "stake": 0}
    with reverts("NothingOwed", clients[0]):
        federation.claim(clients[0], {"from": clients[0]})


def test_a_client_that_left_the_live_round_may_claim_before_it_settles(federation, clients, rounds):
    open_round(federation)
    submit(federation, clients[0], 4000)
    assert leave(federation, clients[0]).return_value == 0
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 3 * GWEI
    end_training(federation)
    finalize(federation)
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 4 * GWEI
    assert leave(federation, clients[0]).return_value == 0


def test_a_client_that_comes_back_brings_what_it_was_owed(federation, clients):
    """It left with an update in the live round, and registers again without having settled."""
    open_round(federation)
    submit(federation, clients[0], 4000)
    leave(federation, clients[0])
    end_training(federation)
    finalize(federation)
    register(federation, clients[0])
    assert owed(federation, clients[0]) == 4 * GWEI
    play_round(federation, {clients[0]: 1000})
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 5 * GWEI


def test_a_live_round_owes_nothing_yet(federation, clients):
    open_round(federation)
    submit(federation, clients[0])
    end_training(federation)
    for call in (federation.claim, federation.claimFor):
        with reverts("NothingOwed", clients[0]):
            call(clients[0], {"from": clients[0]})


def test_only_who_is_owed_can_claim(federation, clients, stranger, rounds):
    with reverts("NothingOwed", stranger):
        federation.claim(stranger, {"from": stranger})
    with reverts("NothingOwed", clients[4]):
        federation.claimFor(clients[4], {"from": stranger})


def test_rewards_are_never_burnt(federation, clients, rounds):
    with reverts("ZeroValue", "to"):
        federation.claim(ZERO_ADDRESS, {"from": clients[0]})
    with reverts("ZeroValue", "to"):
        federation.claimFor(ZERO_ADDRESS, {"from": clients[0]})


def test_rewards_of_long_ago_are_owed_whoever_was_silent_since(federation, clients, rounds):
    for _ in range(5):
        play_round(federation, {clients[2]: 1000})
    assert owed(federation, *clients[:3]) == [3 * GWEI, 6 * GWEI, 5 * GWEI]
    submit_round = open_round(federation)
    submit(federation, clients[0], 1000)
    abandon(federation)
    assert submit_round == 9
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 4 * GWEI
