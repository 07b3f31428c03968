"""A small HTTP server next to a daemon: /metrics for Prometheus, /healthz for whoever restarts what hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from processor.daemons.serving import BoundedServer, refusal_to_listen, running
from processor.metrics import Metrics

MOST_CONNECTIONS = 16
"""Answered at a time."""
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
    with refusal_to_listen(
        f"metrics cannot be served at {host}:{port}: {{}}. Name another address as metrics, or none"
    ):
        server = _Server(host, port, metrics)
    with running(server, "health"):
        yield


class _Server(BoundedServer):
    def __init__(self, host: str, port: int, metrics: Metrics) -> None:
        self.metrics = metrics
        super().__init__(host, port, _Handler, MOST_CONNECTIONS)


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
