"""Several nodes as one: who is asked, who is left, and what never counts as an answer."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.chain.endpoints import endpoint_at
from processor.chain.failover import FIRST_REST, LONGEST_REST, STALE_AFTER, Failover
from processor.chain.provider import connect
from processor.errors import ChainError
from tests.unit.chain.nodes import Scripted, http_node, unused_address

HASH = "0x" + "ab" * 32
CALL = {"to": "0x" + "11" * 20, "data": "0x"}
REVERT = {"code": 3, "message": "execution reverted: header not found", "data": "0x"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Nodes:
    """Nodes of a test, and time that passes when the test says so."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.clock = Clock()

    def start(self, **facts: Any) -> Scripted:
        return self._stack.enter_context(http_node(Scripted(**facts)))

    def over(self, nodes: Sequence[Scripted | str], timeout: float = 2.0, chain_id: int | None = None) -> Failover:
        urls = [node if isinstance(node, str) else node.url for node in nodes]
        return Failover([endpoint_at(url, timeout) for url in urls], chain_id, self.clock)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(stack)


def ask(provider: Failover, method: str, *params: Any) -> Any:
    answer = provider.make_request(method, list(params))  # type: ignore[arg-type]
    return answer.get("result", answer.get("error"))


# ---------------------------------------------------------------------------------------------------------- at start


def test_nodes_of_two_chains_are_refused_and_both_are_named(nodes: Nodes) -> None:
    one, other = nodes.start(chain=1), nodes.start(chain=5)
    with pytest.raises(ChainError, match=f"{one.url} is on chain 1, {other.url} is on chain 5"):
        nodes.over([one, other])


def test_a_node_that_is_silent_at_the_start_is_passed_over_with_a_warning(nodes: Nodes) -> None:
    away, there = unused_address(), nodes.start(says={"eth_gasPrice": "0x7"})
    with capture_logs() as logs:
        provider = nodes.over([away, there])
    assert [(line["log_level"], away in line["reason"]) for line in logs] == [("warning", True)]
    assert ask(provider, "eth_gasPrice") == "0x7"


def test_where_no_node_answers_each_is_named_with_what_it_said(nodes: Nodes) -> None:
    away, forbidden = unused_address(), nodes.start(status=403)
    with pytest.raises(ChainError, match=f"cannot reach an Ethereum node at {away}.*{forbidden.url}.*status 403"):
        nodes.over([away, forbidden])


def test_a_node_that_comes_later_is_asked_for_its_chain_first_and_one_of_another_is_never_used(nodes: Nodes) -> None:
    late, there = nodes.start(status=503), nodes.start(says={"eth_gasPrice": "0x7"})
    provider = nodes.over([late, there])
    late.chain, late.status = 5, 200
    late.says["eth_gasPrice"] = "0xbad"
    with capture_logs() as logs:
        for _ in range(4):
            nodes.clock.now += LONGEST_REST
            assert ask(provider, "eth_gasPrice") == "0x7"
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["Ethereum node barred"]
    assert late.count("eth_gasPrice") == 0
    there.status = 503
    with pytest.raises(ChainError, match="HTTP status 503"):
        ask(provider, "eth_gasPrice")
    assert late.count("eth_gasPrice") == 0


def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(ChainError, match="at least one address"):
        connect([])


# ---------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_node_that_fails_is_replaced_at_once_left_alone_and_preferred_again_later(nodes: Nodes, status: int) -> None:
    first, second = nodes.start(says={"eth_gasPrice": "0x1"}), nodes.start(says={"eth_gasPrice": "0x2"})
    provider = nodes.over([first, second])
    assert ask(provider, "eth_gasPrice") == "0x1"
    with capture_logs() as logs:
        first.status = status
        assert [ask(provider, "eth_gasPrice") for _ in range(3)] == ["0x2"] * 3
        assert first.count("eth_gasPrice") == 2
        nodes.clock.now += FIRST_REST
        assert ask(provider, "eth_gasPrice") == "0x2"
        first.status = 200
        assert ask(provider, "eth_gasPrice") == "0x2"  # it rests for longer now
        nodes.clock.now += 2 * FIRST_REST
        assert ask(provider, "eth_gasPrice") == "0x1"
    assert [(line["node"], line["instead_of"]) for line in logs] == [(second.url, first.url), (first.url, second.url)]
    assert f"HTTP status {status}" in logs[0]["reason"]


def test_a_node_that_hangs_or_talks_nonsense_is_replaced(nodes: Nodes) -> None:
    first, second = nodes.start(), nodes.start(says={"eth_gasPrice": "0x2"})
    provider = nodes.over([first, second])
    first.says["eth_gasPrice"] = {"code": "a", "message": "rate limit reached"}
    assert ask(provider, "eth_gasPrice") == "0x2"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert ask(nodes.over([hanging, second], timeout=0.2), "eth_gasPrice") == "0x2"


