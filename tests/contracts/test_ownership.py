from __future__ import annotations

import pytest

from .helpers import (
    ORGANIZATIONS_CALLS,
    OWNERS_CALLS,
    ZERO_ADDRESS,
    abandon,
    digest,
    leave,
    open_round,
    owed,
    register,
    reverts,
    submit,
)


@pytest.mark.parametrize("name", OWNERS_CALLS)
def test_only_the_owner_may(federation, organization, clients, name):
    with reverts("NotTheOwner", organization, clients[0]):
        getattr(federation, name)(*OWNERS_CALLS[name], {"from": clients[0]})


@pytest.mark.parametrize("name", ORGANIZATIONS_CALLS)
def test_only_the_organization_may(federation, clients, name):
    with reverts("NeitherOwnerNorOperator", clients[0]):
        getattr(federation, name)(*ORGANIZATIONS_CALLS[name], {"from": clients[0]})


def test_ownership_passes_in_two_steps(federation, organization, stranger):
    offered = federation.transferOwnership(stranger, {"from": organization})
    assert offered.event("OwnershipOffered") == {"owner": organization, "pending": stranger}
    assert (federation.owner(), federation.pendingOwner(), federation.ownerNonce()) == (organization, stranger, 0)
    with reverts("NotThePendingOwner", stranger, organization):
        federation.acceptOwnership({"from": organization})
    accepted = federation.acceptOwnership({"from": stranger})
    assert accepted.event("OwnershipTransferred") == {"former": organization, "owner": stranger, "ownerNonce": 1}
    assert (federation.owner(), federation.pendingOwner(), federation.ownerNonce()) == (stranger, ZERO_ADDRESS, 1)
    with reverts("NotTheOwner", stranger, organization):
        federation.close({"from": organization})
    federation.close({"from": stranger})


def test_ownership_passes_again_and_back(federation, organization, clients, stranger):
    """The first owner stands in the code, and is the owner only until it has handed on."""
    owner = organization
    for nonce, heir in enumerate((stranger, clients[0], organization, organization), start=1):
        federation.transferOwnership(heir, {"from": owner})
        federation.acceptOwnership({"from": heir})
        assert (federation.owner(), federation.ownerNonce()) == (heir, nonce)
        if heir != owner:
            with reverts("NotTheOwner", heir, owner):
                federation.pause({"from": owner})
        owner = heir


def test_a_new_owner_that_is_only_proposed_may_nothing(federation, organization, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    with reverts("NotTheOwner", organization, stranger):
        federation.pause({"from": stranger})
    with reverts("NeitherOwnerNorOperator", stranger):
        open_round(federation, reward=0, sender=stranger)


def test_a_proposed_owner_can_be_replaced_before_it_accepts(federation, organization, clients, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    federation.transferOwnership(clients[0], {"from": organization})
    with reverts("NotThePendingOwner", clients[0], stranger):
        federation.acceptOwnership({"from": stranger})
    federation.acceptOwnership({"from": clients[0]})
    assert (federation.owner(), federation.pendingOwner()) == (clients[0], ZERO_ADDRESS)


def test_an_offer_can_be_taken_back(federation, organization, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    federation.transferOwnership(ZERO_ADDRESS, {"from": organization})
    with reverts("NotThePendingOwner", ZERO_ADDRESS, stranger):
        federation.acceptOwnership({"from": stranger})
    assert federation.owner() == organization


def test_ownership_is_never_given_up(federation):
    """There is no way to own nothing: what is carried could never be withdrawn."""
    with pytest.raises(AttributeError):
        _ = federation.renounceOwnership


def test_nobody_accepts_what_was_not_offered(federation, stranger):
    with reverts("NotThePendingOwner", ZERO_ADDRESS, stranger):
        federation.acceptOwnership({"from": stranger})


def test_clients_are_paid_where_the_owner_does_nothing(federation, clients):
    open_round(federation)
    submit(federation, clients[0], 1000)
    abandon(federation)
    assert owed(federation, clients[0]) > 0
    assert federation.claim(clients[0], {"from": clients[0]}).return_value > 0


# ------------------------------------------------------------------------------------------------------ posting


def test_members_and_the_organization_say_something_to_all(federation, organization, clients, stranger):
    federation.setOperator(stranger, {"from": organization})
    open_round(federation)
    for place, somebody in enumerate((clients[0], clients[4], organization, stranger)):
        topic, cid = digest(f"topic {place}"), digest(f"said by {somebody}")
        sent = federation.post(topic, cid, {"from": somebody})
        assert sent.event("Posted") == {"round": 1, "from": somebody, "topic": topic, "cid": cid}


def test_nobody_else_says_anything(federation, organization, clients, stranger):
    for _ in ("never a member", "no member any more"):
        with reverts("NeitherMemberNorOrganization", stranger):
            federation.post(digest("topic"), digest("noise"), {"from": stranger})
        register(federation, stranger)
        federation.post(digest("topic"), digest("speech"), {"from": stranger})
        leave(federation, stranger)
    with reverts("NeitherMemberNorOrganization", stranger):
        federation.post(digest("topic"), digest("noise"), {"from": stranger})
