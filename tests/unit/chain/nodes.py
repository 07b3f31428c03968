"""Nodes that say what a test wants, on real sockets: HTTP, WebSocket and IPC."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

Answer = Callable[[str, Any], Any]


@dataclass
class Scripted:
    """A node of chain 1 at block `head`; `says` has other results by method, an error as a dict with a code.

    `status` is the HTTP status. Keeps what it was `asked`.
    """

    chain: int = 1
    head: int = 100
    says: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, request: bytes | str) -> dict[str, Any]:
        asked = json.loads(request)
        self.asked.append(asked["method"])
        result = {
            "eth_chainId": hex(self.chain),
            "eth_blockNumber": hex(self.head),
            "eth_getBlockByNumber": {"number": hex(self.head)},
        }.get(asked["method"])
        result = self.says.get(asked["method"], result)
        kind = "error" if isinstance(result, dict) and "code" in result else "result"
        return {"jsonrpc": "2.0", "id": asked["id"], kind: result}

    def count(self, method: str) -> int:
        return self.asked.count(method)


@contextmanager
def http_node(node: Scripted) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(node.answer(self.rfile.read(int(self.headers["Content-Length"])))).encode()
            self.send_response(node.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def websocket_node(handler: Callable[[ServerConnection], None], port: int = 0) -> Iterator[str]:
    """Yields the address of a WebSocket server whose connections `handler` serves."""

    connections: list[ServerConnection] = []

    def served(connection: ServerConnection) -> None:
        connections.append(connection)
        with suppress(ConnectionClosed, OSError):
            handler(connection)

    with serve(served, "127.0.0.1", port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()
            for connection in connections:
                connection.close_socket()


@contextmanager
def ipc_node(path: Path, handler: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yields the path of a socket whose connections `handler` serves, one after the other."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connections.append(connection)
                with connection, suppress(OSError):
                    handler(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield str(path)
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join()


def unused_address() -> str:
    """Where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
