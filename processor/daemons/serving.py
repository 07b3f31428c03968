"""A small HTTP server in a thread of a daemon, which no crowd of askers can exhaust."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from processor.errors import ConfigurationError


class BoundedServer(ThreadingHTTPServer):
    """Answers at most `most` connections at a time; who comes beyond that is turned away, so that nobody can exhaust
    the daemon's threads."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler], most: int) -> None:
        self.request_queue_size = most
        self._free = threading.BoundedSemaphore(most)
        [(family, *_, address), *_others] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family = family
        super().__init__((str(address[0]), port), handler)

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


@contextmanager
def refusal_to_listen(sentence: str) -> Iterator[None]:
    """Turns what a server meets at its start into a ConfigurationError; the reason takes the place of {} in the
    sentence."""
    try:
        yield
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(sentence.format(getattr(error, "strerror", None) or error)) from None


@contextmanager
def running(server: BoundedServer, name: str) -> Iterator[int]:
    """Lets the server answer in a thread of that name during the block, and gives its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name=name, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
