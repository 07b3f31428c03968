from __future__ import annotations

import pytest

from .helpers import SECRET, ZERO_ADDRESS, Terms, abandon, digest, open_round, reverts, submit

OWNERS_CALLS = {
    "setInitialModel": [digest("model")],
    "openRound": [Terms(reward=0)],
    "finalizeRound": [1, 0, 0, digest("model"), digest("report"), [], SECRET],
    "close": [],
    "withdraw": ["0x" + "1" * 40],
    "transferOwnership": ["0x" + "1" * 40],
    "renounceOwnership": [],
}


@pytest.mark.parametrize("name", OWNERS_CALLS)
def test_only_the_owner_may(federation, clients, name):
    with reverts("OwnableUnauthorizedAccount", clients[0]):
        getattr(federation, name)(*OWNERS_CALLS[name], {"from": clients[0]})


def test_ownership_passes_in_two_steps(federation, organization, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    assert (federation.owner(), federation.pendingOwner()) == (organization, stranger)
    with reverts("OwnableUnauthorizedAccount", organization):
        federation.acceptOwnership({"from": organization})
    federation.acceptOwnership({"from": stranger})
    assert federation.owner() == stranger
    with reverts("OwnableUnauthorizedAccount", organization):
        federation.close({"from": organization})


def test_a_federation_has_an_owner_from_the_start(Federation, organization):
    with reverts("OwnableInvalidOwner", ZERO_ADDRESS):
        Federation.deploy(ZERO_ADDRESS, {"from": organization})


def test_ownership_is_never_given_up(federation, organization):
    with reverts("OwnerIsNeeded"):
        federation.renounceOwnership({"from": organization})


def test_clients_are_paid_where_the_owner_does_nothing(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0], 1000)
    abandon(federation)
    assert federation.claim([round], clients[0], {"from": clients[0]}).return_value > 0
