"""What became of a nonce, proven: the block in which an account's count of transactions passed it holds, or does not
hold, the transaction that is asked for. That is certain both ways, whatever the node's receipts say yet.

Every transaction under one nonce excludes the others, and the block that used it is found by bisection of the count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from web3 import Web3
from web3.exceptions import Web3Exception

from processor.chain import answers
from processor.chain.receipts import raw
from processor.types import Address

MOST_LOOKED_AT = 128
"""Transactions of a block that are looked at for the one that used a nonce, which is only to be named."""

_WRONG_SHAPE = (Web3Exception, ValueError, TypeError, LookupError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Verdict:
    """The block that used a nonce of an account. `ours` says whether that was one of the transactions that were asked
    for; `tx_hash` is which, or the other that did, None where that one is not known by name."""

    block: int
    block_hash: str
    tx_hash: str | None
    ours: bool


def verdict(web3: Web3, account: Address, nonce: int, hashes: Collection[str]) -> Verdict | None:
    """What used a nonce that is used; `hashes` are those of the transactions that were sent under it.

    None where it is not proven: the node has dropped what it knew of that time, or is behind. Raises ChainError where
    no node answers.
    """

    def count(at: int | str) -> int | None:
        return answers.number(_asked(web3, "eth_getTransactionCount", account, hex(at) if isinstance(at, int) else at))

    head = answers.number(_asked(web3, "eth_blockNumber"))
    number = None if head is None else passing(count, nonce, head)
    block = None if number is None else _asked(web3, "eth_getBlockByNumber", hex(number), False)
    if number is None or not isinstance(block, Mapping):
        return None
    block_hash, parent = answers.hash_in(block.get("hash")), answers.hash_in(block.get("parentHash"))
    held = _named(block.get("transactions"))
    if block_hash is None or parent is None or held is None:
        return None
    for each in hashes:
        if each.lower() in held:
            return Verdict(number, block_hash, each, ours=True)
    # By hash: between two questions the block of this number may have become another one.
    after, before = count(block_hash), count(parent)
    if after is None or before is None or not before <= nonce < after:
        return None
    other = _under(web3, account, nonce, block_hash, len(held))
    if other in [each.lower() for each in hashes]:  # the node contradicts itself
        return None
    return Verdict(number, block_hash, other, ours=False)


def passing(count: Callable[[int], int | None], nonce: int, head: int) -> int | None:
    """The number of the block at whose end the count is above the nonce for the first time, at most `head`; None where
    that cannot be found out. `count` gives None for a block of which nothing is known: the latest are the likeliest."""
    last = count(head)
    if last is None or last <= nonce:
        return None
    high, low, dark, step = head, None, -1, 1
    while high > (dark if low is None else low) + 1:
        floor = dark if low is None else low
        probe = max(0, high - step) if low is None and dark < 0 else (floor + high) // 2
        step *= 2
        found = count(probe)
        if found is None:
            if low is not None:
                return None
            dark = probe
        elif found > nonce:
            high = probe
        else:
            low = probe
    return None if low is None else high


def _named(transactions: Any) -> list[str] | None:
    """The hashes of a block's transactions; None where they are not all named, or where there are none although
    something used a nonce in it: what is missing proves nothing then."""
    if not isinstance(transactions, list | tuple) or not transactions:
        return None
    found = [answers.hash_in(each.get("hash") if isinstance(each, Mapping) else each) for each in transactions]
    named = [each for each in found if each is not None]
    return named if len(named) == len(found) else None


def _under(web3: Web3, account: Address, nonce: int, block_hash: str, count: int) -> str | None:
    """Which transaction of a block the account sent under the nonce; None where it is not among the first, or where
    something else than a transaction used it."""
    for index in range(min(count, MOST_LOOKED_AT)):
        found = _asked(web3, "eth_getTransactionByBlockHashAndIndex", block_hash, hex(index))
        if not isinstance(found, Mapping):
            return None
        if str(found.get("from")).lower() == account.lower() and answers.number(found.get("nonce")) == nonce:
            return answers.hash_in(found.get("hash"))
    return None


def _asked(web3: Web3, method: str, *params: Any) -> Any:
    """An answer as the node gave it; None for a refusal. Raises ChainError where no node answers."""
    try:
        return raw(web3, method, *params)
    except _WRONG_SHAPE:
        return None
