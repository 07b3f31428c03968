"""The operator's key lies on the machine of a daemon: it runs rounds, and rules over nothing else."""

from __future__ import annotations

import pytest

from .helpers import (
    FINALIZED,
    GWEI,
    ORGANIZATIONS_CALLS,
    OWNERS_CALLS,
    TRAINING,
    ZERO_ADDRESS,
    digest,
    end_training,
    finalize,
    model_of,
    open_round,
    reverts,
    submit,
    view,
)


@pytest.fixture
def operator(federation, organization, stranger):
    federation.setOperator(stranger, {"from": organization})
    return stranger


def test_a_federation_begins_without_an_operator(federation):
    assert federation.operator() == ZERO_ADDRESS


def test_the_owner_makes_an_operator(federation, organization, stranger):
    transaction = federation.setOperator(stranger, {"from": organization})
    assert federation.operator() == stranger
    assert transaction.event("OperatorSet") == {"operator": stranger}


def test_the_operator_runs_rounds(federation, operator, clients):
    federation.setInitialModel(digest("the operator's model"), {"from": operator})
    round = open_round(federation, reward=0, sender=operator)
    assert view(federation)["base"][0] == digest("the operator's model")
    submit(federation, clients[0])
    end_training(federation)
    finalize(federation, sender=operator)
    assert round == 1
    assert federation.phase() == FINALIZED
    assert open_round(federation, reward=0, sender=operator) == 2
    assert view(federation)["base"][0] == model_of(1)


def test_the_operator_escrows_the_reward_of_the_round_that_it_opens(federation, operator):
    before = operator.balance()
    open_round(federation, reward=500 * GWEI, sender=operator)
    assert before - operator.balance() == federation.balance() == 500 * GWEI


def test_the_owner_runs_rounds_as_the_operator_does(federation, operator, organization, clients):
    open_round(federation, sender=operator)
    submit(federation, clients[0])
    end_training(federation)
    finalize(federation, sender=organization)
    assert open_round(federation, sender=organization) == 2


@pytest.mark.parametrize("name", OWNERS_CALLS)
def test_the_operator_may_nothing_that_is_the_owners(federation, operator, organization, name):
    with reverts("NotTheOwner", organization, operator):
        getattr(federation, name)(*OWNERS_CALLS[name], {"from": operator})


@pytest.mark.parametrize("name", ORGANIZATIONS_CALLS)
def test_an_operator_that_was_removed_may_nothing(federation, operator, organization, name):
    transaction = federation.setOperator(ZERO_ADDRESS, {"from": organization})
    assert transaction.event("OperatorSet") == {"operator": ZERO_ADDRESS}
    with reverts("NeitherOwnerNorOperator", operator):
        getattr(federation, name)(*ORGANIZATIONS_CALLS[name], {"from": operator})


def test_an_operator_that_was_replaced_may_nothing(federation, operator, organization, clients):
    federation.setOperator(clients[0], {"from": organization})
    with reverts("NeitherOwnerNorOperator", operator):
        open_round(federation, reward=0, sender=operator)
    open_round(federation, reward=0, sender=clients[0])
    assert federation.phase() == TRAINING


def test_a_round_goes_on_after_its_operator_was_removed(federation, operator, organization, clients):
    open_round(federation, sender=operator)
    submit(federation, clients[0])
    federation.setOperator(ZERO_ADDRESS, {"from": organization})
    end_training(federation)
    with reverts("NeitherOwnerNorOperator", operator):
        finalize(federation, sender=operator)
    finalize(federation)
    assert federation.phase() == FINALIZED


def test_a_new_owner_begins_without_an_operator(federation, operator, organization, clients):
    federation.transferOwnership(clients[0], {"from": organization})
    assert federation.operator() == operator, "until the new owner accepts"
    transaction = federation.acceptOwnership({"from": clients[0]})
    assert transaction.event("OperatorSet") == {"operator": ZERO_ADDRESS}
    assert federation.operator() == ZERO_ADDRESS
    with reverts("NeitherOwnerNorOperator", operator):
        open_round(federation, reward=0, sender=operator)


def test_ownership_passes_silently_where_there_is_no_operator(federation, organization, stranger):
    federation.transferOwnership(stranger, {"from": organization})
    assert federation.acceptOwnership({"from": stranger}).all("OperatorSet") == []


def test_an_owner_can_be_its_own_operator(federation, organization):
    federation.setOperator(organization, {"from": organization})
    federation.setOperator(ZERO_ADDRESS, {"from": organization})
    assert open_round(federation) == 1
