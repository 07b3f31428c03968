"""The blocks of a chain, as little of them as daemons need."""

from __future__ import annotations

from web3 import Web3
from web3.exceptions import BlockNotFound

from processor.chain.provider import node_errors
from processor.types import Block


def latest_block(web3: Web3) -> Block:
    """The head of the chain. Raises ChainError."""
    with node_errors("give its latest block"):
        latest = web3.eth.get_block("latest")
        parent, base_fee = latest.get("parentHash"), latest.get("baseFeePerGas")
        return Block(
            number=int(latest["number"]),
            hash="0x" + latest["hash"].hex(),
            timestamp=int(latest["timestamp"]),
            parent=None if parent is None else "0x" + parent.hex(),
            base_fee=None if base_fee is None else int(base_fee),
        )


def hash_of_block(web3: Web3, number: int) -> str | None:
    """The hash of the chain's block of a number; None where it has none. Raises ChainError."""
    with node_errors(f"give block {number}"):
        try:
            return "0x" + web3.eth.get_block(number)["hash"].hex()
        except BlockNotFound:
            return None
