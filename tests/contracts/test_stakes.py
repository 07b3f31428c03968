"""A stake is its client's: whoever leaves takes it along, with nobody's permission."""

from __future__ import annotations

import pytest

from .chain import deploy
from .helpers import (
    AGGREGATING,
    GWEI,
    MAX_SLASH_RATE,
    STAKE,
    ZERO_ADDRESS,
    abandon,
    client_of,
    deploy_federation,
    end_training,
    finalize,
    leave,
    now,
    open_round,
    play_round,
    register,
    reverts,
    stake_of,
    submit,
    view,
)

# -------------------------------------------------------------------------------------------------- registering


def test_registering_takes_the_stake(staked, clients, stranger):
    before = stranger.balance()
    held = staked.balance()
    register(staked, stranger)
    assert before - stranger.balance() == staked.balance() - held == stake_of(staked, stranger) == STAKE


@pytest.mark.parametrize("sent", [0, STAKE - 1, STAKE + 1])
def test_the_coins_sent_must_be_the_stake(staked, stranger, sent):
    with reverts("WrongAmount", STAKE, sent):
        staked.register({"from": stranger, "value": sent})
    assert staked.memberCount() == 5


def test_where_nothing_is_staked_no_coins_are_taken(federation, clients, stranger):
    with reverts("WrongAmount", 0, 1):
        federation.register({"from": stranger, "value": 1})
    register(federation, stranger)
    assert stake_of(federation, stranger) == federation.balance() == 0


def test_the_largest_stake_is_held_and_returned(organization, clients, rich):
    federation = deploy_federation(organization, stake=2**128 - 1)
    register(federation, rich)
    assert stake_of(federation, rich) == federation.balance() == 2**128 - 1
    assert leave(federation, rich).return_value == 2**128 - 1


def test_stakes_are_neither_carried_nor_in_a_pool_nor_withdrawn(staked, organization):
    open_round(staked, reward=700 * GWEI)
    assert view(staked)["pool"] == 700 * GWEI
    abandon(staked)
    assert staked.carried() == 700 * GWEI
    staked.close({"from": organization})
    assert staked.withdraw(organization, {"from": organization}).return_value == 700 * GWEI
    assert staked.balance() == 5 * STAKE


