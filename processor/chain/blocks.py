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
        return Block(int(latest["number"]), "0x" + latest["hash"].hex(), int(latest["timestamp"]))


def hash_of_block(web3: Web3, number: int) -> str | None:
    """The hash of the chain's block of a number; None where it has none. Raises ChainError."""
    with node_errors(f"give block {number}"):
        try:
            return "0x" + web3.eth.get_block(number)["hash"].hex()
        except BlockNotFound:
            return None
