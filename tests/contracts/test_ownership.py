from __future__ import annotations

import pytest

from .helpers import (
    ORGANIZATIONS_CALLS,
    OWNERS_CALLS,
    ZERO_ADDRESS,
    FederationTerms,
    abandon,
    open_round,
    reverts,
    submit,
)


@pytest.mark.parametrize("name", OWNERS_CALLS)
def test_only_the_owner_may(federation, clients, name):
    with reverts("OwnableUnauthorizedAccount", clients[0]):
        getattr(federation, name)(*OWNERS_CALLS[name], {"from": clients[0]})


@pytest.mark.parametrize("name", ORGANIZATIONS_CALLS)
def test_only_the_organization_may(federation, clients, name):
    with reverts("NeitherOwnerNorOperator", clients[0]):
        getattr(federation, name)(*ORGANIZATIONS_CALLS[name], {"from": clients[0]})


def test_ownership_passes_in_two_steps(federation, organization, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    assert (federation.owner(), federation.pendingOwner()) == (organization, stranger)
    with reverts("OwnableUnauthorizedAccount", organization):
        federation.acceptOwnership({"from": organization})
    federation.acceptOwnership({"from": stranger})
    assert federation.owner() == stranger
    with reverts("OwnableUnauthorizedAccount", organization):
        federation.close({"from": organization})


def test_a_new_owner_that_is_only_proposed_may_nothing(federation, organization, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    with reverts("OwnableUnauthorizedAccount", stranger):
        federation.pause({"from": stranger})
    with reverts("NeitherOwnerNorOperator", stranger):
        open_round(federation, reward=0, sender=stranger)


def test_a_proposed_owner_can_be_replaced_before_it_accepts(federation, organization, clients, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    federation.transferOwnership(clients[0], {"from": organization})
    with reverts("OwnableUnauthorizedAccount", stranger):
        federation.acceptOwnership({"from": stranger})
    federation.acceptOwnership({"from": clients[0]})
    assert (federation.owner(), federation.pendingOwner()) == (clients[0], ZERO_ADDRESS)


def test_a_federation_has_an_owner_from_the_start(Federation, organization):
    with reverts("OwnableInvalidOwner", ZERO_ADDRESS):
        Federation.deploy(ZERO_ADDRESS, FederationTerms(), {"from": organization})


def test_ownership_is_never_given_up(federation, organization):
    with reverts("OwnerIsNeeded"):
        federation.renounceOwnership({"from": organization})


def test_clients_are_paid_where_the_owner_does_nothing(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0], 1000)
    abandon(federation)
    assert federation.claim([round], clients[0], {"from": clients[0]}).return_value > 0
