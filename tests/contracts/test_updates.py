from __future__ import annotations

import pytest

from .helpers import (
    ABANDONED,
    TRAINING,
    ZERO_ADDRESS,
    ZERO_CID,
    Terms,
    abandon,
    client_of,
    digest,
    leave,
    next_block_at,
    now,
    open_round,
    reverts,
    submit,
)


def test_an_update_is_recorded(federation, clients):
    round = open_round(federation)
    transaction = submit(federation, clients[2], 1234, samples=56, update_cid=digest("sealed update"))
    assert dict(transaction.events["UpdateSubmitted"]) == {
        "round": round,
        "client": clients[2],
        "updateCid": digest("sealed update"),
        "computeMs": 1234,
        "samples": 56,
    }
    client = client_of(federation, round, clients[2])
    assert client.dict() == {
        "client": clients[2],
        "member": True,
        "stake": 0,
        "index": 2,
        "selected": True,
        "updateCid": digest("sealed update"),
        "samples": 56,
        "computeMs": 1234,
        "creditedMs": 1234,
        "slashRate": 0,
        "reward": 0,
        "claimed": False,
    }
    view = federation.roundView(round, ZERO_ADDRESS)
    assert (view["updateCount"], view["claimedMs"], view["creditedMs"]) == (1, 1234, 1234)


def test_claimed_times_add_up(federation, clients):
    round = open_round(federation)
    for ms, client in enumerate(clients, start=1):
        submit(federation, client, ms)
    view = federation.roundView(round, ZERO_ADDRESS)
    assert (view["updateCount"], view["claimedMs"]) == (5, 15)


def test_a_client_submits_once_per_round(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    with reverts("AlreadySubmitted", round, clients[0]):
        submit(federation, clients[0], update_cid=digest("second thoughts"))
    abandon(federation)
    open_round(federation)
    submit(federation, clients[0])


def test_leaving_and_registering_again_gives_no_second_update(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    leave(federation, clients[0])
    federation.register({"from": clients[0]})
    with reverts("AlreadySubmitted", round, clients[0]):
        submit(federation, clients[0])


def test_an_update_for_another_sealing_key_is_refused(federation, clients):
    round = open_round(federation)
    other = digest("the key of a round that a reorganization removed")
    with reverts("WrongSealingKey", round, Terms().sealing_key, other):
        submit(federation, clients[0], sealing_key=other)


def test_an_update_of_a_stranger_is_refused(federation, stranger):
    open_round(federation)
    with reverts("NotRegistered", stranger):
        submit(federation, stranger)


def test_an_update_for_a_round_that_is_over_is_refused(federation, clients):
    round = open_round(federation)
    abandon(federation)
    open_round(federation)
    with reverts("WrongPhase", round, TRAINING, ABANDONED):
        submit(federation, clients[0], round=round)


def test_an_update_is_somewhere_and_of_something(federation, clients):
    open_round(federation)
    with reverts("ZeroValue", "updateCid"):
        submit(federation, clients[0], update_cid=ZERO_CID)
    with reverts("ZeroValue", "samples"):
        submit(federation, clients[0], samples=0)


def test_two_updates_may_have_the_same_cid(federation, clients):
    """Else a front-runner could block the victim; the seal makes the copy worthless."""
    round = open_round(federation)
    submit(federation, clients[1], update_cid=digest("copied"))
    submit(federation, clients[0], update_cid=digest("copied"))
    assert federation.roundView(round, ZERO_ADDRESS)["updateCount"] == 2


# ------------------------------------------------------------------------------------------------- compute time


def test_compute_time_is_at_most_what_the_round_allows(federation, clients):
    open_round(federation, max_compute_ms=5000)
    with reverts("ComputeTimeOutOfBounds", 1, 5000, 5001):
        submit(federation, clients[0], 5001)
    with reverts("ComputeTimeOutOfBounds", 1, 5000, 0):
        submit(federation, clients[0], 0)
    submit(federation, clients[0], 5000)
    submit(federation, clients[1], 1)


@pytest.mark.parametrize("elapsed", [1, 2, 10])
def test_compute_time_is_at_most_what_has_passed_since_the_opening(federation, clients, elapsed):
    round = open_round(federation, wait=0)
    opened = federation.roundView(round, ZERO_ADDRESS)["openedAt"]
    most = (elapsed + 1) * 1000
    next_block_at(opened + elapsed)
    with reverts("ComputeTimeOutOfBounds", 1, most, most + 1):
        submit(federation, clients[0], most + 1)


def test_work_of_less_than_a_second_passes(federation, clients):
    open_round(federation, wait=0)
    next_block_at(now() + 1)
    submit(federation, clients[0], 800)


# --------------------------------------------------------------------------------------------------------- views


def test_updates_come_in_the_order_of_indices_and_in_pages(federation, clients):
    round = open_round(federation)
    for client in (clients[4], clients[0], clients[3]):
        submit(federation, client)
    page = federation.updates(round, 0, 100)
    assert [(each["client"], each["index"]) for each in page] == [(clients[0], 0), (clients[3], 3), (clients[4], 4)]
    assert page[0] == client_of(federation, round, clients[0])
    assert [each["client"] for each in federation.updates(round, 1, 3)] == [clients[3]]
    assert federation.updates(round, 1, 2) == ()
    assert federation.updates(round, 5, 2**32 - 1) == ()
    assert federation.updates(round + 1, 0, 100) == ()


def test_an_update_outlives_the_membership(federation, clients):
    round = open_round(federation)
    submit(federation, clients[1])
    leave(federation, clients[1])
    (client,) = federation.updates(round, 0, 100)
    assert (client["client"], client["member"], client["index"], client["selected"]) == (clients[1], False, 1, True)


def test_an_update_of_a_client_that_came_back_is_listed_once(federation, clients):
    round = open_round(federation)
    submit(federation, clients[1])
    leave(federation, clients[1])
    federation.register({"from": clients[1]})
    (client,) = federation.updates(round, 0, 100)
    assert (client["client"], client["member"], client["index"], client["selected"]) == (clients[1], True, 1, True)
    assert federation.updates(round, 5, 1) == ()
    abandon(federation)
    assert client_of(federation, open_round(federation), clients[1])["index"] == 5