def test_everybody_sees_what_is_left_of_every_stake(staked, clients, stranger):
    play_round(staked, dict.fromkeys(clients[:3], 1000), {clients[1]: (0, MAX_SLASH_RATE)})
    leave(staked, clients[2])
    assert stake_of(staked, *clients, stranger) == [STAKE, STAKE // 2, 0, STAKE, STAKE, 0]
    assert [client_of(staked, client)["stake"] for client in clients] == [STAKE, STAKE // 2, 0, STAKE, STAKE]


# ------------------------------------------------------------------------------------------------------ leaving


def test_leaving_returns_the_stake_at_once(staked, clients):
    before = clients[1].balance()
    transaction = leave(staked, clients[1])
    assert transaction.return_value == clients[1].balance() - before == STAKE
    assert transaction.event("Left")["client"] == clients[1]
    assert transaction.event("Paid") == {"client": clients[1], "to": clients[1], "reward": 0, "stake": STAKE}
    assert stake_of(staked, clients[1]) == 0
    assert staked.balance() == 4 * STAKE


def test_a_stake_goes_where_its_client_says(staked, clients, stranger):
    before = stranger.balance()
    transaction = leave(staked, clients[0], to=stranger)
    assert stranger.balance() - before == STAKE
    assert transaction.event("Paid")["to"] == stranger


def test_a_stake_is_never_burnt(staked, clients):
    with reverts("ZeroValue", "to"):
        leave(staked, clients[0], to=ZERO_ADDRESS)
    assert stake_of(staked, clients[0]) == STAKE


def test_a_stake_is_returned_once(staked, clients):
    leave(staked, clients[0])
    with reverts("NotRegistered", clients[0]):
        leave(staked, clients[0])
    assert staked.balance() == 4 * STAKE


def test_where_nothing_is_staked_leaving_returns_nothing(federation, clients):
    transaction = leave(federation, clients[0])
    assert transaction.return_value == 0
    assert transaction.event("Paid") == {"client": clients[0], "to": clients[0], "reward": 0, "stake": 0}


def test_a_stake_cannot_be_taken_by_who_never_registered(staked, stranger):
    with reverts("NotRegistered", stranger):
        leave(staked, stranger)


def test_a_client_without_an_update_in_the_live_round_leaves_with_its_stake(staked, clients):
    open_round(staked)
    submit(staked, clients[0])
    assert leave(staked, clients[1]).return_value == STAKE


def test_an_update_in_a_round_that_is_over_holds_no_stake(staked, clients):
    play_round(staked, {clients[0]: 1000})
    open_round(staked)
    assert leave(staked, clients[0]).return_value == GWEI + STAKE


# ---------------------------------------------------------------------------------- an update in the live round


def test_an_update_in_the_live_round_holds_the_stake_and_not_the_client(staked, clients):
    open_round(staked)
    submit(staked, clients[0])
    transaction = leave(staked, clients[0])
    assert transaction.return_value == 0
    assert transaction.event("Left")["client"] == clients[0]
    assert transaction.all("Paid") == []
    client = client_of(staked, clients[0])
    assert (client["member"], client["stake"]) == (False, STAKE)


def test_a_held_stake_is_not_returned_before_the_round_is_over(staked, clients):
    round = open_round(staked)
    submit(staked, clients[0])
    leave(staked, clients[0])
    with reverts("UpdateIsLive", round):
        leave(staked, clients[0])
    end_training(staked)
    assert staked.phase() == AGGREGATING
    with reverts("UpdateIsLive", round):
        leave(staked, clients[0])


@pytest.mark.parametrize("outcome", [finalize, abandon])
def test_leaving_again_returns_a_held_stake(staked, clients, stranger, outcome):
    open_round(staked)
    submit(staked, clients[0])
    leave(staked, clients[0])
    end_training(staked)
    outcome(staked)
    before = stranger.balance()
    transaction = leave(staked, clients[0], to=stranger)
    assert transaction.return_value == stranger.balance() - before == GWEI + STAKE
    assert transaction.event("Paid") == {"client": clients[0], "to": stranger, "reward": GWEI, "stake": STAKE}
    assert transaction.all("Left") == [], "it has left before"
    with reverts("NotRegistered", clients[0]):
        leave(staked, clients[0])


def test_a_held_stake_is_returned_however_many_rounds_later(staked, clients):
    open_round(staked)
    submit(staked, clients[0])
    leave(staked, clients[0])
    abandon(staked)
    for _ in range(3):
        open_round(staked)
        abandon(staked)
    assert leave(staked, clients[0]).return_value == GWEI + STAKE


def test_where_nothing_is_staked_who_left_a_live_round_comes_again_for_its_reward(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0], 1000)
    leave(federation, clients[0])
    with reverts("UpdateIsLive", round):
        leave(federation, clients[0])
    abandon(federation)
    assert leave(federation, clients[0]).return_value == GWEI
    with reverts("NotRegistered", clients[0]):
        leave(federation, clients[0])


def test_a_client_that_left_a_live_round_may_claim_first_and_gets_its_stake_then(staked, clients):
    open_round(staked)
    submit(staked, clients[0], 1000)
    leave(staked, clients[0])
    end_training(staked)
    finalize(staked)
    assert staked.claim(clients[0], {"from": clients[0]}).return_value == GWEI
    assert leave(staked, clients[0]).return_value == STAKE


# ------------------------------------------------------------------------------------------- registering again


def test_whoever_registers_again_stakes_again(staked, clients):
    leave(staked, clients[0])
    transaction = register(staked, clients[0])
    assert transaction.return_value == 4
    assert stake_of(staked, clients[0]) == STAKE
    assert staked.balance() == 5 * STAKE


def test_nobody_registers_while_an_old_stake_is_held(staked, clients):
    round = open_round(staked)
    submit(staked, clients[0])
    leave(staked, clients[0])
    with reverts("UpdateIsLive", round):
        register(staked, clients[0])
    abandon(staked)
    with reverts("StakeNotReturned", clients[0], STAKE):
        register(staked, clients[0])
    leave(staked, clients[0])
    register(staked, clients[0])
    assert stake_of(staked, clients[0]) == STAKE


def test_a_member_cannot_stake_twice(staked, clients):
    with reverts("AlreadyRegistered", clients[0], 0):
        register(staked, clients[0])
    assert staked.balance() == 5 * STAKE


# ----------------------------------------------------------------------------------------------- what is slashed


def test_a_slashed_stake_returns_what_is_left(staked, clients):
    open_round(staked)
    submit(staked, clients[0])
    end_training(staked)
    finalize(staked, {clients[0]: (0, 2500)})
    transaction = leave(staked, clients[0])
    assert transaction.return_value == transaction.event("Paid")["stake"] == STAKE * 3 // 4


def test_a_held_stake_that_is_slashed_returns_what_is_left(staked, clients):
    open_round(staked)
    submit(staked, clients[0])
    leave(staked, clients[0])
    end_training(staked)
    finalize(staked, {clients[0]: (0, 2500)})
    with reverts("StakeNotReturned", clients[0], STAKE * 3 // 4):
        register(staked, clients[0])
    assert leave(staked, clients[0]).return_value == STAKE * 3 // 4


def test_of_a_stake_that_is_slashed_whole_nothing_is_left_to_return(organization, clients):
    federation = deploy_federation(organization, clients[:2], stake=STAKE, max_slash_rate=10_000)
    open_round(federation)
    for client in clients[:2]:
        submit(federation, client)
    leave(federation, clients[0])
    finalize(federation, dict.fromkeys(clients[:2], (0, 10_000)))
    assert client_of(federation, clients[1])["member"], "membership does not end with the stake"
    for client in clients[:2]:
        assert leave(federation, client).return_value == 0
        with reverts("NotRegistered", client):
            leave(federation, client)
        register(federation, client)
        assert stake_of(federation, client) == STAKE, "a new stake is a whole one"
    assert federation.balance() == 4 * STAKE + 1000 * GWEI


# ---------------------------------------------------------------------------------------------- nobody blocks it


def paused(federation, organization, thief):
    federation.pause({"from": organization})


def closed(federation, organization, thief):
    federation.close({"from": organization})
    federation.withdraw(organization, {"from": organization})


def gone(federation, organization, thief):
    """Nobody finalizes, and nobody ever does anything again."""
    abandon(federation)


def robbed_of_its_operator(federation, organization, thief):
    """Rounds without an end, opened by whoever has the key, none of them finalized."""
    federation.setOperator(thief, {"from": organization})
    for _ in range(3):
        abandon(federation)
        open_round(federation, reward=0, sender=thief)


def sold(federation, organization, thief):
    federation.transferOwnership(thief, {"from": organization})
    federation.acceptOwnership({"from": thief})
    federation.pause({"from": thief})


@pytest.mark.parametrize("disaster", [paused, closed, gone, robbed_of_its_operator, sold])
def test_every_client_leaves_with_its_stake_whatever_becomes_of_the_organization(
    staked, organization, clients, stranger, disaster
):
    open_round(staked)
    deadline = view(staked)["aggregationDeadline"]
    submit(staked, clients[0], 1000)
    disaster(staked, organization, stranger)
    for client in clients[1:]:
        assert leave(staked, client).return_value == STAKE
    if now() < deadline:
        leave(staked, clients[0])
        abandon(staked)
    before = clients[0].balance()
    leave(staked, clients[0])
    assert clients[0].balance() - before == STAKE + GWEI


def test_an_address_that_refuses_coins_does_not_hold_the_stake(staked, clients, stranger):
    receiver = deploy("Receiver", {"from": stranger})
    receiver.refuse(True, {"from": stranger})
    with reverts("Refused"):
        leave(staked, clients[0], to=receiver)
    assert client_of(staked, clients[0])["member"]
    assert leave(staked, clients[0], to=stranger).return_value == STAKE
