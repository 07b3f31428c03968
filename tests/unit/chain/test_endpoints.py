"""One node at one address, on real sockets: what it answers, and every way in which it does not."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from processor.chain import jsonrpc
from processor.chain.endpoints import endpoint_at
from processor.chain.jsonrpc import NoAnswer
from processor.errors import ChainError
from tests.unit.chain.nodes import ipc_node, unused_address, websocket_node


def answer_to(request: bytes | str, result: object = None) -> str:
    asked = json.loads(request)
    return json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": asked["params"] if result is None else result})


def read_request(connection: socket.socket) -> None:
    """All of it: a connection that is closed with something unread loses what was answered."""
    with connection.makefile("rb") as request:
        length = 0
        while line := request.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        request.read(length)


@contextmanager
def raw_http(reply: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request for each connection and answers by hand."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    read_request(connection)
                    with suppress(OSError):
                        reply(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def lines_of(connection: socket.socket) -> Iterator[bytes]:
    with connection.makefile("rb") as lines:
        yield from lines


@pytest.mark.parametrize("rpc", ["ipc://x", "http://a/b.ipc:", "ws://", "wss://:1", "ftp://a/x.ipc", "tcp://h:1", "x"])
def test_an_address_that_is_none_is_refused(rpc: str) -> None:
    if rpc.startswith("http://a"):
        assert endpoint_at(rpc, 1).shown == "http://a"
        return
    with pytest.raises(ChainError, match="must be http://HOST:PORT"):
        endpoint_at(rpc, 1)


# -------------------------------------------------------------------------------------------------------------- HTTP


def test_an_http_answer_that_trickles_in_is_given_up_in_time() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    with raw_http(trickle) as url, pytest.raises(NoAnswer, match="did not answer within 0.3 s") as late:
        endpoint_at(url, 0.3).request("eth_chainId", [])
    assert late.value.too_much


def test_an_http_answer_that_is_cut_off_is_no_answer() -> None:
    def cut(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"jsonrpc"')

    with raw_http(cut) as url, pytest.raises(NoAnswer):
        endpoint_at(url, 2).request("eth_chainId", [])


def test_a_compressed_http_answer_is_read_and_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonrpc, "LARGEST_ANSWER", 100_000)
    result = "0x" + "00" * 10_000
    for extra, refused in ((0, False), (1_000_000, True)):
        said = {"jsonrpc": "2.0", "id": 0, "result": result + "00" * extra}
        body = gzip.compress(json.dumps(said).encode())

        def reply(connection: socket.socket, body: bytes = body) -> None:
            head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

        with raw_http(reply) as url:
            if refused:
                with pytest.raises(NoAnswer, match="more than 100000 bytes") as large:
                    endpoint_at(url, 5).request("eth_getLogs", [])
                assert large.value.too_much
            else:
                assert endpoint_at(url, 5).request("eth_getLogs", [])["result"] == result


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":0,"error":"words"}',
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":0,"result":' + b"9" * 5000 + b"}",
    ],
)
def test_json_that_is_no_answer_of_a_node_is_refused(body: bytes) -> None:
    def reply(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    with raw_http(reply) as url, pytest.raises(NoAnswer, match="not as an Ethereum node does"):
        endpoint_at(url, 2).request("eth_chainId", [])


# --------------------------------------------------------------------------------------------------------- WebSocket


def echo(connection: ServerConnection) -> None:
    for request in connection:
        connection.send(answer_to(request))


def test_a_websocket_answers_many_threads_each_with_its_own() -> None:
    with websocket_node(echo) as url, ThreadPoolExecutor(4) as pool:
        endpoint = endpoint_at(url, 5)
        results = pool.map(lambda number: endpoint.request("eth_call", [number])["result"], range(50))
        assert list(results) == [[number] for number in range(50)]


def test_an_answer_to_another_request_and_news_are_not_taken_for_the_answer() -> None:
    def chatter(connection: ServerConnection) -> None:
        for request in connection:
            connection.send(json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": {}}))
            connection.send(json.dumps({"jsonrpc": "2.0", "id": 999, "result": "of somebody else"}))
            connection.send(answer_to(request, "mine"))

    with websocket_node(chatter) as url:
        assert endpoint_at(url, 5).request("eth_call", [])["result"] == "mine"


def test_a_websocket_that_was_closed_is_opened_again() -> None:
    connections = []

    def once(connection: ServerConnection) -> None:
        connections.append(connection)
        connection.send(answer_to(connection.recv()))

    with websocket_node(once) as url:
        endpoint = endpoint_at(url, 5)
        for number in range(3):
            assert endpoint.request("eth_call", [number])["result"] == [number]
            deadline = time.monotonic() + 5
            while endpoint._channel.open and time.monotonic() < deadline:  # type: ignore[attr-defined]
                time.sleep(0.01)
    assert len(connections) == 3


def test_a_websocket_that_is_silent_is_given_up_and_asked_on_a_new_connection() -> None:
    asked = []

    def first_silent(connection: ServerConnection) -> None:
        for request in connection:
            asked.append(id(connection))
            if len(asked) > 1:
                connection.send(answer_to(request))

    with websocket_node(first_silent) as url:
        endpoint = endpoint_at(url, 0.3)
        with pytest.raises(NoAnswer, match=rf"at {url} did not answer within 0.3 s") as late:
            endpoint.request("eth_call", [])
        assert late.value.too_much
        assert endpoint.request("eth_call", [7])["result"] == [7]
    assert asked[0] != asked[1]


def test_a_websocket_answer_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonrpc, "LARGEST_ANSWER", 1000)

    def large(connection: ServerConnection) -> None:
        connection.send(answer_to(connection.recv(), "0x" + "00" * 1000))

    with websocket_node(large) as url, pytest.raises(NoAnswer, match="more than 1000 bytes"):
        endpoint_at(url, 5).request("eth_call", [])


def test_a_websocket_offers_no_compression() -> None:
    offered: list[Any] = []

    def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        offered.append(connection.request.headers.get("Sec-WebSocket-Extensions"))
        connection.send(answer_to(connection.recv()))

    with websocket_node(note) as url:
        endpoint_at(url, 5).request("eth_call", [])
    assert offered == [None]


def test_nobody_at_a_websocket_and_something_else_there_are_told_without_secrets() -> None:
    nobody = unused_address().replace("http", "ws")
    with pytest.raises(NoAnswer, match=f"cannot reach an Ethereum node at {nobody}:") as refused:
        endpoint_at(f"{nobody}/secret?key=secret".replace("//", "//user:secret@"), 2).request("eth_call", [])
    assert "secret" not in str(refused.value)

    def forbid(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n\r\n")

    with raw_http(forbid) as url, pytest.raises(NoAnswer, match="HTTP status 429") as busy:
        endpoint_at(url.replace("http", "ws") + "/secret", 2).request("eth_call", [])
    assert busy.value.busy and "secret" not in str(busy.value)


# --------------------------------------------------------------------------------------------------------------- IPC


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_socket_answers_in_pieces_and_several_at_once(tmp_path: Path, end: bytes) -> None:
    def pieces(connection: socket.socket) -> None:
        for request in lines_of(connection):
            late = json.dumps({"jsonrpc": "2.0", "id": 999, "result": {"a": ["}"]}}).encode()
            answer = late + end + answer_to(request).encode() + end
            for start in range(0, len(answer), 7):
                connection.sendall(answer[start : start + 7])

    with ipc_node(tmp_path / "node.ipc", pieces) as path, ThreadPoolExecutor(3) as pool:
        endpoint = endpoint_at(path, 5)
        results = pool.map(lambda number: endpoint.request("eth_call", [{"n": [number]}])["result"], range(20))
        assert list(results) == [[{"n": [number]}] for number in range(20)]


def test_a_socket_that_ends_is_connected_again_and_one_that_is_silent_is_given_up(tmp_path: Path) -> None:
    def once(connection: socket.socket) -> None:
        request = next(lines_of(connection))
        if b"silent" in request:
            time.sleep(0.5)
        else:
            connection.sendall(answer_to(request).encode() + b"\n")

    with ipc_node(tmp_path / "node.ipc", once) as path:
        endpoint = endpoint_at(path, 0.3)
        assert endpoint.request("eth_call", [1])["result"] == [1]
        time.sleep(0.05)
        assert endpoint.request("eth_call", [2])["result"] == [2]
        time.sleep(0.05)
        with pytest.raises(NoAnswer, match="did not answer within 0.3 s"):
            endpoint.request("silent", [])


def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "geth.ipc")
    with pytest.raises(NoAnswer, match=f"cannot reach an Ethereum node at {path}"):
        endpoint_at(path, 1).request("eth_chainId", [])
