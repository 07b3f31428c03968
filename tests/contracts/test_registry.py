from __future__ import annotations

from .helpers import ZERO_ADDRESS, leave, reverts


def test_registration_gives_indices_in_order(empty_federation, clients):
    for index, client in enumerate(clients):
        transaction = empty_federation.register({"from": client})
        assert transaction.return_value == index
        assert dict(transaction.events["Registered"]) == {"client": client, "index": index}
    assert empty_federation.memberCount() == len(clients)
    assert empty_federation.members(0, 100) == clients


def test_a_member_cannot_register_twice(federation, clients):
    with reverts("AlreadyRegistered", clients[3], 3):
        federation.register({"from": clients[3]})


def test_whoever_leaves_is_no_member_any_more(federation, clients):
    transaction = leave(federation, clients[1])
    assert dict(transaction.events["Left"]) == {"client": clients[1], "index": 1}
    assert federation.members(0, 3) == [clients[0], ZERO_ADDRESS, clients[2]]
    assert federation.memberCount() == 5
    view = federation.roundView(0, clients[1])["client"]
    assert (view["member"], view["index"]) == (False, 0)


def test_only_members_can_leave(federation, clients, stranger):
    with reverts("NotRegistered", stranger):
        leave(federation, stranger)
    leave(federation, clients[0])
    with reverts("NotRegistered", clients[0]):
        leave(federation, clients[0])


def test_an_index_is_never_given_to_anybody_else(federation, clients, stranger):
    leave(federation, clients[1])
    assert federation.register({"from": stranger}).return_value == 5
    assert federation.register({"from": clients[1]}).return_value == 6
    assert federation.members(0, 100) == [clients[0], ZERO_ADDRESS, *clients[2:], stranger, clients[1]]
    with reverts("AlreadyRegistered", clients[1], 6):
        federation.register({"from": clients[1]})


def test_members_come_in_pages(federation, clients):
    most = 2**32 - 1
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
        federation.register({"from": stranger})
    leave(federation, clients[0])
    assert federation.members(0, 1) == [ZERO_ADDRESS]
