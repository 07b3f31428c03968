"""A server of raw bytes: each connection, or each request on one, is answered by steps instead of by a protocol."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

HEARD = 2.0
"""Seconds for which the rest of a request is waited for."""


@dataclass(frozen=True)
class Send:
    """Bytes at once."""

    data: bytes


@dataclass(frozen=True)
class Dribble:
    """Bytes one by one, `pause` seconds apart."""

    data: bytes
    pause: float = 0.05


@dataclass(frozen=True)
class Endless:
    """The same bytes over and over, until the client has had enough; `pause` seconds apart."""

    data: bytes
    pause: float = 0.0


@dataclass(frozen=True)
class Silence:
    """Nothing more, and the connection stays open."""


@dataclass(frozen=True)
class Reset:
    """The connection ends as by a crash."""


Step = Send | Dribble | Endless | Silence | Reset


@dataclass(frozen=True)
class Answer:
    """What is done with a request. One that is `deaf` is answered before it is read; after an answer that does not
    `stay`, the connection is closed."""

    steps: tuple[Step, ...]
    deaf: bool = False
    stay: bool = False


def answer(*steps: Step | bytes, deaf: bool = False, stay: bool = False) -> Answer:
    return Answer(tuple(Send(step) if isinstance(step, bytes) else step for step in steps), deaf, stay)


@dataclass
class Server:
    """Answers each request by what `answers` gives for its first line; `sent` counts the bytes that were taken, and
    `heard` are the first lines, or the `whole` heads. With a `tls` context its connections begin as that says."""

    answers: Callable[[str], Answer]
    tls: ssl.SSLContext | None = None
    whole: bool = False
    sent: int = 0
    connections: int = 0
    heard: list[str] = field(default_factory=list)
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: list[socket.socket] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[Self]:
        with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
            self.port = listener.getsockname()[1]
            with self._accepting(listener):
                yield self

    @contextmanager
    def _accepting(self, listener: socket.socket) -> Iterator[None]:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        try:
            yield
        finally:
            self.ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            with self._lock:
                for connection in self._open:
                    _shut(connection)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if self.ended.is_set():
                    connection.close()
                    return
                self._open.append(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 << 10)
            connection.settimeout(HEARD)
            talk = connection if self.tls is None else self.tls.wrap_socket(connection.dup(), server_side=True)
            with talk:
                while self._one(talk):
                    pass
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.remove(connection)
                connection.close()

    def _one(self, connection: socket.socket) -> bool:
        asked, rest = _head(connection)
        if not asked:
            return False
        first = asked.split("\r\n")[0]
        self.heard.append(asked if self.whole else first)
        told = self.answers(first)
        if not told.deaf:
            _body(connection, rest)
        connection.settimeout(None)
        for step in told.steps:
            self._play(connection, step)
        connection.settimeout(HEARD)
        return told.stay

    def _play(self, connection: socket.socket, step: Step) -> None:
        if isinstance(step, Send):
            self._send(connection, step.data)
        elif isinstance(step, Dribble):
            for byte in step.data:
                self._send(connection, bytes((byte,)))
                if self.ended.wait(step.pause):
                    return
        elif isinstance(step, Endless):
            while not self.ended.wait(step.pause) if step.pause else not self.ended.is_set():
                self._send(connection, step.data)
        elif isinstance(step, Silence):
            connection.settimeout(None)
            while connection.recv(1 << 16):
                pass
        else:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionError

    def _send(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        with self._lock:
            self.sent += len(data)


def _head(connection: socket.socket) -> tuple[str, bytes]:
    """The head of a request, and what came behind it."""
    came = b""
    while b"\r\n\r\n" not in came:
        piece = connection.recv(1 << 16)
        if not piece:
            return "", b""
        came += piece
    head, _, rest = came.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    if b"transfer-encoding: chunked" in head.lower():
        length = -1
    return head.decode("latin-1") + "\r\n", struct.pack("q", length) + rest


def _body(connection: socket.socket, told: bytes) -> None:
    length, came = struct.unpack("q", told[:8])[0], told[8:]
    while not came.endswith(b"0\r\n\r\n") if length < 0 else len(came) < length:
        piece = connection.recv(1 << 16)
        if not piece:
            return
        came = came[-8:] + piece if length < 0 else came + piece


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def in_turn(answers: Sequence[Answer]) -> Callable[[str], Answer]:
    """One answer after the other, the last one again and again."""
    left = list(answers)
    return lambda first: left.pop(0) if len(left) > 1 else left[0]
