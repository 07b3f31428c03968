"""A WebSocket through the proxy: bytes in both directions, and an eye on what the daemon says."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Iterator

_PIECE = 1 << 16
_TICK = 0.1
_BINARY, _LONG = 2, 126


def relay(
    daemon: socket.socket,
    node: socket.socket,
    cut: Callable[[], bool],
    delay: Callable[[], float],
    on_message: Callable[[bytes], object],
) -> None:
    """Passes bytes on until one of the two is gone, or `cut` holds. `delay` is how many seconds each piece is held back
    for now; `on_message` gets every text of the daemon's."""
    heard = Frames()
    with selectors.DefaultSelector() as selector:
        selector.register(daemon, selectors.EVENT_READ, node)
        selector.register(node, selectors.EVENT_READ, daemon)
        while not cut():
            for key, _ in selector.select(_TICK):
                source = key.fileobj
                assert isinstance(source, socket.socket)
                piece = b""
                with contextlib.suppress(OSError):
                    piece = source.recv(_PIECE)
                if not piece:
                    return
                if source is daemon:
                    for message in heard.feed(piece):
                        on_message(message)
                time.sleep(delay())
                try:
                    key.data.sendall(piece)
                except OSError:
                    return


class Frames:
    """Takes the messages of a client out of the stream of its frames (RFC 6455), without extensions."""

    def __init__(self) -> None:
        self._buffer = b""
        self._message = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The texts that are complete with this piece."""
        self._buffer += piece
        while (frame := self._next()) is not None:
            last, opcode, payload = frame
            if opcode > _BINARY:  # ping, pong, close: between the parts of a message too
                continue
            self._message = payload if opcode else self._message + payload
            if last:
                yield self._message

    def _next(self) -> tuple[bool, int, bytes] | None:
        data = self._buffer
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size >= _LONG:
            width = 2 if size == _LONG else 8
            if len(data) < at + width:
                return None
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        masked = bool(data[1] & 0x80)
        end = at + 4 * masked + size
        if len(data) < end:
            return None
        payload = data[end - size : end]
        if masked:
            mask = data[at : at + 4]
            payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self._buffer = data[end:]
        return bool(data[0] & 0x80), data[0] & 0x0F, payload
