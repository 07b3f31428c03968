"""Waiting for the next block: news ends a wait, and neither a node's trouble nor its silence does any harm."""

from __future__ import annotations

import json
import queue
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from websockets.sync.server import ServerConnection

from processor.chain import heads
from processor.chain.heads import Heads
from tests.unit.chain.nodes import unused_address, websocket_node

LONG = 30.0


class NewsNode:
    """A node that takes subscriptions and sends what a test puts into `news`; None closes the connection."""

    def __init__(self) -> None:
        self.news: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.subscriptions = 0

    def __call__(self, connection: ServerConnection) -> None:
        asked = json.loads(connection.recv())
        assert (asked["method"], asked["params"]) == ("eth_subscribe", ["newHeads"])
        connection.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"}))
        self.subscriptions += 1
        while (message := self.news.get(timeout=LONG)) is not None:
            connection.send(message)


NEWS = json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": {}}})


def waited(waiting: Heads, seconds: float = LONG) -> float:
    start = time.monotonic()
    waiting.wait(seconds, threading.Event())
    return time.monotonic() - start


def test_without_a_websocket_the_wait_is_the_pause() -> None:
    with Heads(["http://127.0.0.1:1", "/data/geth.ipc"]) as waiting:
        assert 0.2 <= waited(waiting, 0.2) < 5
        assert not waiting._thread.is_alive()


def test_a_new_block_ends_the_wait_also_one_that_came_before_it() -> None:
    node = NewsNode()
    with websocket_node(node) as url, Heads(["http://127.0.0.1:1", url]) as waiting:
        assert waited(waiting) < LONG / 2  # the subscription itself: there may have been blocks before
        threading.Timer(0.1, node.news.put, [NEWS]).start()
        assert 0.05 < waited(waiting) < LONG / 2
        node.news.put(NEWS)
        deadline = time.monotonic() + LONG
        while not waiting._news.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert waited(waiting) < 2 * heads.LEAST_WAIT
        assert waited(waiting, 0.3) >= 0.3  # one piece of news ends one wait
        node.news.put(json.dumps({"jsonrpc": "2.0", "id": 5, "result": "no news"}))
        assert waited(waiting, 0.3) >= 0.3
        node.news.put(None)


def test_what_ends_on_this_machine_ends_the_wait_without_the_least_that_blocks_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heads, "LEAST_WAIT", LONG)
    done = threading.Event()
    with Heads([], done) as waiting:
        done.set()
        assert waited(waiting) < LONG / 2
        assert not done.is_set(), "it ends one wait"
        threading.Timer(0.1, done.set).start()
        assert waited(waiting) < LONG / 2


def test_a_node_that_floods_with_news_hurries_nobody() -> None:
    flooding = threading.Event()

    def flood(connection: ServerConnection) -> None:
        asked = json.loads(connection.recv())
        connection.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"}))
        while not flooding.is_set():
            connection.send(NEWS)

    with websocket_node(flood) as url, Heads([url]) as waiting:
        try:
            assert waited(waiting) < LONG / 2
            for _ in range(3):
                assert heads.LEAST_WAIT <= waited(waiting) < LONG / 2
            assert waited(waiting, 0.05) < heads.LEAST_WAIT  # nor is anybody held up who polls more often
        finally:
            flooding.set()


def test_stopping_ends_the_wait_also_from_a_signal_handler() -> None:
    stopping = threading.Event()
    previous = signal.signal(signal.SIGALRM, lambda number, frame: stopping.set())
    try:
        with Heads([]) as waiting:
            start = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            waiting.wait(LONG, stopping)
            assert stopping.is_set()
            assert time.monotonic() - start < 0.2 + LONG / 10
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_a_node_that_has_no_news_is_asked_whether_it_is_there_and_left_where_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection may end without a word to either side."""
    monkeypatch.setattr(heads, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(heads, "_SILENCE", 0.1)
    heard: list[list[str]] = []
    enough = threading.Event()

    def silent(connection: ServerConnection) -> None:
        asked: list[str] = []
        heard.append(asked)
        for request in connection:
            question = json.loads(request)
            asked.append(question["method"])
            if question["method"] == "eth_subscribe" or len(asked) < 3:
                connection.send(json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": "0x1"}))
            if ["eth_subscribe", "eth_chainId"] in [each[:2] for each in heard[:-1]]:
                enough.set()

    with websocket_node(silent) as url, Heads([url]):
        assert enough.wait(60), heard


def test_the_end_of_the_block_ends_an_attempt_to_connect_too() -> None:
    """Also with a server that never says whether it will."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with Heads([f"ws://127.0.0.1:{port}"]) as waiting:
            connection, _ = listening.accept()
        with connection:
            waiting._thread.join(LONG)
            assert not waiting._thread.is_alive()


def test_a_connection_that_ends_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_FIRST_PAUSE", 0.05)
    node = NewsNode()
    with capture_logs() as logs, websocket_node(node) as url, Heads([url]) as waiting:
        for subscriptions in (1, 2, 3):
            assert waited(waiting) < LONG / 2
            assert node.subscriptions == subscriptions
            node.news.put("no JSON" if subscriptions == 2 else None)
        node.news.put(None)
        node.news.put(None)
    assert {line["event"] for line in logs} == {"no news of blocks"}


def test_a_node_that_gives_no_news_or_is_not_there_is_told_once_without_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(heads, "_FIRST_PAUSE", 0.02)
    refused = []

    def refuse(connection: ServerConnection) -> None:
        asked = json.loads(connection.recv())
        error = {"code": -32601, "message": "notifications not supported"}
        connection.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}))
        refused.append(asked)

    nobody = unused_address().replace("http://", "ws://user:secret@") + "/secret"
    with capture_logs() as logs, websocket_node(refuse) as url, Heads([nobody, url]) as waiting:
        assert waited(waiting, 0.5) >= 0.5
        assert waiting._thread.is_alive()
    assert len(refused) > 1
    assert len(logs) == 1 and "secret" not in str(logs)


def test_the_thread_ends_with_the_block() -> None:
    node = NewsNode()
    with websocket_node(node) as url:
        with Heads([url]) as waiting:
            waited(waiting)
        assert not waiting._thread.is_alive()
        node.news.put(None)