def test_where_every_node_rests_they_are_asked_all_the_same(nodes: Nodes) -> None:
    first, second = nodes.start(says={"eth_gasPrice": "0x1"}), nodes.start(says={"eth_gasPrice": "0x2"})
    provider = nodes.over([first, second])
    first.status = second.status = 502
    with pytest.raises(ChainError, match=f"no Ethereum node answers: .*{first.url}.*502.*; .*{second.url}.*502"):
        ask(provider, "eth_gasPrice")
    second.status = 200
    assert ask(provider, "eth_gasPrice") == "0x2"


def test_a_busy_node_is_asked_again_only_where_it_is_the_only_one_and_never_to_send(nodes: Nodes) -> None:
    for method, times in (("eth_gasPrice", 3), ("eth_sendRawTransaction", 1)):
        alone = nodes.start()
        provider = nodes.over([alone])
        alone.status = 503
        with pytest.raises(ChainError, match="HTTP status 503"):
            ask(provider, method, "0x00")
        assert alone.count(method) == times
    other = nodes.start()
    provider = nodes.over([other, nodes.start(says={"eth_gasPrice": "0x2"})])
    other.status = 503
    assert ask(provider, "eth_gasPrice") == "0x2"
    assert other.count("eth_gasPrice") == 1


def test_a_signed_transaction_goes_to_the_next_node_and_a_refusal_of_it_to_none(nodes: Nodes) -> None:
    first, second = nodes.start(), nodes.start(says={"eth_sendRawTransaction": HASH})
    provider = nodes.over([first, second])
    for words in ("nonce too low", "already known", "transaction underpriced: header not found"):
        first.says["eth_sendRawTransaction"] = {"code": -32000, "message": words}
        assert ask(provider, "eth_sendRawTransaction", "0x00")["message"] == words
    assert second.count("eth_sendRawTransaction") == 0
    first.status = 500
    assert ask(provider, "eth_sendRawTransaction", "0x00") == HASH


def test_what_must_not_be_done_twice_is_asked_of_one_node_only(nodes: Nodes) -> None:
    first, second = nodes.start(), nodes.start()
    provider = nodes.over([first, second])
    first.status = 500
    for method in ("evm_increaseTime", "eth_sendTransaction"):
        with pytest.raises(ChainError, match="HTTP status 500"):
            ask(provider, method, 1)
        assert second.count(method) == 0


# ----------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "refusal",
    [
        REVERT,
        {"code": -32000, "message": "VM Exception while processing transaction: revert block not found"},
        {"code": -32000, "message": "insufficient funds for gas"},
        {"code": -32601, "message": "the method does not exist/is not available"},
        {"code": -32602, "message": "invalid argument"},
        {"code": -32000, "message": "gas required exceeds allowance"},
    ],
)
def test_a_revert_and_every_other_refusal_is_an_answer(nodes: Nodes, refusal: dict[str, Any]) -> None:
    first, second = nodes.start(says={"eth_call": refusal}), nodes.start(says={"eth_call": "0x01"})
    provider = nodes.over([first, second])
    assert [ask(provider, "eth_call", CALL, "latest") for _ in range(3)] == [refusal] * 3
    assert second.count("eth_call") == 0


@pytest.mark.parametrize(
    "words",
    [
        "header not found",
        "header for hash not found",
        "unknown block",
        "missing trie node 8f (path ) state 0x8f is not available, not found",
        "historical state abc is not available",
        "hash ab is not currently canonical",
        "BlockOutOfRangeError: block height is 3 but requested was 5",
        "transaction indexing is in progress",
        "History has been pruned for this block",
    ],
)
def test_what_one_node_has_not_is_asked_of_the_next_and_the_first_stays_preferred(nodes: Nodes, words: str) -> None:
    refusal = {"code": -32000, "message": words}
    first = nodes.start(says={"eth_call": refusal, "eth_gasPrice": "0x1"})
    second = nodes.start(says={"eth_call": "0x02"})
    provider = nodes.over([first, second])
    with capture_logs() as logs:
        assert ask(provider, "eth_call", CALL, HASH) == "0x02"
        assert ask(provider, "eth_gasPrice") == "0x1"
        second.says["eth_call"] = {"code": -32001, "message": "Resource not found"}
        assert ask(provider, "eth_call", CALL, HASH) == refusal
    assert logs == []


