"""A small HTTP server in a thread of a daemon, which no crowd of askers can exhaust.

Threads, memory and time are bounded whatever is sent: so many connections are answered at a time, of each so many bytes
are read in so many seconds, and who is slow makes room for others where all places are taken.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from processor.errors import ConfigurationError

HEAD_LIMIT = 8 * 1024
"""Bytes of a request without its body."""
WHOLE_REQUEST = 10.0
"""Seconds in which a request must have arrived."""
SILENCE = 5.0
"""Seconds that somebody who asks may be silent, or not take the answer."""
GRACE = 1.0
"""Seconds that a request may take to arrive even where others wait for its place."""
ROOM = 0.5
"""Seconds that somebody waits for the place of a request that was cut off."""
LAST_ANSWERS = 5.0
"""Seconds that a server which closes waits for the answers that it is about to give."""
_PAUSE = 0.1  # seconds, where the system gives no connection


class BoundedServer(ThreadingHTTPServer):
    """Answers at most `most` connections at a time; who comes beyond that is turned away, so that nobody can exhaust
    the daemon's threads. The oldest request that does not arrive makes room after its time of grace."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256  # who waits to be accepted is looked at within milliseconds

    def __init__(self, host: str, port: int, handler: type[BoundedHandler], most: int) -> None:
        self._most = most
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._arriving: dict[socket.socket, float] = {}  # and when each was accepted, the oldest first
        [(family, *_, address), *_others] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family = family
        super().__init__((str(address[0]), port), handler)

    def server_bind(self) -> None:
        """Binds without asking the name server who this is, as the standard library would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def server_close(self) -> None:
        """Listens no more, cuts off what arrives, and lets what arrived be answered."""
        super().server_close()
        deadline = time.monotonic() + LAST_ANSWERS
        for _ in range(self._most):
            self._cut_oldest(older_than=0.0)
        for _ in range(self._most):
            if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:  # too many open files, say: whoever waits to be accepted would be looked at without a pause
            time.sleep(_PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False) and not self._room():
            self.shutdown_request(request)
            return
        with self._lock:
            self._arriving[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no thread: nobody else will let go
            self.arrived(request)
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.arrived(request)
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asks and goes away is no event of the daemon's."""

    def arrived(self, request: socket.socket) -> None:
        """The request is whole, and keeps its place until it is answered."""
        with self._lock:
            self._arriving.pop(request, None)

    def _room(self) -> bool:
        return self._cut_oldest(older_than=GRACE) and self._free.acquire(timeout=ROOM)

    def _cut_oldest(self, older_than: float) -> bool:
        """Cuts off the request that has been arriving for longest, if that is longer than so many seconds."""
        with self._lock:
            oldest = next(iter(self._arriving), None)
            if oldest is None or time.monotonic() - self._arriving[oldest] < older_than:
                return False
            del self._arriving[oldest]
        with suppress(OSError):  # it has gone already
            oldest.shutdown(socket.SHUT_RDWR)
        return True


class _Incoming(io.RawIOBase):
    """What a connection sends, up to so many bytes and until a time of the monotonic clock."""

    def __init__(self, connection: socket.socket, limit: int, deadline: float) -> None:
        self._connection, self._left, self._deadline = connection, limit, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            raise http.client.HTTPException("the request is too large")
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request takes too long")
        self._connection.settimeout(min(SILENCE, left))
        size = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= size
        return size


class BoundedHandler(BaseHTTPRequestHandler):
    """Reads one request, of at most `HEAD_LIMIT` bytes and `body_limit` of a body, in at most `WHOLE_REQUEST` seconds.

    Whoever derives from it calls `arrived` once there is nothing more to read, before whatever may take its time.
    """

    server: BoundedServer
    body_limit = 0
    server_version = "koinon"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        limit, deadline = HEAD_LIMIT + self.body_limit, time.monotonic() + WHOLE_REQUEST
        self.rfile = io.BufferedReader(cast(io.RawIOBase, _Incoming(self.connection, limit, deadline)))

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except http.client.HTTPException:
            self.requestline = self.request_version = self.command = ""
            self.send_error(431)

    def arrived(self) -> None:
        self.server.arrived(self.connection)
        self.connection.settimeout(SILENCE)

    def answer(self, status: int, kind: str, content: bytes) -> None:
        """Sends all of an answer, whose content type is `kind`."""
        self.arrived()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses by itself, in one line."""
        self.close_connection = True
        self.refuse(int(code), message or http.client.responses.get(int(code), "this is no request that is known here"))

    def refuse(self, status: int, words: str) -> None:
        self.answer(status, "text/plain; charset=utf-8", f"{words}\n".encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged: anybody may send any number."""


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
