"""What used a nonce is proven by the block in which the account's count passed it, or not said at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from processor.chain.fates import Verdict, passing, verdict

ACCOUNT = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
STRANGER = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"


def hash_of(kind: str, number: int) -> str:
    return f"0x{kind.encode().hex()}{number:08x}".ljust(66, "0")


OURS, OTHER = hash_of("ours", 1), hash_of("other", 1)


@dataclass
class Chain(JSONBaseProvider):
    """A node whose blocks hold transactions of the account: lists of (nonce, hash). It knows no state below `known`."""

    blocks: list[list[tuple[int, str]]]
    known: int = 0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        self.asked.append(method)
        try:
            return {"jsonrpc": "2.0", "id": 1, "result": getattr(self, method)(*params)}
        except LookupError:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "missing trie node"}}

    def eth_chainId(self) -> str:
        return "0x1"

    def eth_blockNumber(self) -> str:
        return hex(len(self.blocks) - 1)

    def eth_getTransactionCount(self, address: str, at: str) -> str:
        number = self._number(at)
        if not self.known <= number < len(self.blocks):
            raise LookupError
        return hex(sum(len(block) for block in self.blocks[: number + 1]))

    def eth_getBlockByNumber(self, at: str, full: bool) -> Any:
        number = self._number(at)
        held = [hash for _, hash in self.blocks[number]]
        parent = hash_of("block", number - 1)
        return {"hash": hash_of("block", number), "parentHash": parent, "transactions": [hash_of("x", 1), *held]}

    def eth_getTransactionByBlockHashAndIndex(self, block: str, index: str) -> Any:
        number, place = self._number(block), int(index, 16)
        if place == 0:
            return {"hash": hash_of("x", 1), "from": STRANGER, "nonce": "0x0"}
        nonce, hash = self.blocks[number][place - 1]
        return {"hash": hash, "from": ACCOUNT.lower(), "nonce": hex(nonce)}

    def _number(self, at: str) -> int:
        if len(at) == 66:
            return next(number for number in range(len(self.blocks)) if hash_of("block", number) == at)
        return int(at, 16)

    def verdict(self, nonce: int, *hashes: str) -> Verdict | None:
        return verdict(Web3(self), ACCOUNT, nonce, hashes)


def blocks(number: int, *transactions: tuple[int, str], head: int = 40) -> list[list[tuple[int, str]]]:
    """A chain up to `head` in which the account sent these in the block `number`, and two before it."""
    chain: list[list[tuple[int, str]]] = [[] for _ in range(head + 1)]
    chain[1] = [(0, hash_of("first", 1)), (1, hash_of("second", 1))]
    chain[number] = list(transactions)
    return chain


def test_a_transaction_that_used_its_nonce_is_found_in_its_block() -> None:
    for number in (2, 17, 39, 40):
        chain = Chain(blocks(number, (2, OURS), (3, OTHER)))
        assert chain.verdict(2, OTHER, OURS.upper().replace("X", "x")) is not None
        assert chain.verdict(2, OURS) == Verdict(number, hash_of("block", number), OURS, ours=True)


def test_another_that_used_it_is_named() -> None:
    chain = Chain(blocks(17, (2, OTHER)))
    assert chain.verdict(2, OURS) == Verdict(17, hash_of("block", 17), OTHER, ours=False)


def test_what_is_no_transaction_of_the_account_may_use_its_nonce_too() -> None:
    chain = Chain(blocks(17, (2, OTHER)))
    chain.eth_getTransactionByBlockHashAndIndex = lambda block, index: None  # type: ignore[method-assign]
    assert chain.verdict(2, OURS) == Verdict(17, hash_of("block", 17), None, ours=False)


def test_a_nonce_that_is_free_was_used_by_nothing() -> None:
    assert Chain(blocks(17, (2, OTHER))).verdict(3, OURS) is None


def test_nothing_is_said_of_a_block_before_all_that_the_node_still_knows() -> None:
    assert Chain(blocks(17, (2, OTHER)), known=17).verdict(2, OURS) is None
    assert Chain(blocks(17, (2, OTHER)), known=30).verdict(2, OURS) is None
    assert Chain(blocks(17, (2, OTHER)), known=16).verdict(2, OURS) is not None


def test_nothing_is_said_where_the_block_became_another_one_between_two_questions() -> None:
    chain = Chain(blocks(17, (2, OURS)))
    before = chain.eth_getBlockByNumber

    def reorganized(at: str, full: bool) -> Any:
        block = before(at, full)
        chain.blocks = blocks(18, (2, OURS))
        return {**block, "transactions": []}

    chain.eth_getBlockByNumber = reorganized  # type: ignore[method-assign]
    assert chain.verdict(2, OURS) is None


@pytest.mark.parametrize("listed", [None, "absent", [], [None], ["0x12"], [{"from": STRANGER}], "0x", {"0": OURS}])
def test_nothing_is_said_of_another_where_a_block_does_not_name_all_its_transactions(listed: Any) -> None:
    chain = Chain(blocks(17, (2, OURS)))
    before = chain.eth_getBlockByNumber

    def unnamed(at: str, full: bool) -> Any:
        block = {**before(at, full), "transactions": listed}
        return {name: value for name, value in block.items() if value != "absent"}

    chain.eth_getBlockByNumber = unnamed  # type: ignore[method-assign]
    assert chain.verdict(2, OURS) is None


def test_a_block_may_hold_its_transactions_whole() -> None:
    chain = Chain(blocks(17, (2, OURS)))
    before = chain.eth_getBlockByNumber
    whole = [{"hash": hash_of("x", 1), "from": STRANGER}, {"hash": OURS, "from": ACCOUNT}]
    chain.eth_getBlockByNumber = lambda at, full: {**before(at, full), "transactions": whole}  # type: ignore[method-assign]
    assert chain.verdict(2, OURS) == Verdict(17, hash_of("block", 17), OURS, ours=True)


def test_a_block_with_very_many_transactions_is_not_read_through() -> None:
    chain = Chain(blocks(17, (2, OTHER)))
    many = [hash_of("x", 1)] * 10_000
    before = chain.eth_getBlockByNumber
    chain.eth_getBlockByNumber = lambda at, full: {**before(at, full), "transactions": many}  # type: ignore[method-assign]
    chain.eth_getTransactionByBlockHashAndIndex = lambda block, index: {"from": STRANGER}  # type: ignore[method-assign]
    assert chain.verdict(2, OURS) == Verdict(17, hash_of("block", 17), None, ours=False)
    assert len(chain.asked) < 200


@given(st.lists(st.integers(0, 3), min_size=1, max_size=300), st.integers(0, 20), st.integers(0, 300))
def test_the_block_that_passes_a_count_is_found_in_few_questions_or_none_is_named(
    grows: list[int], nonce: int, known: int
) -> None:
    counts = [sum(grows[: number + 1]) for number in range(len(grows))]
    asked: list[int] = []

    def count(number: int) -> int | None:
        asked.append(number)
        return counts[number] if number >= known else None

    found = passing(count, nonce, len(counts) - 1)
    right = next((number for number, above in enumerate(counts) if above > nonce), None)
    assert found in (right, None) and len(asked) <= 24
    assert found == right or right is None or right == 0 or right - 1 < known


@given(st.lists(st.none() | st.integers(0, 5), min_size=1, max_size=50))
def test_a_node_that_says_anything_ends_the_search(said: list[int | None]) -> None:
    found = passing(lambda number: said[number], 2, len(said) - 1)
    assert found is None or (said[found] or 0) > 2
