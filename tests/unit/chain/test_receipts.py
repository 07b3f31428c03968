"""Receipts as chains give them: only what decides something has to be there."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from web3 import Web3
from web3.utils.address import get_create_address

from processor.chain.provider import connect
from processor.chain.receipts import receipt_in, receipt_of
from processor.chain.transactions import Call, Sender
from processor.errors import ChainError
from tests.unit.chain.nodes import Scripted, http_node

HASH, BLOCK = "0x" + "11" * 32, "0x" + "ab" * 32
ADDRESS = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
LOG = {"address": ADDRESS.lower(), "topics": [HASH], "data": "0x01", "logIndex": "0x0"}
FULL = {
    "blockNumber": "0x7",
    "blockHash": BLOCK,
    "status": "0x1",
    "gasUsed": "0x5208",
    "effectiveGasPrice": "0x2",
    "contractAddress": ADDRESS.lower(),
    "logs": [LOG],
    "logsBloom": "0x" + "00" * 256,
    "cumulativeGasUsed": "0x5208",
    "type": "0x2",
}
DECIDES = ("blockNumber", "blockHash", "status")


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in FULL.items() if name not in names}


def test_a_receipt_says_where_a_transaction_is_whether_it_succeeded_and_what_it_cost() -> None:
    receipt = receipt_in(HASH, FULL)
    assert receipt is not None
    assert (receipt.block, receipt.block_hash, receipt.succeeded) == (7, BLOCK, True)
    assert (receipt.gas_used, receipt.fee_wei, receipt.contract) == (21000, 42000, ADDRESS)
    assert receipt.logs[0]["address"] == ADDRESS and bytes(receipt.logs[0]["data"]) == b"\1"


@pytest.mark.parametrize("name", [name for name in FULL if name not in DECIDES])
@pytest.mark.parametrize("null", [True, False])
def test_what_decides_nothing_may_be_null_or_absent(name: str, null: bool) -> None:
    answer = {**FULL, name: None} if null else without(name)
    with http_node(Scripted(says={"eth_getTransactionReceipt": answer, "eth_getTransactionByHash": None})) as node:
        receipt = receipt_of(connect(node.url), HASH)
    assert receipt is not None and (receipt.block, receipt.succeeded) == (7, True)
    assert (receipt.fee_wei is None) == (name in ("gasUsed", "effectiveGasPrice"))


def test_the_fee_is_taken_from_the_transaction_where_its_receipt_does_not_name_the_price() -> None:
    says = {"eth_getTransactionReceipt": without("effectiveGasPrice"), "eth_getTransactionByHash": {"gasPrice": "0x3"}}
    with http_node(Scripted(says=says)) as node:
        receipt = receipt_of(connect(node.url), HASH)
    assert receipt is not None and receipt.fee_wei == 63000


@pytest.mark.parametrize("name", DECIDES)
def test_without_what_decides_there_is_none_and_the_node_is_to_blame(name: str) -> None:
    for answer in (without(name), {**FULL, name: None}, {**FULL, name: "odd"}):
        with pytest.raises(ChainError, match="ask another node"):
            receipt_in(HASH, answer)


@pytest.mark.parametrize("answer", [None, {"blockNumber": None, "blockHash": None, "status": None}])
def test_a_transaction_that_waits_has_no_receipt(answer: Any) -> None:
    assert receipt_in(HASH, answer) is None


def test_a_node_that_still_indexes_its_transactions_has_none_yet() -> None:
    busy = {"code": -32000, "message": "transaction indexing is in progress"}
    with http_node(Scripted(says={"eth_getTransactionReceipt": busy})) as node:
        assert receipt_of(connect(node.url), HASH) is None


def test_who_deploys_knows_the_address_that_the_receipt_does_not_name() -> None:
    account = Account.create()
    head = {"number": "0x64", "hash": BLOCK, "timestamp": "0x10", "baseFeePerGas": "0x1"}
    says = {
        "eth_getBlockByNumber": head,
        "eth_getTransactionCount": "0x3",
        "eth_getBalance": hex(10**18),
        "eth_estimateGas": "0x5208",
        "eth_maxPriorityFeePerGas": "0x1",
        "eth_sendRawTransaction": HASH,
        "eth_getTransactionReceipt": without("contractAddress"),
    }
    with http_node(Scripted(says=says)) as node:
        receipt = Sender(connect(node.url), account).send(Call(None, b"\1", 0, "deploy"))
    assert receipt.contract == get_create_address(Web3.to_checksum_address(account.address), 3)  # type: ignore[arg-type]
