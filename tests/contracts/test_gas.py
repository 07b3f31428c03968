"""The ceilings of the design: native coin, existing accounts, not the first of a round."""

from __future__ import annotations

import brownie
import eth_account
import pytest
from eth_utils import keccak, to_checksum_address

from .helpers import (
    AGGREGATING,
    BASIS_POINTS,
    ETHER,
    HOUR,
    MAX_PERIOD,
    SECRET,
    ZERO_ADDRESS,
    Terms,
    deploy_federation,
    digest,
    end_training,
    finalize,
    open_round,
    owner_of,
    register,
    request,
    submit,
    terms_of,
)

REGISTER = 100_000
SUBMIT = 88_000
CLAIM = 47_000
CLAIM_FURTHER = 14_000
FINALIZE = 82_000
ADJUSTMENT = 8_000
TRANSACTION = 2**24  # the most gas of one transaction (EIP-7825)


def aggregating(federation, clients):
    round = open_round(federation)
    for client in clients:
        submit(federation, client, 1000)
    end_training(federation)
    return round


@pytest.fixture
def first_round(federation, clients):
    """What the first round writes into fresh storage is no longer fresh."""
    round = aggregating(federation, clients)
    finalize(federation)
    return round


def test_registering(federation, staked, stranger):
    assert register(federation, stranger).gas_used <= REGISTER
    assert register(staked, stranger).gas_used <= REGISTER


def test_submitting(federation, clients, first_round):
    open_round(federation)
    submit(federation, clients[0])
    assert submit(federation, clients[1], 99_999, samples=2**40).gas_used <= SUBMIT


def test_finalizing_costs_the_same_for_every_number_of_clients(federation, clients, first_round):
    used = []
    for count in (1, 5):
        aggregating(federation, clients[:count])
        used.append(finalize(federation).gas_used)
    assert max(used) <= FINALIZE
    assert max(used) - min(used) < 100  # zero bytes of calldata are cheaper than others


def test_every_adjustment(federation, clients, first_round):
    used = []
    for count in (0, 1, 5):
        aggregating(federation, clients)
        used.append(finalize(federation, dict.fromkeys(clients[:count], 999)).gas_used)
    none, one, five = used
    assert one - none <= ADJUSTMENT
    assert five - none <= 5 * ADJUSTMENT


def test_claiming(federation, clients, first_round):
    aggregating(federation, clients)
    finalize(federation)
    one = federation.claim([1], clients[0], {"from": clients[0]}).gas_used
    two = federation.claim([1, 2], clients[1], {"from": clients[1]}).gas_used
    assert one <= CLAIM
    assert two - one <= CLAIM_FURTHER


# ------------------------------------------------------------------------------------------- a thousand clients

DAY_MS = 24 * HOUR * 1000
CLAIMED_MS, CREDITED_MS, SLASH_RATE = 0x12345678, 0x11223344, 0x1387  # no zero byte, which would be cheaper


@pytest.fixture(scope="module")
def thousand():
    """Addresses as they are in life, in ascending order."""
    addresses = (to_checksum_address(keccak(n.to_bytes(4, "big"))[:20]) for n in range(1000))
    return sorted(addresses, key=str.lower)


def test_a_thousand_adjustments_fit_into_a_transaction(organization, thousand):
    federation = deploy_federation(organization)
    gas_used = gas_of_adjusting(federation, thousand, slash_rate=0)
    assert gas_used <= FINALIZE + 1000 * ADJUSTMENT < TRANSACTION


def test_a_thousand_adjustments_that_slash_fit_into_a_transaction(organization, thousand):
    federation = deploy_federation(organization, stake=ETHER, max_slash_rate=BASIS_POINTS)
    gas_used = gas_of_adjusting(federation, thousand, slash_rate=SLASH_RATE)
    assert gas_used < TRANSACTION
    left = ETHER - ETHER * SLASH_RATE // BASIS_POINTS
    page = federation.updates(1, 990, 1000)
    assert [(update["stake"], update["slashRate"]) for update in page] == [(left, SLASH_RATE)] * 10


def gas_of_adjusting(federation, addresses, slash_rate):
    """Of the finalization of a round in which everybody is lowered and slashed."""
    stake = terms_of(federation).stake
    for address in addresses:
        request("anvil_setBalance", address, hex(stake))
    as_clients(addresses, federation, federation.register.encode_input(), stake)
    round = open_round(
        federation, wait=4 * 24 * HOUR, training_period=MAX_PERIOD, max_updates=1000, max_compute_ms=DAY_MS * 30
    )
    assert federation.roundView(round, ZERO_ADDRESS)["selectedCount"] == 1000
    update = (round, Terms().sealing_key, digest("update"), CLAIMED_MS, 10)
    as_clients(addresses, federation, federation.submitUpdate.encode_input(*update))
    assert federation.phase(round) == AGGREGATING

    request("evm_setBlockGasLimit", hex(TRANSACTION))
    data = federation.finalizeRound.encode_input(
        round,
        1000,
        1000 * CLAIMED_MS,
        digest("model"),
        digest("report"),
        [(address, CREDITED_MS, slash_rate) for address in addresses],
        SECRET,
    )
    receipt = send(owner_of(federation), federation, data)
    assert receipt["status"] == 1
    assert federation.roundView(round, ZERO_ADDRESS)["creditedMs"] == 1000 * CREDITED_MS
    return receipt["gasUsed"]


def send(sender, to, data):
    """With all the gas that one transaction may have. (brownie 1.22 gives up on one that takes anvil long.)"""
    transaction = {"to": to.address, "data": data, "value": 0, "gas": TRANSACTION, "gasPrice": 0}
    transaction |= {"nonce": sender.nonce, "chainId": brownie.chain.id}
    signed = eth_account.Account.sign_transaction(transaction, sender.private_key)
    eth = brownie.web3.eth
    return eth.wait_for_transaction_receipt(eth.send_raw_transaction(signed.raw_transaction))


def as_clients(addresses, federation, data, value=0):
    """One transaction each from accounts whose keys nobody has, many to a block."""
    request("anvil_autoImpersonateAccount", True)
    request("evm_setAutomine", False)
    for position, address in enumerate(addresses, start=1):
        transaction = {"from": address, "to": federation.address, "data": data, "value": hex(value)}
        request("eth_sendTransaction", transaction | {"gas": hex(115_000), "gasPrice": "0x0"})
        if position % 100 == 0:
            request("evm_mine")
    request("evm_setAutomine", True)
    request("anvil_autoImpersonateAccount", False)
