"""Locks between processes that need no file: whatever becomes of a process, its locks are free again."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held(name: str) -> Iterator[bool]:
    """Holds the lock `name` on this machine during the block; False where another process, of any user, has it.

    A name in Linux' abstract namespace of sockets can be bound once, and is free when its process has ended. Containers
    with a network of their own have names of their own. Elsewhere than on Linux everybody gets the lock.
    """
    if sys.platform != "linux":
        yield True
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as lock:
        try:
            lock.bind(f"\0koinon-{name}")
        except OSError:
            yield False
        else:
            yield True
