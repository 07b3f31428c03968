from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.proxy import Fault, Proxy, Trouble, corrupted

HEAD = 100
RAW = "0x02c0"


class Node(ThreadingHTTPServer):
    """Answers as an Ethereum node at block 100 does, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, Any]] = []


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Node

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            request: Any = "chunked"
        else:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.server.asked.append((self.path, request))
        body = json.dumps({"jsonrpc": "2.0", "id": request.get("id"), "result": self._result(request)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _result(self, request: dict[str, Any]) -> Any:
        match request.get("method"):
            case "eth_blockNumber":
                return hex(HEAD)
            case "eth_getTransactionReceipt":
                return {"blockNumber": hex(95), "status": "0x1"}
            case "eth_getTransactionByHash":
                return {"blockNumber": hex(95), "blockHash": "0xab", "nonce": "0x1"}
            case _:
                return request.get("params")

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as node:
        threading.Thread(target=node.serve_forever, args=(0.05,), daemon=True).start()
        yield node
        node.shutdown()


@pytest.fixture
def broadcasts() -> list[str]:
    return []


@pytest.fixture
def proxy(node: Node, broadcasts: list[str]) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", node.server_address[1]), random.Random(0), broadcasts.append) as proxy:
        yield proxy


def ask(proxy: Proxy, method: str = "eth_blockNumber", *params: Any, path: str = "/", timeout: float = 5) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
    try:
        connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def begin(proxy: Proxy, trouble: Trouble, amount: float = 0.0) -> Fault:
    fault = Fault(trouble, amount)
    proxy.begin(fault)
    return fault


def test_a_calm_proxy_passes_on_what_it_hears(proxy: Proxy) -> None:
    assert ask(proxy) == {"jsonrpc": "2.0", "id": 7, "result": hex(HEAD)}
    assert proxy.answered == 1


def test_the_key_in_an_address_does_not_reach_the_node(proxy: Proxy, node: Node) -> None:
    ask(proxy, path="/v3/secret")
    ask(proxy, path="/api/v0/cat")
    assert [path for path, _ in node.asked] == ["/", "/api/v0/cat"]


@pytest.mark.parametrize("trouble", [Trouble.DROP, Trouble.DEAFEN])
def test_a_connection_that_is_dropped_gives_no_answer_until_the_fault_ends(proxy: Proxy, trouble: Trouble) -> None:
    fault = begin(proxy, trouble)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(proxy)
    proxy.end(fault)
    assert ask(proxy)["result"] == hex(HEAD)


def test_a_dropped_request_never_reaches_the_node_and_a_lost_answer_was_given(proxy: Proxy, node: Node) -> None:
    for trouble in (Trouble.DROP, Trouble.DEAFEN):
        fault = begin(proxy, trouble)
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(proxy, "eth_sendRawTransaction", RAW)
        proxy.end(fault)
        assert len(node.asked) == (trouble is Trouble.DEAFEN)


def test_an_answer_that_is_delayed_comes_late(proxy: Proxy) -> None:
    begin(proxy, Trouble.DELAY, 0.3)
    began = time.monotonic()
    assert ask(proxy)["result"] == hex(HEAD)
    assert time.monotonic() - began >= 0.3


def test_a_stalled_request_has_no_answer_and_is_let_go_at_the_end(proxy: Proxy) -> None:
    fault = begin(proxy, Trouble.STALL)
    with pytest.raises(TimeoutError):
        ask(proxy, timeout=0.3)
    threading.Timer(0.3, proxy.end, [fault]).start()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(proxy)
    assert ask(proxy)["result"] == hex(HEAD)


def test_a_truncated_answer_promises_more_bytes_than_come(proxy: Proxy) -> None:
    begin(proxy, Trouble.TRUNCATE)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(proxy)


def test_an_error_page_is_no_json(proxy: Proxy) -> None:
    begin(proxy, Trouble.GARBLE)
    with pytest.raises(json.JSONDecodeError):
        ask(proxy)


def test_a_corrupted_answer_differs_in_its_bytes_alone(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    request = json.dumps({"id": 1, "method": "eth_blockNumber", "params": []})

    def answer() -> bytes:
        connection.request("POST", "/", request)
        return connection.getresponse().read()

    whole = answer()
    begin(proxy, Trouble.CORRUPT)
    damaged = answer()
    assert damaged != whole
    assert len(damaged) == len(whole)


def test_what_is_asked_is_told_before_the_node_hears_of_it(node: Node) -> None:
    heard: list[tuple[str, int]] = []
    address = ("127.0.0.1", node.server_address[1])
    with Proxy(address, random.Random(0), on_request=lambda what: heard.append((what, len(node.asked)))) as proxy:
        ask(proxy, "eth_estimateGas", {})
        ask(proxy, "eth_call", {}, "latest")
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        connection.request("POST", "/api/v0/cat?arg=Qm", b"")
        connection.getresponse().read()
    assert heard == [("eth_estimateGas", 0), ("eth_call", 1), ("/api/v0/cat?arg=Qm", 2)]


@given(st.binary(min_size=1, max_size=10_000), st.integers())
def test_corruption_keeps_the_length_and_changes_something(body: bytes, seed: int) -> None:
    changed = corrupted(body, random.Random(seed))
    assert changed != body
    assert len(changed) == len(body)
    assert changed == corrupted(body, random.Random(seed))


def test_every_transaction_is_remembered_also_one_that_is_thrown_away(
    proxy: Proxy, node: Node, broadcasts: list[str]
) -> None:
    begin(proxy, Trouble.SWALLOW)
    answer = ask(proxy, "eth_sendRawTransaction", RAW)
    assert answer["result"].startswith("0x") and len(answer["result"]) == 66
    assert node.asked == []
    assert broadcasts == [RAW]


class TestStaleNode:
    """A node whose chain stands still at block 90, while the real one is at 100."""

    @pytest.fixture(autouse=True)
    def _stale(self, proxy: Proxy) -> None:
        begin(proxy, Trouble.STALE, 90)

    def test_the_latest_block_is_where_it_stands(self, proxy: Proxy) -> None:
        assert ask(proxy)["result"] == hex(90)
        assert ask(proxy, "eth_getBlockByNumber", "latest", False)["result"] == [hex(90), False]
        assert ask(proxy, "eth_call", {}, "latest")["result"] == [{}, hex(90)]
        assert ask(proxy, "eth_getTransactionCount", "0x1", "pending")["result"] == ["0x1", hex(90)]

    def test_earlier_blocks_are_as_they_were(self, proxy: Proxy) -> None:
        assert ask(proxy, "eth_call", {}, hex(80))["result"] == [{}, hex(80)]

    def test_later_blocks_are_unknown(self, proxy: Proxy) -> None:
        assert ask(proxy, "eth_getBlockByNumber", hex(91), False)["result"] is None
        assert ask(proxy, "eth_call", {}, hex(91))["error"]["message"] == "header not found"

    def test_what_was_mined_later_is_not_mined_yet(self, proxy: Proxy) -> None:
        assert ask(proxy, "eth_getTransactionReceipt", "0x1")["result"] is None
        assert ask(proxy, "eth_getTransactionByHash", "0x1")["result"]["blockNumber"] is None
