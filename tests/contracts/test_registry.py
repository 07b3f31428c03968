"""Members stand in a dense array: when one leaves, the last takes its position."""

from __future__ import annotations

import pytest

from .helpers import ZERO_ADDRESS, abandon, client_of, leave, open_round, register, reverts, submit, view


def test_registration_gives_positions_in_order(empty_federation, clients):
    for index, client in enumerate(clients):
        transaction = register(empty_federation, client)
        assert transaction.return_value == index
        assert transaction.event("Registered") == {"client": client, "index": index}
    assert empty_federation.memberCount() == len(clients)
    assert empty_federation.members(0, 100) == clients


def test_a_member_cannot_register_twice(federation, clients):
    with reverts("AlreadyRegistered", clients[3], 3):
        register(federation, clients[3])


def test_the_last_member_takes_the_place_of_who_leaves(federation, clients):
    transaction = leave(federation, clients[1])
    left = {"client": clients[1], "index": 1, "moved": clients[4], "retired": False}
    assert transaction.event("Left") == left
    assert federation.members(0, 10) == [clients[0], clients[4], clients[2], clients[3]]
    assert federation.memberCount() == 4
    moved, gone = client_of(federation, clients[4]), client_of(federation, clients[1])
    assert (moved["member"], moved["index"]) == (True, 1)
    assert (gone["member"], gone["index"]) == (False, 0)


def test_where_the_last_leaves_nobody_moves(federation, clients):
    assert leave(federation, clients[4]).event("Left")["moved"] == ZERO_ADDRESS
    assert federation.members(0, 10) == clients[:4]


def test_all_members_leave_in_any_order(federation, clients):
    standing = list(clients)
    for client in (clients[2], clients[0], clients[4], clients[3], clients[1]):
        index = standing.index(client)
        standing[index] = standing[-1]
        standing.pop()
        assert leave(federation, client).event("Left")["index"] == index
        assert federation.members(0, 10) == standing
        assert [client_of(federation, each)["index"] for each in standing] == list(range(len(standing)))


def test_only_members_can_leave(federation, clients, stranger):
    with reverts("NotRegistered", stranger):
        leave(federation, stranger)
    leave(federation, clients[0])
    with reverts("NotRegistered", clients[0]):
        leave(federation, clients[0])


def test_whoever_comes_back_stands_last(federation, clients, stranger):
    leave(federation, clients[1])
    assert register(federation, stranger).return_value == 4
    assert register(federation, clients[1]).return_value == 5
    assert federation.members(0, 100) == [clients[0], clients[4], *clients[2:4], stranger, clients[1]]
    with reverts("AlreadyRegistered", clients[1], 5):
        register(federation, clients[1])


def test_members_come_in_pages(federation, clients):
    most = 2**256 - 1
    assert federation.members(0, 2) == clients[:2]
    assert federation.members(2, 2) == clients[2:4]
    assert federation.members(4, 2) == clients[4:]
    assert federation.members(3, most) == clients[3:]
    assert federation.members(0, 0) == []
    assert federation.members(5, 1) == []
    assert federation.members(most, most) == []


def test_a_closed_federation_takes_nobody_and_lets_everybody_go(federation, organization, clients, stranger):
    federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        register(federation, stranger)
    for client in clients:
        leave(federation, client)
    assert federation.members(0, 10) == []


# --------------------------------------------------------------------------------------- seats in the live round


def test_the_live_round_sees_everybody_where_they_stood_when_it_opened(federation, clients):
    """Two of five, and whoever they are moves to another position: the same two, and nobody instead of them."""
    open_round(federation, selection_rate=4000)
    selected = [client for client in clients if client_of(federation, client)["selected"]]
    others = [client for client in clients if client not in selected]
    for client in others:
        leave(federation, client)
    assert len(selected) == 2
    assert all(client_of(federation, client)["selected"] for client in selected)
    for client in selected:
        submit(federation, client)
    assert view(federation)["updateCount"] == 2


def test_who_left_with_an_update_keeps_a_seat_behind_the_members_until_the_next_opening(federation, clients, stranger):
    open_round(federation)
    for client in clients[:3]:
        submit(federation, client)
    leave(federation, clients[0])
    leave(federation, clients[2])
    assert (federation.memberCount(), federation.seatCount()) == (3, 5)
    register(federation, stranger)
    assert (federation.memberCount(), federation.seatCount()) == (4, 6)
    leave(federation, clients[3])
    assert (federation.memberCount(), federation.seatCount()) == (3, 5)
    assert sorted(update["client"] for update in federation.updates(0, 10)) == sorted(clients[:3])
    assert federation.members(0, 10) == [clients[4], clients[1], stranger]
    abandon(federation)
    open_round(federation)
    assert federation.seatCount() == federation.memberCount() == 3


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 1, 3)])
def test_everybody_leaves_a_live_round_with_their_update_and_no_line_is_lost(federation, clients, order):
    open_round(federation)
    for client in clients:
        submit(federation, client)
    for position in order:
        leave(federation, clients[position])
        assert sorted(update["client"] for update in federation.updates(0, 10)) == sorted(clients)
    assert (federation.memberCount(), federation.seatCount()) == (0, 5)
