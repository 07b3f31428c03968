"""What somebody might try, with a contract for a client where a person cannot."""

from __future__ import annotations

import brownie
import pytest

from .helpers import (
    GWEI,
    TRAINING,
    ZERO_ADDRESS,
    Terms,
    abandon,
    client_of,
    digest,
    end_training,
    finalize,
    open_round,
    request,
    reverts,
    submit,
)


@pytest.fixture
def receiver(Receiver, federation, stranger):
    """A contract that is the sixth member."""
    receiver = Receiver.deploy({"from": stranger})
    receiver.perform(federation, federation.register.encode_input(), {"from": stranger})
    return receiver


@pytest.fixture
def earned(federation, receiver, clients, stranger):
    """A round in which the contract is owed 1 gwei and a person 2."""
    round = open_round(federation)
    arguments = (round, Terms().sealing_key, digest("update"), 1000, 10)
    receiver.perform(federation, federation.submitUpdate.encode_input(*arguments), {"from": stranger})
    submit(federation, clients[0], 2000)
    end_training(federation)
    finalize(federation)
    return round


def test_a_reward_is_paid_once_to_a_client_that_claims_again_while_it_is_paid(federation, receiver, earned, stranger):
    claim = federation.claim.encode_input([earned], receiver)
    receiver.prepare(federation, claim, {"from": stranger})
    before = federation.balance()
    receiver.perform(federation, claim, {"from": stranger})
    assert receiver.succeeded(), "the second claim skips what is already claimed"
    assert before - federation.balance() == receiver.balance() == GWEI


def test_what_is_carried_is_withdrawn_once(Receiver, Federation, organization, stranger):
    owner = Receiver.deploy({"from": stranger})
    federation = Federation.deploy(owner, {"from": organization})
    federation.fund(5, {"from": stranger, "value": 5})
    owner.perform(federation, federation.close.encode_input(), {"from": stranger})
    withdraw = federation.withdraw.encode_input(owner)
    owner.prepare(federation, withdraw, {"from": stranger})
    request("anvil_setBalance", federation.address, hex(10))
    owner.perform(federation, withdraw, {"from": stranger})
    assert owner.succeeded()
    assert (owner.balance(), federation.balance()) == (5, 5)


def test_a_client_that_refuses_coins_harms_only_itself(federation, receiver, earned, clients, stranger):
    receiver.refuse(True, {"from": stranger})
    with reverts("Refused"):
        federation.claimFor(receiver, [earned], {"from": stranger})
    assert not client_of(federation, earned, receiver)["claimed"]
    assert federation.claim([earned], clients[0], {"from": clients[0]}).return_value == 2 * GWEI
    elsewhere = federation.claim.encode_input([earned], clients[1])
    before = clients[1].balance()
    receiver.perform(federation, elsewhere, {"from": stranger})
    assert clients[1].balance() - before == GWEI


def test_plain_coins_are_not_accepted(federation, stranger):
    with brownie.reverts():
        stranger.transfer(federation, 1)


def test_coins_forced_upon_the_contract_change_nothing(federation, clients, organization):
    request("anvil_setBalance", federation.address, hex(77))
    assert federation.carried() == 0
    round = open_round(federation, reward=5 * GWEI)
    assert federation.roundView(round, ZERO_ADDRESS)["pool"] == 5 * GWEI
    submit(federation, clients[0], 1000)
    abandon(federation)
    federation.close({"from": organization})
    assert federation.withdraw(organization, {"from": organization}).return_value == 4 * GWEI
    federation.claim([round], clients[0], {"from": clients[0]})
    assert federation.balance() == 77


def test_a_round_cannot_pay_out_the_money_of_another(federation, clients):
    """Every client of a poor round claims the most; the rich round before keeps its own."""
    open_round(federation, reward=1000 * GWEI)
    submit(federation, clients[0], 1000)
    end_training(federation)
    finalize(federation)
    federation_before = federation.balance()
    open_round(federation, reward=0, reward_rate_cap=2**128 - 1)
    for client in clients:
        submit(federation, client, 100_000)
    abandon(federation)
    for client in clients:
        federation.claim([2], client, {"from": client})
    assert federation_before - federation.balance() <= 999 * GWEI
    assert federation.claim([1], clients[0], {"from": clients[0]}).return_value == GWEI


def test_the_opener_cannot_take_a_client_out_of_a_live_round(federation, clients, organization):
    round = open_round(federation)
    with reverts("RoundIsLive", round, TRAINING):
        federation.close({"from": organization})
    submit(federation, clients[0])
    with reverts("NoUpdate", round, clients[1]):
        end_training(federation)
        finalize(federation, {clients[1]: 0})


def test_the_share_of_a_client_does_not_fall_below_its_floor_whatever_sybils_do(federation, clients):
    round = open_round(federation, max_updates=5, max_compute_ms=10_000, reward=20 * GWEI)
    floor = federation.roundView(round, ZERO_ADDRESS)["guaranteedRate"]
    submit(federation, clients[0], 5000)
    for sybil in clients[1:]:
        submit(federation, sybil, 10_000)
    end_training(federation)
    finalize(federation)
    assert client_of(federation, round, clients[0])["reward"] >= floor * 5 > 0
