"""What must not be concluded from one node alone is asked of every node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from processor.chain.endpoints import endpoint_at
from processor.chain.failover import Failover
from processor.chain.transactions import Sender
from processor.errors import ChainError
from tests.unit.chain.nodes import Scripted, http_node, unused_address

HASH, BLOCK = "0x" + "11" * 32, "0x" + "ab" * 32
RECEIPT = {"blockNumber": "0x7", "blockHash": BLOCK, "status": "0x1"}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def over(stack: ExitStack, *nodes: dict[str, Any] | str) -> Failover:
    """The nodes that say this, or are at this address, behind one provider."""
    urls = [node if isinstance(node, str) else stack.enter_context(http_node(Scripted(**node))).url for node in nodes]
    return Failover([endpoint_at(url, 2.0) for url in urls])


def receipt(provider: Failover) -> Any:
    return Sender(Web3(provider), Account.create()).receipt_anywhere([HASH])


def test_a_receipt_that_only_the_last_node_has_is_found_also_where_that_one_is_far_behind(stack: ExitStack) -> None:
    nothing = {"says": {"eth_getTransactionReceipt": None}}
    found = receipt(
        over(stack, nothing, unused_address(), {"head": 10, "says": {"eth_getTransactionReceipt": RECEIPT}})
    )
    assert (found.block, found.block_hash) == (7, BLOCK)


def test_a_node_whose_answer_has_another_shape_leaves_it_to_the_next(stack: ExitStack) -> None:
    odd: list[Any] = [{"blockNumber": 7}, "a receipt", {"code": -32000, "message": "busy"}]
    nodes = [{"says": {"eth_getTransactionReceipt": answer}} for answer in odd]
    assert receipt(over(stack, *nodes)) is None
    assert receipt(over(stack, *nodes, {"says": {"eth_getTransactionReceipt": RECEIPT}})) is not None


def test_a_node_of_another_chain_is_not_asked(stack: ExitStack) -> None:
    provider = over(stack, {"says": {"eth_getTransactionReceipt": None}}, unused_address())
    other = stack.enter_context(http_node(Scripted(chain=2, says={"eth_getTransactionReceipt": RECEIPT})))
    provider._nodes[1].endpoint = endpoint_at(other.url, 2.0)
    assert receipt(provider) is None and other.count("eth_getTransactionReceipt") == 0


def test_where_no_node_answers_nothing_is_concluded(stack: ExitStack) -> None:
    provider = over(stack, {})
    stack.close()
    with pytest.raises(ChainError):
        provider.everywhere("eth_getTransactionReceipt", [HASH])  # type: ignore[arg-type]
