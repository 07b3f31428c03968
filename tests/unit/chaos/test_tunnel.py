from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.chaos.proxy import Fault, Proxy, Trouble
from tests.chaos.tunnel import Frames

RAW = "0x02c0"


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@pytest.fixture
def broadcasts() -> list[str]:
    return []


@pytest.fixture
def proxy(broadcasts: list[str]) -> Iterator[Proxy]:
    with serve(echo, "127.0.0.1", 0) as node:
        threading.Thread(target=node.serve_forever, daemon=True).start()
        with Proxy(node.socket.getsockname()[:2], random.Random(0), broadcasts.append) as proxy:
            yield proxy


def test_a_websocket_goes_through_and_its_broadcasts_are_remembered(proxy: Proxy, broadcasts: list[str]) -> None:
    with connect(f"ws://127.0.0.1:{proxy.port}/v3/key", proxy=None) as socket:
        for method in ("eth_blockNumber", "eth_sendRawTransaction"):
            request = json.dumps({"method": method, "params": [RAW]})
            socket.send(request)
            assert socket.recv(timeout=5) == request
    assert broadcasts == [RAW]


def test_a_fault_breaks_a_websocket_and_its_end_lets_another_through(proxy: Proxy) -> None:
    fault = Fault(Trouble.DROP)
    with connect(f"ws://127.0.0.1:{proxy.port}", proxy=None) as socket:
        proxy.begin(fault)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)
    with pytest.raises((ConnectionError, InvalidMessage)):
        connect(f"ws://127.0.0.1:{proxy.port}", proxy=None)
    proxy.end(fault)
    with connect(f"ws://127.0.0.1:{proxy.port}", proxy=None) as socket:
        socket.send("again")
        assert socket.recv(timeout=5) == "again"


@given(st.lists(st.text(max_size=300).map(str.encode), max_size=5), st.integers(1, 200), st.booleans())
def test_messages_are_read_however_their_frames_are_cut(messages: list[bytes], size: int, parts: bool) -> None:
    stream = b""
    for message in messages:
        if parts:
            stream += Frame(Opcode.TEXT, message[:7], fin=False).serialize(mask=True)
            stream += Frame(Opcode.PING, b"between").serialize(mask=True)
            stream += Frame(Opcode.CONT, message[7:]).serialize(mask=True)
        else:
            stream += Frame(Opcode.TEXT, message).serialize(mask=True)
    frames = Frames()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [message for piece in pieces for message in frames.feed(piece)] == messages
