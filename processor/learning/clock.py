"""Compute time: the wall time that a client's own work takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NS_PER_MS = 1_000_000


class Clock:
    """Counts from `start` on, and from the `ms` milliseconds that went before; it stands while something else is done.

    Monotonic: setting the system's time changes nothing. `now` gives the time in nanoseconds.
    """

    def __init__(self, ms: int = 0, now: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = now
        self._counted = ms * NS_PER_MS
        self._since: int | None = None

    @property
    def ms(self) -> int:
        """Whole milliseconds so far."""
        running = 0 if self._since is None else self._now() - self._since
        return (self._counted + running) // NS_PER_MS

    def start(self) -> None:
        """Goes on from here; nothing new where it runs."""
        if self._since is None:
            self._since = self._now()

    def stop(self) -> None:
        if self._since is not None:
            self._counted += self._now() - self._since
            self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stands during the block, and then runs where it ran before."""
        ran = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if ran:
                self.start()
