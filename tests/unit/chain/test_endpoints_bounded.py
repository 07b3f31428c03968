"""One node at one address, whatever it does: nothing outlasts its time or a stop, fills memory, or leads elsewhere."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode
from websockets.sync.server import ServerConnection

from processor.chain import jsonrpc
from processor.chain.endpoints import endpoint_at
from processor.chain.jsonrpc import DEEPEST, LARGEST_ANSWER, MOST_VALUES, NoAnswer, decode, decode_several
from processor.errors import ChainError, Interrupted
from tests.unit.chain.nodes import ipc_node, unused_address, websocket_node
from tests.unit.chain.test_endpoints import answer_to, lines_of, raw_http

SLACK = 20.0  # seconds that a busy machine may take on top of what is promised
ROOM = 200 * 10**6  # bytes that reading an answer may take

Addressed = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def silent_http(folder: Path) -> Iterator[str]:
    with raw_http(drained) as url:
        yield url


@contextmanager
def silent_websocket(folder: Path) -> Iterator[str]:
    def listen(connection: ServerConnection) -> None:
        for _ in connection:
            pass

    with websocket_node(listen) as url:
        yield url


@contextmanager
def deaf_websocket(folder: Path) -> Iterator[str]:
    """It listens, and never says that it does."""
    with raw_http(drained) as url:
        yield url.replace("http", "ws")


@contextmanager
def silent_socket(folder: Path) -> Iterator[str]:
    with ipc_node(folder / "node.ipc", drained) as path:
        yield path


def drained(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


SILENT = [silent_http, silent_websocket, deaf_websocket, silent_socket]


@pytest.mark.parametrize("silent", SILENT)
def test_a_stop_ends_a_request_that_would_wait_for_long(silent: Addressed, tmp_path: Path) -> None:
    stopping = threading.Event()
    with silent(tmp_path) as address:
        endpoint = endpoint_at(address, 600, stopping.is_set)
        threading.Timer(0.2, stopping.set).start()
        begun = time.monotonic()
        with pytest.raises(Interrupted, match="stopped while the Ethereum node"):
            endpoint.request("eth_chainId", [])
        assert time.monotonic() - begun < SLACK


@pytest.mark.parametrize("silent", [silent_websocket, silent_socket])
def test_a_stop_ends_the_wait_for_ones_turn_too(silent: Addressed, tmp_path: Path) -> None:
    stopping, interrupted = threading.Event(), list[str]()
    with silent(tmp_path) as address:
        endpoint = endpoint_at(address, 600, stopping.is_set)

        def ask() -> None:
            with suppress(Interrupted):
                endpoint.request("eth_chainId", [])
                return
            interrupted.append("yes")

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        stopping.set()
        for thread in threads:
            thread.join(SLACK)
        assert len(interrupted) == 3


@pytest.mark.parametrize("silent", SILENT)
def test_a_request_that_nobody_answers_is_late_in_time(silent: Addressed, tmp_path: Path) -> None:
    with silent(tmp_path) as address:
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match="did not answer within 0.3 s"):
            endpoint_at(address, 0.3).request("eth_chainId", [])
        assert time.monotonic() - begun < SLACK


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_by_nobody(status: int) -> None:
    """Where a node's address leads is decided by who runs this, not by who answers there."""
    asked: list[str] = []

    def elsewhere(connection: socket.socket) -> None:
        asked.append("yes")

    with raw_http(elsewhere) as there:

        def send_on(connection: socket.socket) -> None:
            connection.sendall(f"HTTP/1.1 {status} On\r\nLocation: {there}/\r\nContent-Length: 0\r\n\r\n".encode())

        with raw_http(send_on) as url, pytest.raises(NoAnswer, match=f"sends us on .* status {status}") as refused:
            endpoint_at(url, 5).request("eth_chainId", [])
    assert not asked and there not in str(refused.value)


