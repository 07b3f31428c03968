"""The block of a moment, by bisection: a node finds blocks by number or by hash, and not by their time."""

from __future__ import annotations

from web3 import Web3

from processor.chain.provider import node_errors
from processor.types import Block


def time_of_block(web3: Web3, number: int) -> int:
    """The time of a block, in seconds since 1970. Raises ChainError where the node does not have it."""
    with node_errors(f"give block {number}"):
        return int(web3.eth.get_block(number)["timestamp"])


def first_block_from(web3: Web3, moment: int, head: Block) -> int:
    """The number of the first block up to `head` whose time is `moment` or later; the one behind `head` where none is.

    Raises ChainError as `time_of_block`. Asks for as many blocks as the number of `head` has binary digits.
    """
    if head.timestamp < moment:
        return head.number + 1
    first, last = 0, head.number
    while first < last:
        middle = (first + last) // 2
        if time_of_block(web3, middle) < moment:
            first = middle + 1
        else:
            last = middle
    return first
