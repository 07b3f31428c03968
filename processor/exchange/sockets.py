"""Sockets that keep to the limits of the exchange they are used in, whatever the protocol on top waits for."""

from __future__ import annotations

import io
import select
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from processor.exchange.addresses import Kind
from processor.exchange.limits import ExchangeError, Limits, Reason, current, wait_until

LONGEST_LINE = 64 * 1024
"""Bytes of a line of HTTP: a status, a header, the size of a chunk, a trailer."""

_PIECE = 256 * 1024  # bytes that are handed to the system at once, so that the limits are looked at in between

Did = TypeVar("Did")


class _Guarded(socket.socket):
    """What plain and encrypted sockets share. `settimeout` says how long the other side may be silent.

    The limits are those that the socket is bound to, or else those of the exchange that the calling thread is in. A
    socket in no exchange keeps to its time-out alone.
    """

    bound: Limits | None = None
    kind: Kind | None = None
    _silence: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._silence = value
        super().settimeout(0.0)

    def gettimeout(self) -> float | None:
        return self._silence

    def setblocking(self, flag: bool) -> None:
        self.settimeout(None if flag else 0.0)

    def makefile(self, mode: str = "r", buffering: int | None = None, **options: Any) -> Any:
        if mode != "rb" or buffering == 0:
            return super().makefile(mode, buffering, **options)  # type: ignore[call-overload]
        return _Lines(super().makefile("rb", 0), io.DEFAULT_BUFFER_SIZE)

    def _limits(self) -> Limits | None:
        return self.bound or current()

    def _when_ready(self, act: Callable[[], Did], event: int) -> Did:
        limits = self._limits()
        if limits is not None:
            limits.left()
            limits.meet(self.kind)
        while True:
            try:
                return act()
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                if self._silence == 0.0 and isinstance(error, BlockingIOError):
                    raise
                wanted = select.POLLIN if isinstance(error, ssl.SSLWantReadError) else event
                wanted = select.POLLOUT if isinstance(error, ssl.SSLWantWriteError) else wanted
                ready = partial(self.is_ready, wanted)
            wait_until(ready, limits, self._silence)

    def is_ready(self, event: int, seconds: float) -> bool:
        """Whether one of the events of `select.poll` comes within some seconds."""
        poll = select.poll()
        poll.register(self.fileno(), event)
        return bool(poll.poll(seconds * 1000))

    def _came(self, count: int) -> None:
        limits = self._limits()
        if limits is not None:
            limits.receive(count)

    def _went(self, count: int) -> None:
        limits = self._limits()
        if limits is not None:
            limits.send(count)


class GuardedSocket(_Guarded):
    """A TCP or Unix socket."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        super().__init__(family, type, proto, fileno)
        self.settimeout(None)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        data = self._when_ready(lambda: super(_Guarded, self).recv(bufsize, flags), select.POLLIN)
        if not flags & socket.MSG_PEEK:
            self._came(len(data))
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        count = self._when_ready(lambda: super(_Guarded, self).recv_into(buffer, nbytes, flags), select.POLLIN)
        self._came(count)
        return count

    def send(self, data: Any, flags: int = 0) -> int:
        piece = memoryview(data).cast("B")[:_PIECE]
        count = self._when_ready(lambda: super(_Guarded, self).send(piece, flags), select.POLLOUT)
        self._went(count)
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest, flags) :]


class GuardedTls(_Guarded, ssl.SSLSocket):
    """What a context with `guarded_tls` makes of a GuardedSocket."""

    @classmethod
    def _create(cls, sock: socket.socket, *arguments: Any, **options: Any) -> GuardedTls:
        made: GuardedTls = super()._create(sock, *arguments, **options)  # type: ignore[misc]
        if isinstance(sock, _Guarded):
            made.bound, made.kind = sock.bound, sock.kind
        return made

    def do_handshake(self, block: bool = False) -> None:
        self._when_ready(self._sslobj.do_handshake, select.POLLIN)  # type: ignore[attr-defined]

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        data: Any = self._when_ready(lambda: super(_Guarded, self).read(len, buffer), select.POLLIN)
        self._came(data if isinstance(data, int) else memoryview(data).nbytes)
        return data

    def write(self, data: Any) -> int:
        return self.send(data)

    def send(self, data: Any, flags: int = 0) -> int:
        piece = memoryview(data).cast("B")[:_PIECE]
        count = self._when_ready(lambda: self._sslobj.write(piece), select.POLLOUT)  # type: ignore[attr-defined]
        self._went(count)
        return int(count)

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest, flags) :]


def guarded_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, which from now on makes guarded sockets."""
    context.sslsocket_class = GuardedTls
    return context


class _Lines(io.BufferedReader):
    """Reads lines of bounded length only: what is written for honest servers asks for a line of any."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            limits = current()
            message = f"a line of more than {LONGEST_LINE} bytes came"
            fail = ExchangeError if limits is None else limits.fail
            raise fail(Reason.TOO_MUCH, message)
        return line
