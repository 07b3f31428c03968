"""A small HTTP server beside a daemon: /metrics for Prometheus, /healthz for whoever restarts what hangs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from processor.errors import ConfigurationError
from processor.metrics import Metrics

MOST_CONNECTIONS = 16
"""Answered at a time; who comes beyond that is turned away, so that nobody can exhaust the daemon's threads."""
PATIENCE = 5.0
"""Seconds that somebody who asks may be silent."""
TEXT = "text/plain; charset=utf-8"


@contextmanager
def served(metrics: Metrics, endpoint: tuple[str, int] | None) -> Iterator[None]:
    """Serves the metrics at host and port during the block; nothing where there is no endpoint.

    Raises ConfigurationError where nobody can listen there.
    """
    if endpoint is None:
        yield
        return
    host, port = endpoint
    try:
        server = _Server(host, port, metrics)
    except (OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"metrics cannot be served at {host}:{port}: {words}. Name another address as metrics, or none"
        ) from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, metrics: Metrics) -> None:
        self.metrics = metrics
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        [(family, *_, address), *_others] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family = family
        super().__init__((str(address[0]), port), _Handler)

    def server_bind(self) -> None:
        """Binds without asking the name server who this is, as the standard library would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no thread: nobody else will let go
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asks and goes away is no event of the daemon's."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE
    server_version = "koinon"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(self.server.metrics.registry))
        elif path == "/healthz":
            healthy, words = self.server.metrics.healthy(self.server.metrics.ticks())
            self._answer(200 if healthy else 503, TEXT, f"{words}\n".encode())
        else:
            self._answer(404, TEXT, b"here are /metrics and /healthz\n")

    do_HEAD = do_GET

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged: one comes every few seconds, for ever."""
