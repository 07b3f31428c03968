"""Blocks and receipts of nodes whose answers have not the shape that they should: trouble in words, never a crash."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account

from processor.chain.blocks import hash_of_block, latest_block
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.errors import ChainError
from processor.types import Block
from tests.unit.chain.nodes import Scripted, http_node

HASH = "0x" + "ab" * 32
PARENT = "0x" + "cd" * 32
HEAD = {"number": "0x64", "hash": HASH, "timestamp": "0x10"}


def test_the_head_is_number_hash_and_time() -> None:
    with http_node(Scripted(says={"eth_getBlockByNumber": HEAD})) as node:
        web3 = connect(node.url)
        assert latest_block(web3) == Block(100, HASH, 16)
        assert hash_of_block(web3, 100) == HASH


def test_the_head_names_the_block_before_it_and_what_gas_burns() -> None:
    with http_node(Scripted(says={"eth_getBlockByNumber": HEAD})) as node:
        web3 = connect(node.url)
        assert (latest_block(web3).parent, latest_block(web3).base_fee) == (None, None)
        node.says = {"eth_getBlockByNumber": {**HEAD, "parentHash": PARENT, "baseFeePerGas": "0x7"}}
        assert (latest_block(web3).parent, latest_block(web3).base_fee) == (PARENT, 7)


def test_a_block_that_is_not_there_has_no_hash() -> None:
    with http_node(Scripted()) as node:
        web3 = connect(node.url)
        node.says = {"eth_getBlockByNumber": None}
        assert hash_of_block(web3, 100) is None


@pytest.mark.parametrize(
    "odd", [{"number": "0x64"}, {**HEAD, "hash": None}, {**HEAD, "timestamp": None}, "a block", ["a block"], 7]
)
def test_a_block_of_another_shape_is_trouble_with_the_node(odd: Any) -> None:
    with http_node(Scripted(says={"eth_getBlockByNumber": HEAD})) as node:
        web3 = connect(node.url)
        node.says = {"eth_getBlockByNumber": odd}
        with pytest.raises(ChainError):
            latest_block(web3)


@pytest.mark.parametrize("odd", [{"blockNumber": "0x1"}, "a receipt", {"blockNumber": "0x1", "blockHash": None}])
def test_a_receipt_of_another_shape_is_trouble_with_the_node(odd: Any) -> None:
    with http_node(Scripted(says={"eth_getBlockByNumber": HEAD})) as node:
        sender = Sender(connect(node.url), Account.create())
        node.says |= {"eth_getTransactionReceipt": odd}
        with pytest.raises(ChainError):
            sender.receipt(HASH)
