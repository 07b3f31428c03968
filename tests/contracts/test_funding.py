"""Anybody may add to what the next round carries, and nobody can make that round impossible by it."""

from __future__ import annotations

import pytest

from .helpers import GWEI, MOST, TRAINING, abandon, open_round, play_round, reverts, view


def fund(federation, payer, amount):
    return federation.fund(amount, {"from": payer, "value": amount})


def test_funds_are_carried_before_during_and_after_a_round(federation, clients, stranger):
    transaction = fund(federation, stranger, 3)
    assert transaction.event("Funded") == {"from": stranger, "amount": 3}
    assert federation.carried() == 3
    open_round(federation, reward=1000, reward_rate_cap=1)
    assert view(federation)["pool"] == 1003
    fund(federation, stranger, 4)
    assert federation.carried() == 4
    abandon(federation)
    assert federation.carried() == 1007
    fund(federation, clients[0], 5)
    assert federation.carried() == 1012
    open_round(federation, reward=1, reward_rate_cap=1)
    assert view(federation)["pool"] == 1013
    assert federation.carried() == 0


@pytest.mark.parametrize("sent", [0, 4, 6])
def test_funds_are_the_coins_sent(federation, stranger, sent):
    with reverts("WrongAmount", 5, sent):
        federation.fund(5, {"from": stranger, "value": sent})


def test_funding_nothing_is_a_mistake(federation, stranger):
    with reverts("ZeroValue", "amount"):
        fund(federation, stranger, 0)


# -------------------------------------------------------------------------------------------------------- bound


def test_a_pool_that_does_not_fit_is_refused(federation, rich):
    fund(federation, rich, MOST)
    with reverts("AmountTooLarge", MOST, MOST + 1):
        open_round(federation, reward=1)
    open_round(federation, reward=0)
    assert view(federation)["pool"] == MOST


def test_what_is_carried_fits_into_a_pool(federation, rich):
    fund(federation, rich, MOST - 5)
    with reverts("AmountTooLarge", MOST, MOST + 1):
        fund(federation, rich, 6)
    fund(federation, rich, 5)
    assert federation.carried() == MOST


def test_the_largest_gift_to_a_live_round_leaves_room_for_its_pool(federation, rich):
    open_round(federation, reward=700 * GWEI)
    with reverts("AmountTooLarge", MOST, MOST + 1):
        fund(federation, rich, MOST - 700 * GWEI + 1)
    fund(federation, rich, MOST - 700 * GWEI)
    abandon(federation)
    assert federation.carried() == MOST
    open_round(federation, reward=0)
    assert view(federation)["pool"] == MOST
    assert federation.phase() == TRAINING


def test_the_largest_gift_after_a_round_is_bounded_by_what_that_left(federation, rich, clients):
    """What it paid is gone, and takes no room any more."""
    play_round(federation, {clients[0]: 1000}, reward=700 * GWEI)
    carried = 699 * GWEI
    with reverts("AmountTooLarge", MOST, MOST + 1):
        fund(federation, rich, MOST - carried + 1)
    fund(federation, rich, MOST - carried)
    assert federation.carried() == MOST
    with reverts("AmountTooLarge", MOST, MOST + 1):
        open_round(federation, reward=1)
    open_round(federation, reward=0)
    assert view(federation)["pool"] == MOST


def test_many_gifts_are_bounded_as_one(federation, rich):
    open_round(federation, reward=0)
    for _ in range(3):
        fund(federation, rich, MOST // 4)
    abandon(federation)
    open_round(federation, reward=0)
    with reverts("AmountTooLarge", MOST, 3 * (MOST // 4) + MOST // 2):
        fund(federation, rich, MOST // 2)
