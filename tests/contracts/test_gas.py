"""The ceilings of the design, as the node counts: native coin, existing accounts, not the first round.

What the same will cost after the next fork is in `make gas`: no node executes that yet.
"""

from __future__ import annotations

import pytest
from eth_utils import keccak, to_checksum_address

from .chain import CHAIN
from .helpers import (
    AGGREGATING,
    BASIS_POINTS,
    ETHER,
    GWEI,
    HOUR,
    MAX_PERIOD,
    FederationTerms,
    Makers,
    abandon,
    create_federation,
    decline,
    deploy_federation,
    end_training,
    finalize,
    key_of,
    leave,
    mine_at,
    now,
    open_round,
    person,
    play_round,
    register,
    register_signed,
    relay,
    request,
    sign_update,
    stake_of,
    submit,
    update_of,
    view,
)

MS = 99_999
FINALIZE = 93_000
ADJUSTMENT = 9_500
TRANSACTION = 2**24  # the most gas of one transaction (EIP-7825)


@pytest.fixture(scope="module")
def staked(organization, clients):
    """With stakes, and after two rounds of everybody: what those write into fresh storage is no longer fresh."""
    federation = deploy_federation(organization, clients, stake=ETHER, max_slash_rate=BASIS_POINTS)
    play(federation, clients)
    play(federation, clients)
    return federation


def play(federation, clients, adjustments=None):
    return play_round(federation, dict.fromkeys(clients, MS), adjustments)


def test_creating(factory, organization):
    create_federation(factory, organization)
    made = Makers.factory.createFederation(FederationTerms(stake=ETHER), 2**63 + 1, {"from": organization})
    assert made.gas_used <= 90_000


def test_registering(staked, stranger):
    assert register(staked, stranger).gas_used <= 84_000


def test_registering_through_a_relay(federation, clients, stranger, relayer):
    play(federation, clients)
    assert register_signed(federation, stranger, relayer).gas_used <= 90_000


def test_leaving_with_rewards_that_are_not_booked(staked, clients):
    assert leave(staked, clients[1]).gas_used <= 70_000


def test_submitting(staked, clients, stranger):
    register(staked, stranger)
    open_round(staked)
    submit(staked, clients[0], MS)
    assert submit(staked, stranger, MS).gas_used <= 70_000
    assert submit(staked, clients[1], MS).gas_used <= 56_000
    assert decline(staked, clients[2]).gas_used <= 56_000


def test_submitting_after_a_slash(staked, clients):
    play(staked, clients, {clients[0]: (MS - 1, 2345)})
    open_round(staked)
    assert submit(staked, clients[0], MS).gas_used <= 82_000


def test_submitting_for_fifty(staked, relayer):
    fifty = [person(f"one of fifty, {number}") for number in range(50)]
    for client in fifty:
        register(staked, client)
    for ceiling in (40_000, 24_000):
        open_round(staked, max_updates=100, reward=10_000 * GWEI)
        batch = relay(staked, [sign_update(staked, client, MS) for client in fifty], relayer)
        assert batch.return_value == 50
        assert batch.gas_used <= 50 * ceiling
        end_training(staked)
        finalize(staked)


def test_opening(staked, clients):
    assert gas_of_opening(staked) <= 85_000
    mine_at(now() + 200)
    submit(staked, clients[0], MS)
    abandon(staked)
    assert gas_of_opening(staked) <= 113_000


def gas_of_opening(federation):
    """The opening is alone in its block."""
    open_round(federation, wait=0)
    return int(request("eth_getBlockByNumber", "latest", False)["gasUsed"], 16)


def test_finalizing_costs_the_same_for_every_number_of_clients(staked, clients):
    used = []
    for count in (1, 5):
        open_round(staked)
        for client in clients[:count]:
            submit(staked, client, MS)
        end_training(staked)
        used.append(finalize(staked).gas_used)
    assert max(used) <= FINALIZE
    assert max(used) - min(used) < 100  # zero bytes of calldata are cheaper than others


def test_every_adjustment_slashed_or_not(staked, clients):
    used = []
    for count, rate in ((0, 0), (5, 0), (5, 2345)):
        open_round(staked)
        for client in clients:
            submit(staked, client, MS)
        end_training(staked)
        used.append(finalize(staked, dict.fromkeys(clients[:count], (MS - 1, rate))).gas_used)
    none, five, slashed = used
    assert five - none <= 5 * ADJUSTMENT
    assert slashed - none <= 5 * ADJUSTMENT


def test_claiming_ten_rounds(staked, clients):
    for _ in range(8):
        play(staked, clients)
    assert staked.claim(clients[0], {"from": clients[0]}).gas_used <= 51_000


# ------------------------------------------------------------------------------------------- a thousand clients

DAY_MS = 24 * HOUR * 1000
CLAIMED_MS, CREDITED_MS, SLASH_RATE = 0x12345678, 0x11223344, 0x1387  # no zero byte, which would be cheaper


def test_a_thousand_adjustments_that_slash_fit_into_a_transaction(organization):
    """Addresses as they are in life, in ascending order."""
    federation = deploy_federation(organization, stake=ETHER, max_slash_rate=BASIS_POINTS)
    thousand = sorted((to_checksum_address(keccak(n.to_bytes(4, "big"))[:20]) for n in range(1000)), key=str.lower)
    for client in thousand:
        CHAIN.set_balance(client, 2 * ETHER)
    as_clients(federation, {client: federation.register.encode_input() for client in thousand}, ETHER)
    round = open_round(
        federation,
        wait=4 * 24 * HOUR,
        training_period=MAX_PERIOD,
        max_updates=1000,
        max_compute_ms=DAY_MS * 30,
        reward=3 * 10**6 * 1000 * GWEI,
    )
    assert view(federation)["selectedCount"] == 1000
    updates = {
        client: federation.submitUpdate.encode_input(round, key_of(round), update_of(round, client), CLAIMED_MS)
        for client in thousand
    }
    as_clients(federation, updates)
    assert federation.phase() == AGGREGATING

    finalized = finalize(federation, triples=[(client, CREDITED_MS, SLASH_RATE) for client in thousand])
    assert finalized.gas_used <= FINALIZE + 1000 * ADJUSTMENT < TRANSACTION
    assert view(federation)["creditedMs"] == 1000 * CREDITED_MS
    left = ETHER - ETHER * SLASH_RATE // BASIS_POINTS
    assert stake_of(federation, *thousand[::100]) == [left] * 10


def as_clients(federation, inputs, value=0):
    """One transaction each, many to a block."""
    request("evm_setAutomine", False)
    for position, (client, data) in enumerate(inputs.items(), start=1):
        transaction = {"from": client, "to": str(federation), "data": data, "value": hex(value)}
        request("eth_sendTransaction", transaction | {"gas": hex(105_000), "gasPrice": "0x0"})
        if position % 100 == 0:
            request("evm_mine")
    request("evm_setAutomine", True)
