"""Numbers of nodes are those that a chain counts to and a journal holds; everything else is trouble with the node."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.answers import hash_in, number
from processor.chain.fees import gas_price
from processor.chain.provider import connect
from processor.chain.transactions import Call, Sender, quote
from processor.errors import ChainError
from processor.types import Block
from tests.unit.chain.nodes import Scripted, http_node

ODD = ["0x8000000000000000", "0x" + "f" * 64, -1, 2**63, "latest", "", None, [], {}, 1.5, True]
ADDRESS = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"


@given(st.integers(0, 2**63 - 1))
def test_a_number_is_read_as_it_is_written(value: int) -> None:
    assert number(hex(value)) == number(value) == value


@pytest.mark.parametrize("odd", ODD)
def test_what_is_none_is_none(odd: Any) -> None:
    assert number(odd) is None


@pytest.mark.parametrize("odd", [None, 7, "0x12", "0x" + "g" * 64, b"\1" * 32])
def test_a_hash_has_32_bytes(odd: Any) -> None:
    assert hash_in(odd) is None
    assert hash_in("0x" + "AB" * 32) == "0x" + "ab" * 32


@pytest.mark.parametrize("odd", ODD[:2])
def test_a_node_that_names_no_such_number_is_to_blame(odd: Any) -> None:
    methods = ("eth_getTransactionCount", "eth_estimateGas", "eth_maxPriorityFeePerGas")
    with http_node(Scripted(says=dict.fromkeys(methods, odd) | {"eth_getBalance": "0x1"})) as node:
        web3 = connect(node.url)
        for ask in (
            lambda: Sender(web3, Account.create()).nonces(),
            lambda: quote(web3, ADDRESS, Call(ADDRESS, b"", 0, "fund")),
            lambda: gas_price(web3, Block(1, "0x1", 1, base_fee=7)),
        ):
            with pytest.raises(ChainError):
                ask()
