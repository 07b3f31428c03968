"""The blocks of a chain, as little of them as daemons need."""

from __future__ import annotations

from web3 import Web3
from web3.exceptions import BlockNotFound, Web3RPCError

from processor.chain.answers import has_not
from processor.chain.provider import node_errors
from processor.types import Block

_HASH = 66  # characters
_LARGEST = 2**63


def latest_block(web3: Web3) -> Block:
    """The head of the chain. Raises ChainError."""
    with node_errors("give its latest block"):
        latest = web3.eth.get_block("latest")
        parent, base_fee = latest.get("parentHash"), latest.get("baseFeePerGas")
        found = Block(
            number=int(latest["number"]),
            hash="0x" + latest["hash"].hex(),
            timestamp=int(latest["timestamp"]),
            parent=None if parent is None else "0x" + parent.hex(),
            base_fee=None if base_fee is None else int(base_fee),
        )
        numbers = (found.number, found.timestamp, found.base_fee or 0)
        if len(found.hash) != _HASH or not all(0 <= number < _LARGEST for number in numbers):
            raise ValueError("its numbers and its hash are no block's")
        return found


def hash_of_block(web3: Web3, number: int) -> str | None:
    """The hash of the chain's block of a number; None where the node has none. Raises ChainError."""
    with node_errors(f"give block {number}"):
        try:
            return "0x" + web3.eth.get_block(number)["hash"].hex()
        except BlockNotFound:
            return None
        except Web3RPCError as error:  # the words of some nodes for a block that they do not know yet
            if error.rpc_response is None or not has_not("eth_getBlockByNumber", error.rpc_response):
                raise
            return None
