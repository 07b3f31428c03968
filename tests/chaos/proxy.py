"""What stands between a daemon and a node: a proxy that can be made to misbehave, and that remembers."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from eth_utils.crypto import keccak

from tests.chaos.tunnel import relay

UPSTREAM_PATIENCE = 60.0
LONGEST_STALL = 60.0
KEYED = "/v3/"
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "trailer", "te", "upgrade"})
_NO_TUNNEL = frozenset({"authorization", "sec-websocket-extensions"})
_WITH_BLOCK = {  # JSON-RPC methods by the place of the block in their parameters
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getBlockByNumber": 0,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
}


class Trouble(Enum):
    """How a proxy misbehaves."""

    DROP = "connections are reset as they come"
    DELAY = "answers come late"
    STALL = "requests are never answered"
    GARBLE = "every answer is an error page"
    TRUNCATE = "answers break off in the middle"
    CORRUPT = "bytes of the answers are changed"
    DEAFEN = "requests are carried out, and their answers lost"
    SWALLOW = "transactions are taken, and thrown away"
    STALE = "the chain stands still at a block"


@dataclass(frozen=True, eq=False)
class Fault:
    """A trouble that lasts from `begin` to `end`; `amount` is seconds of delay, or the block at which time stopped."""

    trouble: Trouble
    amount: float = 0.0


class Proxy:
    """Listens on a port of this machine and passes HTTP and WebSockets on to `upstream` (host and port). A WebSocket
    breaks, or is slow, where requests would fail or be slow, and knows no other trouble.

    `random` decides which bytes are changed. Before anything is done about a request, `on_broadcast` gets the raw
    transaction in it, if it sends one, and `on_request` its JSON-RPC method or its path.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        random: random.Random,
        on_broadcast: Callable[[str], object] = lambda raw: None,
        on_request: Callable[[str], object] = lambda request: None,
    ) -> None:
        self.upstream = upstream
        self.random = random
        self.on_broadcast = on_broadcast
        self.on_request = on_request
        self.answered = 0
        self._faults: list[Fault] = []
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def begin(self, fault: Fault) -> None:
        """Misbehaves from now on, as well as whatever else is wrong."""
        with self._changed:
            self._faults.append(fault)

    def end(self, fault: Fault) -> None:
        """Misbehaves no more in this way; whoever waits for an answer is let go."""
        with self._changed:
            self._faults.remove(fault)
            self._changed.notify_all()

    def active(self, trouble: Trouble) -> Fault | None:
        with self._changed:
            return next((fault for fault in self._faults if fault.trouble is trouble), None)

    def wait_for_end(self, fault: Fault) -> None:
        with self._changed:
            self._changed.wait_for(lambda: fault not in self._faults, LONGEST_STALL)

    def close(self) -> None:
        with self._changed:
            self._faults.clear()
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Peers that are killed break their connections: that is what this is for."""


@dataclass
class _Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a daemon; keeps one to the upstream."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one packet
    server: _Server
    _upstream: http.client.HTTPConnection | None = None

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._tunnel()
        else:
            self.do_POST()

    def do_POST(self) -> None:
        proxy = self.server.proxy
        body = b"".join(self._request_body())
        self._heard(body)
        if proxy.active(Trouble.DROP):
            return self._reset()
        if stall := proxy.active(Trouble.STALL):
            proxy.wait_for_end(stall)
            return self._reset()
        if delay := proxy.active(Trouble.DELAY):
            time.sleep(delay.amount)
        if proxy.active(Trouble.GARBLE):
            return self._send(_Answer(502, [("Content-Type", "text/html")], b"<html>Bad Gateway</html>"))
        answer = self._answer(body)
        if answer is None or proxy.active(Trouble.DEAFEN):
            return self._reset()
        if proxy.active(Trouble.CORRUPT) and answer.body:
            answer.body = corrupted(answer.body, proxy.random)
        if proxy.active(Trouble.TRUNCATE) and answer.body:
            return self._send(answer, len(answer.body) // 2)
        proxy.answered += 1
        return self._send(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """The daemons' own logs are what counts."""

    def _answer(self, body: bytes) -> _Answer | None:
        proxy = self.server.proxy
        swallow, stale = proxy.active(Trouble.SWALLOW), proxy.active(Trouble.STALE)
        if swallow and b"eth_sendRawTransaction" in body:
            return _swallowed(json.loads(body))
        if stale and self.path.startswith("/") and body.startswith(b"{"):
            return _at_block(json.loads(body), int(stale.amount), self._forward)
        return self._forward(body)

    def _tunnel(self) -> None:
        """A WebSocket: the same handshake with the node, without extensions, and then bytes."""
        proxy = self.server.proxy
        self.close_connection = True
        if _cut(proxy):
            return self._reset()
        try:
            node = socket.create_connection(proxy.upstream, UPSTREAM_PATIENCE)
        except OSError:
            return self._reset()
        with node:
            headers = [pair for pair in self.headers.items() if pair[0].lower() not in _NO_TUNNEL]
            lines = [f"GET {_without_key(self.path)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
            node.sendall("\r\n".join([*lines, "", ""]).encode())

            def delay() -> float:
                fault = proxy.active(Trouble.DELAY)
                return fault.amount if fault else 0.0

            relay(self.connection, node, lambda: _cut(proxy), delay, self._heard)
        return self._reset()

    def _heard(self, body: bytes) -> object:
        proxy = self.server.proxy
        if not body.startswith(b"{"):
            return proxy.on_request(self.path)
        request = json.loads(body)
        if request["method"] == "eth_sendRawTransaction":
            proxy.on_broadcast(request["params"][0])
        return proxy.on_request(request["method"])

    def _forward(self, body: bytes) -> _Answer | None:
        for fresh in (False, True):  # a connection that was idle may be closed: then once more
            if fresh or self._upstream is None:
                self._upstream = http.client.HTTPConnection(*self.server.proxy.upstream, timeout=UPSTREAM_PATIENCE)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._upstream.request(self.command, _without_key(self.path), body, headers)
                response = self._upstream.getresponse()
                kept = [pair for pair in response.getheaders() if pair[0].lower() not in _HOP_BY_HOP]
                return _Answer(response.status, kept, response.read())
            self._upstream.close()
        return None

    def _request_body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _send(self, answer: _Answer, only: int | None = None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[:only])
        self.wfile.flush()
        if only is not None:
            self._reset()

    def _reset(self) -> None:
        """Closes the connection as a machine does that has lost it."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut(proxy: Proxy) -> bool:
    """Whether a WebSocket through the proxy breaks now."""
    return any(proxy.active(trouble) for trouble in (Trouble.DROP, Trouble.STALL, Trouble.GARBLE, Trouble.TRUNCATE))


def _without_key(path: str) -> str:
    """The path at the node itself: a provider's addresses end in a key, which is the proxy's affair."""
    return "/" if path.startswith(KEYED) else path


def corrupted(body: bytes, random: random.Random) -> bytes:
    """The same number of bytes, at least one of them another."""
    changed = bytearray(body)
    for _ in range(1 + len(body) // 4096):
        changed[random.randrange(len(body))] ^= random.randrange(1, 256)
    return bytes(changed) if changed != body else corrupted(body, random)


def _swallowed(request: Mapping[str, Any]) -> _Answer:
    tx_hash = "0x" + keccak(hexstr=request["params"][0]).hex()
    return _said({"jsonrpc": "2.0", "id": request["id"], "result": tx_hash})


def _at_block(request: dict[str, Any], block: int, forward: Callable[[bytes], _Answer | None]) -> _Answer | None:
    """What a node would answer whose chain ends with `block`."""
    method, params = request["method"], list(request.get("params", []))
    if method == "eth_blockNumber":
        return _said({"jsonrpc": "2.0", "id": request["id"], "result": hex(block)})
    place = _WITH_BLOCK.get(method)
    if place is not None:
        named = params[place] if len(params) > place else "latest"
        if _number(named, block) > block:
            return _unknown_block(request)
        params[place:] = [hex(block) if named in ("latest", "pending") else named, *params[place + 1 :]]
    if method == "eth_getLogs" and "fromBlock" in params[0]:
        params[0] = {**params[0], "toBlock": hex(min(block, _number(params[0].get("toBlock"), block)))}
    answer = forward(json.dumps({**request, "params": params}).encode())
    if answer is None or method not in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
        return answer
    said = json.loads(answer.body)
    found = said.get("result")
    if found and found.get("blockNumber") and int(found["blockNumber"], 16) > block:
        pending = {**found, "blockNumber": None, "blockHash": None, "transactionIndex": None}
        return _said({**said, "result": None if method == "eth_getTransactionReceipt" else pending})
    return answer


def _unknown_block(request: Mapping[str, Any]) -> _Answer:
    if request["method"] == "eth_getBlockByNumber":
        return _said({"jsonrpc": "2.0", "id": request["id"], "result": None})
    return _said({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "header not found"}})


def _number(named: Any, otherwise: int) -> int:
    return int(named, 16) if isinstance(named, str) and named.startswith("0x") else otherwise


def _said(response: Mapping[str, Any]) -> _Answer:
    return _Answer(200, [("Content-Type", "application/json")], json.dumps(response).encode())
