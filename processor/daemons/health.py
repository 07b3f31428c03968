"""A small HTTP server next to a daemon: /metrics for Prometheus, /healthz for whoever restarts what hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from processor.daemons.serving import BoundedHandler, BoundedServer, refusal_to_listen, running
from processor.metrics import Metrics

MOST_CONNECTIONS = 16
"""Answered at a time."""
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


class _Handler(BoundedHandler):
    server: _Server

    def do_GET(self) -> None:
        self.arrived()
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self.answer(200, CONTENT_TYPE_LATEST, generate_latest(self.server.metrics.registry))
        elif path == "/healthz":
            healthy, words = self.server.metrics.healthy(self.server.metrics.ticks())
            self.answer(200 if healthy else 503, TEXT, f"{words}\n".encode())
        else:
            self.refuse(404, "here are /metrics and /healthz")

    do_HEAD = do_GET
