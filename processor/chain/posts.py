"""What was said to all with `post`: it stands in the logs alone, so a node that leaves logs out hides it.

Whoever reads posts must come to nothing worse without them than waiting longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hexbytes import HexBytes
from web3 import Web3
from web3.types import LogReceipt

from processor.chain.contracts import load, to_address
from processor.chain.federation import Federation
from processor.chain.logs import LONGEST_RANGE, logs_of, over_ranges
from processor.chain.provider import node_errors
from processor.chain.times import first_block_from
from processor.cid import cid_from_digest
from processor.types import Address, Block, Cid

PLAN = b"koinon/plan".ljust(32, b"\0")
"""The topic of an organization that announces the plan of rounds to come."""
AGREED = b"koinon/agreed".ljust(32, b"\0")
"""The topic of a member that has agreed to a plan."""

MOST_RANGES = 8
"""Ranges of blocks that one read asks for at most; the next read goes on behind them."""
MOST_POSTS = 10_000
"""Posts that are kept at most, the first of them: to post costs gas, but no more than that."""


@dataclass(frozen=True)
class Post:
    """`round` was the latest when `sender` said `cid`, in that block for the last time."""

    round: int
    sender: Address
    cid: Cid
    block: int


class Posts:
    """The posts on one topic since a moment, each sender's word on each CID once. A read costs one request for the
    blocks that are new since the one before."""

    def __init__(self, federation: Federation, topic: bytes) -> None:
        self._federation = federation
        self._topic = topic
        contract = federation.web3.eth.contract(abi=load("Federation").abi)
        self._event = HexBytes(contract.get_event_by_name("Posted")().topic)
        self._since: int | None = None
        self._next = 0
        self._found: dict[tuple[Address, Cid], Post] = {}

    def read(self, since: int, head: Block) -> tuple[Post, ...]:
        """The posts in blocks whose time is `since` or later, up to `head`; of a long time perhaps not all at once.

        Raises ChainError where the node gives no logs.
        """
        if self._since != since:
            self.forget()
            self._next = first_block_from(self._federation.web3, since, head)
            self._since = since
        if self._next <= head.number:
            ranges = over_ranges(self._logs, self._next, head.number, LONGEST_RANGE)
            with node_errors(f"list what was posted from block {self._next} on"):
                for _, (following, logs) in zip(range(MOST_RANGES), ranges, strict=False):
                    self._keep(logs)
                    self._next = following
        return tuple(self._found.values())

    def forget(self) -> None:
        """After a reorganization: what was said may not have been."""
        self._since, self._next = None, 0
        self._found.clear()

    def _logs(self, start: int, end: int) -> list[LogReceipt]:
        return logs_of(
            self._federation.web3,
            {
                "address": Web3.to_checksum_address(self._federation.address),
                "fromBlock": start,
                "toBlock": end,
                "topics": [self._event, None, None, HexBytes(self._topic)],
            },
        )

    def _keep(self, logs: list[LogReceipt]) -> None:
        for post in _posts_in(logs, self._federation.address, self._topic):
            key = (post.sender, post.cid)
            known = self._found.get(key)
            if known is not None:
                self._found[key] = replace(post, block=max(post.block, known.block), round=max(post.round, known.round))
            elif len(self._found) < MOST_POSTS:
                self._found[key] = post


def _posts_in(logs: list[LogReceipt], address: Address, topic: bytes) -> Iterator[Post]:
    """A node is not trusted to have kept to what was asked for."""
    for log in logs:
        topics, data = list(log["topics"]), bytes(log["data"])
        if log["address"] != address or len(topics) != 4 or bytes(topics[3]) != topic or len(data) != 32:
            continue
        cid = cid_from_digest(data)
        if cid is not None:
            sender = to_address("0x" + bytes(topics[2])[12:].hex())
            yield Post(int.from_bytes(topics[1]), sender, cid, log["blockNumber"])
