"""A pause stops new rounds, and nothing else."""

from __future__ import annotations

import pytest

from .helpers import (
    FINALIZED,
    GWEI,
    STAKE,
    TRAINING,
    VOUCHER,
    ZERO_ADDRESS,
    abandon,
    deploy_federation,
    digest,
    end_training,
    finalize,
    leave,
    open_round,
    play_round,
    register,
    reverts,
    submit,
)


def pause(federation):
    federation.pause({"from": federation.owner()})


def test_a_paused_federation_opens_no_round(federation, organization, stranger):
    federation.setOperator(stranger, {"from": organization})
    transaction = federation.pause({"from": organization})
    assert transaction.event("PauseSet") == {"paused": True}
    assert federation.paused()
    for sender in (organization, stranger):
        with reverts("FederationIsPaused"):
            open_round(federation, reward=0, sender=sender)
    assert federation.roundCount() == 0


def test_rounds_go_on_after_a_pause(federation, organization):
    pause(federation)
    transaction = federation.unpause({"from": organization})
    assert transaction.event("PauseSet") == {"paused": False}
    assert not federation.paused()
    assert open_round(federation) == 1


def test_a_pause_begins_and_ends_once(federation, organization):
    with reverts("PauseIsAlready", False):
        federation.unpause({"from": organization})
    pause(federation)
    with reverts("PauseIsAlready", True):
        federation.pause({"from": organization})


@pytest.mark.parametrize("outcome", [finalize, abandon])
def test_a_round_that_is_open_goes_on_to_its_end_while_paused(federation, clients, stranger, outcome):
    open_round(federation)
    pause(federation)
    assert federation.phase() == TRAINING
    submit(federation, clients[0], 1000)
    submit(federation, clients[1], 2000)
    end_training(federation)
    outcome(federation)
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == GWEI
    assert federation.claimFor(clients[1], {"from": stranger}).return_value == 2 * GWEI


def test_clients_come_and_go_while_paused(staked, clients, stranger):
    pause(staked)
    register(staked, stranger)
    assert leave(staked, clients[0]).return_value == STAKE
    assert leave(staked, stranger).return_value == STAKE


def test_a_stake_is_freed_by_the_end_of_a_round_while_paused(staked, clients):
    open_round(staked)
    submit(staked, clients[0])
    pause(staked)
    assert leave(staked, clients[0]).return_value == 0
    abandon(staked)
    assert leave(staked, clients[0]).return_value == GWEI + STAKE


def test_vouchers_are_good_and_revocable_while_paused(organization, clients):
    federation = deploy_federation(organization, admission=VOUCHER)
    pause(federation)
    register(federation, clients[0])
    federation.revokeVoucher(7, {"from": organization})
    assert federation.members(0, 1) == [clients[0]]
    assert federation.voucherSpent(7)


def test_a_federation_is_funded_closed_and_emptied_while_paused(federation, organization, stranger):
    pause(federation)
    federation.fund(5, {"from": stranger, "value": 5})
    federation.close({"from": organization})
    assert federation.withdraw(organization, {"from": organization}).return_value == 5


def test_the_owner_keeps_its_powers_while_paused(federation, organization, stranger):
    pause(federation)
    federation.setInitialModel(digest("better model"), {"from": organization})
    federation.setOperator(stranger, {"from": organization})
    federation.transferOwnership(stranger, {"from": organization})
    federation.acceptOwnership({"from": stranger})
    assert (federation.owner(), federation.operator(), federation.paused()) == (stranger, ZERO_ADDRESS, True)
    federation.unpause({"from": stranger})
    assert open_round(federation, sender=stranger) == 1


def test_a_paused_federation_shows_what_it_knows(federation, clients):
    play_round(federation, {clients[0]: 1000})
    pause(federation)
    assert federation.phase() == FINALIZED
    assert [update["client"] for update in federation.updates(0, 5)] == [clients[0]]
