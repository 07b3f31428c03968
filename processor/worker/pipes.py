"""Pipes that nobody waits at: what does not fit is dropped, what is not there yet is not read."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def write(fd: int, data: bytes) -> bool:
    """Writes a line to a pipe that does not block; False where it is full or nobody reads it any more."""
    try:
        os.write(fd, data)
    except (BlockingIOError, BrokenPipeError):
        return False
    return True


def read(fd: int, most: int = 1 << 16) -> bytes | None:
    """What a pipe that does not block holds; None at its end, nothing where there is nothing yet."""
    try:
        return os.read(fd, most) or None
    except BlockingIOError:
        return b""


class Dropping(io.RawIOBase):
    """Standard error that never blocks: of what the pipe does not take nothing is kept."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: ReadableBuffer) -> int:
        content = bytes(data)
        write(self._fd, content)
        return len(content)


def standard_error(fd: int) -> io.TextIOWrapper:
    """A text stream for `sys.stderr` that never blocks, fails or waits for the end of a line."""
    return io.TextIOWrapper(io.BufferedWriter(Dropping(fd)), "utf-8", "backslashreplace", line_buffering=True)


class Tail:
    """The last `most` bytes of what a pipe gives."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._kept = b""

    def take(self, piece: bytes) -> None:
        self._kept = (self._kept + piece)[-self._most :]

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace").strip()