@pytest.mark.parametrize("line", [b"no colon", b": nameless", b"X\xff: y", b"X" * 70_000, b"Content-Length: x"])
def test_no_answer_brings_the_key_in_an_address_into_a_log(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Libraries log the addresses of answers that they do not understand."""
    caplog.set_level(logging.DEBUG)
    body = b'{"jsonrpc":"2.0","id":0,"result":"0x1"}'

    def reply(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with raw_http(reply) as url, suppress(NoAnswer):
        endpoint_at(f"{url}/v3/secret?key=secret".replace("//", "//user:secret@"), 5).request("eth_chainId", [])
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("id", "believed"), [("0", True), ('"0"', True), ("1", False), ("null", False), ("[0]", False), ('"x"', False)]
)
def test_an_answer_to_another_question_is_not_taken_for_ours(id: str, believed: bool) -> None:
    """As behind a load balancer that mixes up whose answer is whose."""
    body = f'{{"jsonrpc":"2.0","id":{id},"result":"0x1"}}'.encode()

    def reply(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with raw_http(reply) as url:
        endpoint = endpoint_at(url, 30)
        if believed:
            assert endpoint.request("eth_chainId", [])["result"] == "0x1"
        else:
            with pytest.raises(NoAnswer, match="not as an Ethereum node does"):
                endpoint.request("eth_chainId", [])


def test_a_socket_in_the_home_of_nobody_is_a_mistake_in_words() -> None:
    with pytest.raises(ChainError, match="begins with the home of somebody who has none here"):
        endpoint_at("~nobody-by-this-name/geth.ipc", 1)


def test_a_name_below_localhost_is_this_machine() -> None:
    def reply(connection: socket.socket) -> None:
        body = b'{"jsonrpc":"2.0","id":0,"result":"0x1"}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with raw_http(reply) as url:
        answer = endpoint_at(url.replace("127.0.0.1", "node.localhost"), 5).request("eth_chainId", [])
        assert answer["result"] == "0x1"


VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(params=[name for variable in VARIABLES for name in (variable, variable.lower())])
def proxied(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a proxy is asked, that a variable of the environment names."""
    for name in (*VARIABLES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        asked.append(connection.recv(4096))
                        connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=accept)
        thread.start()
        monkeypatch.setenv(request.param, f"http://user:word@127.0.0.1:{listening.getsockname()[1]}")
        yield asked
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_no_proxy_leads_back_to_this_machine(proxied: list[bytes]) -> None:
    port = unused_address().rsplit(":", 1)[1]
    for scheme, host in product(["http", "https", "ws", "wss"], ["127.0.0.1", "localhost", "a.localhost", "127.9.9.9"]):
        with pytest.raises(NoAnswer):
            endpoint_at(f"{scheme}://{host}:{port}", 5).request("eth_chainId", [])
    assert not proxied


def test_a_websocket_elsewhere_is_reached_through_the_proxy_of_http_and_https(proxied: list[bytes]) -> None:
    for scheme in ("ws", "wss"):
        with suppress(NoAnswer):
            endpoint_at(f"{scheme}://node.invalid:8546/secret", 2).request("eth_chainId", [])
    assert proxied and all(asked.startswith(b"CONNECT node.invalid:8546 HTTP/1.1\r\n") for asked in proxied)
    assert not any(b"secret" in asked for asked in proxied)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://", "http://[", "http://h:x"])
def test_a_proxy_of_another_kind_is_named_without_its_address(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(NoAnswer, match="the environment names a proxy"):
        endpoint_at("wss://node.invalid:8546", 5).request("eth_chainId", [])


# ------------------------------------------------------------------------------------------------------------- answers


def answer_with(result: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":0,"result":' + result.encode() + b"}"


def worst(largest: int, values: int) -> dict[str, bytes]:
    """Answers that take the most, within limits of so many bytes and values or just above them."""
    half = values // 2 - 10
    objects = ",".join(['{"":0}'] * half)
    return {
        "objects": answer_with(f"[{objects}]"),
        "too many objects": answer_with("[" + ",".join(['{"":0}'] * (largest // 8)) + "]"),
        "lists in lists": answer_with("[" + ",".join(["[[]]"] * (half // 2)) + "]"),
        "too many lists": answer_with("[" + ",".join(["[]"] * (largest // 4)) + "]"),
        "one object": answer_with("{" + ",".join(f'"{number:x}":{{}}' for number in range(half)) + "}"),
        "numbers": answer_with("[" + ",".join(["9" * 4_200] * (largest // 4_300)) + "]"),
        "texts": answer_with("[" + ",".join(['"xyz"'] * half * 2) + "]"),
        "a text": answer_with('"' + "a" * (largest - 100) + '"'),
        "a text of wide letters": answer_with('"\U0001f600' + "a" * (largest - 100) + '"'),
        "a text of escapes": answer_with('"' + "\\u0000" * (largest // 6 - 100) + '"'),
        "wide letters and objects": answer_with('["\U0001f600' + "a" * (largest - 7 * half - 100) + f'",{objects}]'),
        "deep": answer_with("[" * 100_000 + "]" * 100_000),
        "not over": answer_with("[" * 100_000),
        "white space": b" " * (largest - 100) + answer_with("1"),
        "too long": answer_with('"' + "a" * largest + '"'),
    }


PART = 8
"""What an answer takes grows with its length: the limits are tried at this part of their size."""
WORST = worst(LARGEST_ANSWER // PART, MOST_VALUES // PART)


@pytest.mark.parametrize("answer", WORST.values(), ids=WORST.keys())
def test_the_worst_answers_are_read_or_refused_in_little_memory(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonrpc, "LARGEST_ANSWER", LARGEST_ANSWER // PART)
    monkeypatch.setattr(jsonrpc, "MOST_VALUES", MOST_VALUES // PART)
    readers: list[Callable[[], object]] = [
        lambda: decode(answer, "it"),
        lambda: list(decode_several(bytearray(answer), "it")),
    ]
    for read in readers:
        tracemalloc.start()
        try:
            with suppress(NoAnswer, ValueError):
                read()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most + 2 * len(answer) < ROOM / PART


def test_the_worst_answers_take_less_than_a_second_of_the_processor() -> None:
    slowest = worst(LARGEST_ANSWER, MOST_VALUES)
    for name in ("objects", "one object", "numbers", "wide letters and objects"):
        begun = time.thread_time()
        with suppress(NoAnswer):
            decode(slowest[name], "it")
        assert time.thread_time() - begun < 1, name


def test_very_many_documents_one_after_the_other_are_read_once() -> None:
    documents = bytearray(b'{"jsonrpc":"2.0"}' * 60_000)
    begun = time.thread_time()
    assert len(list(decode_several(documents, "it"))) == 60_000
    assert time.thread_time() - begun < 5  # read again from the next one on each time, they took longer


def test_an_answer_that_is_too_deep_for_what_reads_it_further_on_is_none() -> None:
    deep = DEEPEST - 2
    assert decode(answer_with("[" * deep + "]" * deep), "it")["result"]
    with pytest.raises(NoAnswer, match="not as an Ethereum node does"):
        decode(answer_with("[" * DEEPEST + "]" * DEEPEST), "it")


def test_an_answer_of_too_many_values_may_be_asked_for_in_parts() -> None:
    with pytest.raises(NoAnswer, match=f"or {MOST_VALUES} values") as refused:
        decode(answer_with("[" + "0," * MOST_VALUES + "0]"), "it")
    assert refused.value.too_much


# ---------------------------------------------------------------------------------------------------- WebSocket and IPC


def peak_of(ask: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(NoAnswer):
            ask()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.TEXT, b"", fin=False),
        Frame(Opcode.PING, b"x" * 125),
        Frame(Opcode.PONG, b""),
        Frame(Opcode.TEXT, json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": {}}).encode()),
    ],
    ids=["an endless message", "pings", "pongs", "news"],
)
def test_a_websocket_that_never_comes_to_the_point_is_given_up_and_fills_no_memory(frame: Frame) -> None:
    first = frame.serialize(mask=False)
    more = first if frame.fin else Frame(Opcode.CONT, b"", fin=False).serialize(mask=False)

    def flood(connection: ServerConnection) -> None:
        connection.recv()
        connection.socket.sendall(first)
        while True:
            connection.socket.sendall(more * 1_000)

    with websocket_node(flood) as url:
        assert peak_of(lambda: endpoint_at(url, 0.5).request("eth_call", [])) < 40 * 10**6


def test_pings_that_came_in_the_meantime_do_not_keep_a_question_from_its_answer() -> None:
    def ping(connection: ServerConnection) -> None:
        for request in connection:
            connection.send(answer_to(request))
            connection.socket.sendall(Frame(Opcode.PING, b"there?").serialize(mask=False) * 50)

    with websocket_node(ping) as url:
        endpoint = endpoint_at(url, 30)
        assert [endpoint.request("eth_call", [number])["result"] for number in range(5)] == [[n] for n in range(5)]


def test_a_socket_whose_answer_seems_to_end_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read all of it each time would take longer than it may."""
    monkeypatch.setattr(jsonrpc, "LARGEST_ANSWER", 200_000)

    def tease(connection: socket.socket) -> None:
        next(lines_of(connection))
        connection.sendall(b'{"jsonrpc":"2.0","result":[')
        for _ in range(10_000):
            connection.sendall(b"[]" + b" " * 1_000 + b"[]")

    with ipc_node(tmp_path / "node.ipc", tease) as path, pytest.raises(NoAnswer):
        endpoint_at(path, SLACK).request("eth_call", [])
