from __future__ import annotations

from .helpers import (
    AGGREGATING,
    GWEI,
    TRAINING,
    ZERO_ADDRESS,
    abandon,
    end_training,
    finalize,
    open_round,
    reverts,
    submit,
)


def test_closing_books_the_surplus_of_the_last_round_once(federation, organization, clients):
    open_round(federation, reward=100 * GWEI)
    submit(federation, clients[0], 1000)
    end_training(federation)
    finalize(federation)
    assert federation.carried() == 99 * GWEI
    transaction = federation.close({"from": organization})
    assert dict(transaction.events["Closed"]) == {"carried": 99 * GWEI}
    assert federation.closed()
    assert federation.carried() == 99 * GWEI


def test_what_is_carried_can_be_withdrawn_and_what_is_owed_cannot(federation, organization, clients, stranger):
    open_round(federation, reward=100 * GWEI)
    submit(federation, clients[0], 1000)
    submit(federation, clients[1], 2000)
    end_training(federation)
    finalize(federation, {clients[1]: 1500})
    federation.close({"from": organization})
    before = stranger.balance()
    transaction = federation.withdraw(stranger, {"from": organization})
    assert transaction.return_value == stranger.balance() - before == 97 * GWEI
    assert dict(transaction.events["Withdrawn"]) == {"to": stranger, "amount": 97 * GWEI}
    assert federation.carried() == 0
    assert federation.withdraw(stranger, {"from": organization}).return_value == 0
    assert federation.balance() == 3 * GWEI
    for client in clients[:2]:
        federation.claim([1], client, {"from": client})
    assert federation.balance() == GWEI // 2, "what was forfeited stays for ever"


def test_rewards_do_not_expire_after_closing(federation, organization, clients):
    open_round(federation)
    submit(federation, clients[0], 1000)
    abandon(federation)
    federation.close({"from": organization})
    federation.withdraw(organization, {"from": organization})
    assert federation.claim([1], clients[0], {"from": clients[0]}).return_value == GWEI


def test_a_federation_that_never_had_a_round_can_close(empty_federation, organization):
    empty_federation.fund(5, {"from": organization, "value": 5})
    empty_federation.close({"from": organization})
    assert empty_federation.withdraw(organization, {"from": organization}).return_value == 5


def test_a_live_round_must_end_first(federation, organization, clients):
    open_round(federation)
    with reverts("RoundIsLive", 1, TRAINING):
        federation.close({"from": organization})
    submit(federation, clients[0])
    end_training(federation)
    with reverts("RoundIsLive", 1, AGGREGATING):
        federation.close({"from": organization})
    abandon(federation)
    federation.close({"from": organization})


def test_closing_is_for_good(federation, organization, stranger):
    federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        federation.fund(1, {"from": stranger, "value": 1})


def test_an_open_federation_pays_out_nothing(federation, organization):
    federation.fund(5, {"from": organization, "value": 5})
    with reverts("FederationIsOpen"):
        federation.withdraw(organization, {"from": organization})


def test_what_is_withdrawn_is_never_burnt(federation, organization):
    federation.close({"from": organization})
    with reverts("ZeroValue", "to"):
        federation.withdraw(ZERO_ADDRESS, {"from": organization})
