"""Whatever a node says of a transaction, it is believed where it has the right shape, and else the node is to blame."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from processor.chain.transactions import Sender
from processor.errors import KoinonError

HASH = "0x" + "11" * 32
FIELDS = [
    *("blockNumber", "blockHash", "status", "gasUsed", "effectiveGasPrice", "contractAddress", "logs", "hash"),
    *("parentHash", "transactions", "nonce", "from", "gasPrice", "topics", "data", "address", "code", "message"),
]
VALUES = st.sampled_from([None, True, 0, -1, 2**70, "", "0x", "0x1", "0x" + "f" * 99, HASH, "latest", 1.5]) | st.text()
SHAPES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=8),
    max_leaves=20,
)


class Says(JSONBaseProvider):
    """A node that gives one answer after the other, as results or as errors, whatever is asked."""

    def __init__(self, answers: list[tuple[bool, Any]]) -> None:
        super().__init__()
        self.answers = answers

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        failed, answer = self.answers.pop(0) if self.answers else (False, None)
        response: Any = {"jsonrpc": "2.0", "id": 1, "error" if failed else "result": answer}
        return response


@pytest.fixture(scope="module")
def sender() -> Sender:
    web3 = Web3(Says([(False, "0x1")]))
    web3.middleware_onion.remove("validation")
    return Sender(web3, Account.create())


@given(answers=st.lists(st.tuples(st.booleans(), SHAPES), max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_answer_raises_what_is_not_ours(sender: Sender, answers: list[tuple[bool, Any]]) -> None:
    for look in (
        partial(sender.receipt, HASH),
        partial(sender.knows, HASH),
        partial(sender.verdict, 3, [HASH]),
        partial(sender.hash_of, 7),
        partial(sender.broadcast, b"signed"),
        sender.nonces,
        sender.block,
    ):
        sender._web3.provider = Says(list(answers))
        with suppress(KoinonError):
            look()
