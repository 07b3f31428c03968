"""The end of a federation: at any time, also in a live round, which goes on."""

from __future__ import annotations

import pytest

from .chain import deploy
from .helpers import (
    AGGREGATING,
    GWEI,
    TRAINING,
    ZERO_ADDRESS,
    abandon,
    deploy_federation,
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


def withdraw(federation, organization, to=None):
    return federation.withdraw(to or organization, {"from": organization}).return_value


def test_closing_books_the_surplus_of_the_last_round_once(federation, organization, clients):
    play_round(federation, {clients[0]: 1000})
    assert federation.carried() == 999 * GWEI
    transaction = federation.close({"from": organization})
    assert transaction.all("Closed") == [{}]
    assert federation.closed()
    assert federation.carried() == 999 * GWEI


def test_what_is_carried_can_be_withdrawn_and_what_is_owed_cannot(federation, organization, clients, stranger):
    play_round(federation, {clients[0]: 1000, clients[1]: 2000}, {clients[1]: 1500})
    federation.close({"from": organization})
    before = stranger.balance()
    transaction = federation.withdraw(stranger, {"from": organization})
    assert transaction.return_value == stranger.balance() - before == 997 * GWEI
    assert transaction.event("Withdrawn") == {"to": stranger, "amount": 997 * GWEI}
    assert federation.carried() == 0
    assert withdraw(federation, organization) == 0
    assert federation.balance() == 3 * GWEI
    for client in clients[:2]:
        federation.claim(client, {"from": client})
    assert federation.balance() == GWEI // 2, "what was forfeited stays for ever"


def test_rewards_do_not_expire_after_closing(federation, organization, clients):
    open_round(federation)
    submit(federation, clients[0], 1000)
    abandon(federation)
    federation.close({"from": organization})
    withdraw(federation, organization)
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == GWEI


def test_a_federation_that_never_had_a_round_can_close(empty_federation, organization):
    empty_federation.fund(5, {"from": organization, "value": 5})
    empty_federation.close({"from": organization})
    assert withdraw(empty_federation, organization) == 5


def test_a_live_round_goes_on_and_what_it_leaves_is_withdrawn_afterwards(federation, organization, clients):
    """What was carried at the closing comes at once, and once more what it leaves: nothing twice."""
    open_round(federation)
    federation.fund(5, {"from": organization, "value": 5})
    federation.close({"from": organization})
    assert withdraw(federation, organization) == 5
    assert withdraw(federation, organization) == 0
    submit(federation, clients[0], 4000)
    assert federation.phase() == TRAINING
    end_training(federation)
    assert federation.phase() == AGGREGATING
    assert withdraw(federation, organization) == 0
    finalize(federation)
    assert federation.carried() == 996 * GWEI
    assert withdraw(federation, organization) == 996 * GWEI
    assert withdraw(federation, organization) == federation.carried() == 0
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 4 * GWEI
    assert federation.balance() == 0


@pytest.mark.parametrize("submits", [False, True])
def test_a_live_round_that_is_abandoned_after_closing_is_settled_too(federation, organization, clients, submits):
    open_round(federation)
    federation.close({"from": organization})
    if submits:
        submit(federation, clients[0], 4000)
    abandon(federation)
    assert withdraw(federation, organization) == (996 if submits else 1000) * GWEI
    assert owed(federation, clients[0]) == federation.balance() == (4 if submits else 0) * GWEI


def test_an_operator_that_was_removed_keeps_no_federation_from_closing(federation, organization, stranger):
    """Even where it opens rounds without a break: the last one ends by itself."""
    federation.setOperator(stranger, {"from": organization})
    open_round(federation, sender=stranger)
    federation.setOperator(ZERO_ADDRESS, {"from": organization})
    federation.close({"from": organization})
    abandon(federation)
    assert withdraw(federation, organization) == 1000 * GWEI


def test_closing_is_for_good(federation, organization, clients, stranger):
    federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        federation.fund(1, {"from": stranger, "value": 1})
    with reverts("FederationIsClosed"):
        register(federation, stranger)
    with reverts("FederationIsClosed"):
        open_round(federation)
    leave(federation, clients[0])


def test_an_open_federation_pays_out_nothing(federation, organization):
    federation.fund(5, {"from": organization, "value": 5})
    with reverts("FederationIsOpen"):
        withdraw(federation, organization)


def test_what_is_withdrawn_is_never_burnt(federation, organization):
    federation.close({"from": organization})
    with reverts("ZeroValue", "to"):
        withdraw(federation, organization, ZERO_ADDRESS)


def test_a_token_is_withdrawn_like_coins(organization, clients):
    token = deploy("Token", {"from": organization})
    federation = deploy_federation(organization, clients, asset=token)
    play_round(federation, {clients[0]: 1000})
    federation.close({"from": organization})
    assert withdraw(federation, organization) == token.balanceOf(organization) == 999 * GWEI