@pytest.mark.parametrize("method", ["eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getBlockByHash"])
def test_a_null_counts_only_where_every_node_says_it(nodes: Nodes, method: str) -> None:
    first, second = nodes.start(), nodes.start(says={method: {"hash": HASH}})
    provider = nodes.over([first, second])
    assert ask(provider, method, HASH) == {"hash": HASH}
    second.says[method] = None
    assert ask(provider, method, HASH) is None
    assert first.count(method) == second.count(method) == 2


def test_logs_up_to_a_block_that_a_node_does_not_know_yet_come_from_one_that_does(nodes: Nodes) -> None:
    behind, ahead = nodes.start(head=99, says={"eth_getLogs": []}), nodes.start(says={"eth_getLogs": ["log"]})
    provider = nodes.over([behind, ahead])
    wanted = {"fromBlock": hex(90), "toBlock": hex(100)}
    assert ask(provider, "eth_getLogs", wanted) == ["log"]
    assert behind.count("eth_getLogs") == 0
    ahead.head = behind.head = 98
    refused = ask(nodes.over([behind, ahead]), "eth_getLogs", wanted)
    assert refused["message"] == "block 100 is not known yet, the latest is 98"
    assert ask(provider, "eth_call", CALL, "latest") is None


# ------------------------------------------------------------------------------------------------------- stale heads


def test_a_node_whose_head_stands_still_is_left_where_another_goes_on(nodes: Nodes) -> None:
    first, second = nodes.start(head=100), nodes.start(head=100)
    provider = nodes.over([first, second])
    with capture_logs() as logs:
        for _ in range(3):  # nobody has a new block: nobody is left
            assert ask(provider, "eth_blockNumber") == hex(100)
            nodes.clock.now += STALE_AFTER
        second.head = 101
        assert ask(provider, "eth_blockNumber") == hex(101)
        nodes.clock.now += STALE_AFTER / 3
        assert ask(provider, "eth_getBlockByNumber", "latest", False) == {"number": hex(101)}
    assert [(line["node"], line["reason"]) for line in logs] == [
        (second.url, f"{first.url} is at block 100 while {second.url} is at 101")
    ]


def test_a_node_that_falls_far_behind_is_left_and_returns_once_it_caught_up(nodes: Nodes) -> None:
    first, second = nodes.start(head=100), nodes.start(head=100)
    provider = nodes.over([first, second])
    assert ask(provider, "eth_blockNumber") == hex(100)
    first.status = 500
    second.head = 120
    assert ask(provider, "eth_blockNumber") == hex(120)
    first.status = 200
    nodes.clock.now += FIRST_REST
    assert ask(provider, "eth_blockNumber") == hex(120)  # it is asked for its head first
    first.head = 118
    nodes.clock.now += LONGEST_REST
    assert ask(provider, "eth_blockNumber") == hex(118)


def test_a_node_that_goes_back_far_is_left_but_not_where_the_whole_chain_went_back(nodes: Nodes) -> None:
    first, second = nodes.start(head=100), nodes.start(head=90)
    provider = nodes.over([first, second])
    assert ask(provider, "eth_blockNumber") == hex(100)
    first.head = 50
    nodes.clock.now += STALE_AFTER
    assert ask(provider, "eth_blockNumber") == hex(50)  # has just moved, and the other was never asked
    nodes.clock.now += STALE_AFTER
    assert ask(provider, "eth_blockNumber") == hex(90)
    second.head = 45
    first.head = 45
    nodes.clock.now += FIRST_REST
    assert ask(provider, "eth_blockNumber") == hex(45)


def test_the_only_node_that_is_left_is_used_though_it_is_behind(nodes: Nodes) -> None:
    first, second = nodes.start(head=100), nodes.start(head=50)
    provider = nodes.over([first, second])
    assert ask(provider, "eth_blockNumber") == hex(100)
    first.status = 500
    assert ask(provider, "eth_blockNumber") == hex(50)


# ----------------------------------------------------------------------------------------------------------- secrets


def test_no_part_of_an_address_that_may_be_secret_is_shown(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    first, second = nodes.start(), nodes.start()

    def with_secrets(url: str) -> str:
        return url.replace("//", "//user:secret@") + "/secret?key=secret"

    with capture_logs() as logs:
        web3 = connect([with_secrets(node.url) for node in (first, second)] + [with_secrets(unused_address())])
        first.status = 500
        assert web3.eth.block_number == 100
        second.status = 401
        with pytest.raises(ChainError) as refused:
            web3.eth.block_number  # noqa: B018
    assert len(logs) == 2
    seen = [str(logs), str(refused.value), repr(web3.provider), str(web3.provider), caplog.text]
    assert all("secret" not in text for text in seen)
