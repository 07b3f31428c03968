"""The ceilings of the design: native coin, existing accounts, not the first of a round."""

from __future__ import annotations

import brownie
import pytest
from eth_utils import keccak, to_checksum_address

from .helpers import (
    AGGREGATING,
    SECRET,
    ZERO_ADDRESS,
    Terms,
    digest,
    end_training,
    finalize,
    open_round,
    request,
    submit,
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


def test_registering(federation, stranger):
    assert federation.register({"from": stranger}).gas_used <= REGISTER


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


def test_a_thousand_adjustments_fit_into_a_transaction(empty_federation, organization):
    federation = empty_federation
    federation.setInitialModel(digest("initial model"), {"from": organization})
    addresses = sorted((to_checksum_address(keccak(n.to_bytes(4, "big"))[:20]) for n in range(1000)), key=str.lower)
    as_clients(addresses, federation, lambda _: federation.register.encode_input())
    round = open_round(federation, max_updates=1000, selection_rate=10_000)
    assert federation.roundView(round, ZERO_ADDRESS)["selectedCount"] == 1000
    arguments = (round, Terms().sealing_key, digest("update"), 1000, 10)
    as_clients(addresses, federation, lambda _: federation.submitUpdate.encode_input(*arguments))
    end_training(federation)
    assert federation.phase(round) == AGGREGATING
    view = federation.roundView(round, ZERO_ADDRESS)
    assert (view["updateCount"], view["claimedMs"]) == (1000, 1_000_000)

    data = federation.finalizeRound.encode_input(
        round,
        1000,
        1_000_000,
        digest("model"),
        digest("report"),
        [(address, 999) for address in addresses],
        SECRET,
    )
    transaction = {"from": str(organization), "to": federation.address, "data": data, "gas": hex(11_000_000)}
    sent = request("eth_sendTransaction", transaction | {"gasPrice": "0x0"})
    receipt = brownie.web3.eth.wait_for_transaction_receipt(sent)
    assert receipt["status"] == 1
    assert receipt["gasUsed"] <= FINALIZE + 1000 * ADJUSTMENT < TRANSACTION
    assert federation.roundView(round, ZERO_ADDRESS)["creditedMs"] == 999_000


def as_clients(addresses, federation, data):
    """One transaction each from accounts whose keys nobody has, many to a block."""
    request("anvil_autoImpersonateAccount", True)
    request("evm_setAutomine", False)
    for position, address in enumerate(addresses, start=1):
        transaction = {"from": address, "to": federation.address, "data": data(address), "gas": hex(115_000)}
        request("eth_sendTransaction", transaction | {"gasPrice": "0x0"})
        if position % 100 == 0:
            request("evm_mine")
    request("evm_setAutomine", True)
    request("anvil_autoImpersonateAccount", False)
