"""Posts are read from a node's logs, once for each block and in bounded steps, and from nobody else's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hexbytes import HexBytes
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3
from web3.exceptions import Web3RPCError

from processor.chain import posts as posts_module
from processor.chain.contracts import load
from processor.chain.federation import Federation
from processor.chain.logs import LONGEST_RANGE
from processor.chain.posts import AGREED, MOST_RANGES, PLAN, Post, Posts
from processor.chain.times import first_block_from
from processor.cid import cid_from_digest, digest_of
from processor.errors import ChainError
from processor.types import Block
from tests.unit.protocol.views import ADDRESS, cid_for

FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
ANN, BOB = ("0x" + digit * 40 for digit in "23")
TICK = 10
"""Seconds between two blocks."""

contract = Web3().eth.contract(abi=load("Federation").abi)
EVENT = HexBytes(contract.get_event_by_name("Posted")().topic)


def log(block: int, sender: str = ANN, cid: str = cid_for("plan", 2), **changes: Any) -> dict[str, Any]:
    topics = [EVENT, HexBytes((3).to_bytes(32)), HexBytes(bytes(12) + bytes.fromhex(sender[2:])), HexBytes(AGREED)]
    return {"address": FEDERATION, "topics": topics, "data": HexBytes(digest_of(cid)), "blockNumber": block, **changes}


@dataclass
class Eth:
    """A chain with a block every `TICK` seconds; a range above `most` is refused, and `asked` has all that came."""

    logs: list[dict[str, Any]] = field(default_factory=list)
    most: int = 10**9
    asked: list[tuple[int, int]] = field(default_factory=list)

    def contract(self, **arguments: Any) -> Any:
        return contract

    def get_block(self, number: int) -> dict[str, int]:
        return {"timestamp": number * TICK}

    def get_logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = wanted["fromBlock"], wanted["toBlock"]
        self.asked.append((first, last))
        if last - first >= self.most:
            raise Web3RPCError("too many blocks")
        return [each for each in self.logs if first <= each["blockNumber"] <= last]


@dataclass
class Chain:
    eth: Eth


@dataclass
class Known:
    web3: Chain
    address: str = FEDERATION


def posts_on(eth: Eth) -> Posts:
    return Posts(cast(Federation, Known(Chain(eth))), AGREED)


def head(number: int) -> Block:
    return Block(number, f"0x{number:x}", number * TICK)


def test_posts_are_read_from_a_moment_on_and_each_block_once() -> None:
    eth = Eth([log(4), log(5), log(7, BOB)])
    posts = posts_on(eth)
    assert posts.read(50, head(6)) == (Post(3, ANN, cid_for("plan", 2), 5),)
    assert [post.sender.lower() for post in posts.read(50, head(7))] == [ANN, BOB]
    assert posts.read(50, head(7)) == posts.read(50, head(6)), "what is known stays"
    assert eth.asked == [(5, 6), (7, 7)]


def test_the_same_word_of_the_same_sender_is_kept_once_with_its_last_block() -> None:
    posts = posts_on(Eth([log(1), log(3), log(2)]))
    (post,) = posts.read(0, head(9))
    assert post.block == 3


def test_a_node_that_gives_logs_of_something_else_is_not_believed() -> None:
    wrong = [
        log(1, address=ADDRESS),
        log(1, topics=[EVENT, HexBytes(bytes(32)), HexBytes(bytes(32)), HexBytes(PLAN)]),
        log(1, topics=[EVENT]),
        log(1, data=HexBytes(bytes(32))),
        log(1, data=HexBytes(b"short")),
    ]
    assert posts_on(Eth(wrong)).read(0, head(9)) == ()


def test_after_a_reorganization_everything_is_read_again() -> None:
    eth = Eth([log(5)])
    posts = posts_on(eth)
    posts.read(0, head(9))
    eth.logs.clear()
    posts.forget()
    assert posts.read(0, head(9)) == ()


def test_one_read_asks_for_so_many_ranges_at_most_and_the_next_goes_on() -> None:
    last = LONGEST_RANGE * (MOST_RANGES + 3)
    eth = Eth([log(last)])
    posts = posts_on(eth)
    assert posts.read(0, head(last)) == ()
    assert len(eth.asked) <= MOST_RANGES + 1
    assert len(posts.read(0, head(last))) == 1


def test_a_range_that_is_too_much_is_halved_and_a_single_block_that_is_refused_is_said() -> None:
    assert len(posts_on(Eth([log(3)], most=2)).read(0, head(9))) == 1
    with pytest.raises(ChainError, match="list what was posted"):
        posts_on(Eth([log(3)], most=0)).read(0, head(9))


def test_whoever_floods_a_topic_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts_module, "MOST_POSTS", 50)
    flood = [log(1, cid=cid_from_digest((number + 1).to_bytes(32)) or "") for number in range(55)]
    assert len(posts_on(Eth(flood)).read(0, head(9))) == 50


@given(moment=st.integers(0, 1100), number=st.integers(0, 100))
def test_the_first_block_from_a_moment_is_found(moment: int, number: int) -> None:
    found = first_block_from(cast(Web3, Chain(Eth())), moment, head(number))
    expected = next((each for each in range(number + 1) if each * TICK >= moment), number + 1)
    assert found == expected
