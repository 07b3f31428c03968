"""What one exchange with somebody remote may cost: time, bytes, and the patience of whoever asks us to stop."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from processor.errors import KoinonError
from processor.exchange.addresses import Kind

Stop = Callable[[], bool]

SLICE = 0.1
"""Seconds that a wait may last before the stop is looked at again."""

_LONGEST = 3_600.0  # seconds, where nothing else bounds a wait


class Reason(Enum):
    """Why an exchange came to nothing."""

    LATE = "late"
    TOO_MUCH = "too much"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"
    FORBIDDEN = "forbidden"
    BROKEN = "broken"


class ExchangeError(KoinonError):
    """An exchange came to nothing, for a `reason`. Its text names neither an address nor what was sent."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def never() -> bool:
    """Nobody asks to stop."""
    return False


class Limits:
    """The limits of one exchange, for the threads that take part in it; `outer` limits hold as well.

    `seconds` is how long it may last, with as many more as the bytes that were sent and received take at `pace` bytes a
    second (0: none). `until` is when it ends at the latest, by the monotonic clock. `most_bytes` may be received,
    headers and framing included.
    """

    def __init__(
        self,
        seconds: float,
        most_bytes: int,
        stop: Stop = never,
        *,
        pace: float = 0.0,
        until: float = math.inf,
        outer: Limits | None = None,
    ) -> None:
        self.seconds = seconds
        self.most_bytes = most_bytes
        self.received = 0
        self.failure: ExchangeError | None = None
        self.reached: Kind | None = None
        self.only: Kind | None = None if outer is None else outer.only
        self._moved = 0
        self._started = time.monotonic()
        self._stop = stop
        self._pace = pace
        self._until = until
        self._outer = outer

    def left(self) -> float:
        """Seconds left. Raises ExchangeError where there are none, or where the stop is set."""
        if self._stop():
            raise self.fail(Reason.STOPPED, "asked to stop")
        now = time.monotonic()
        allowed = self.seconds + (self._moved / self._pace if self._pace else 0.0)
        left = min(self._started + allowed, self._until) - now
        if left <= 0:
            raise self.fail(Reason.LATE, f"it was not over within {now - self._started:.3g} s")
        return min(left, _LONGEST, math.inf if self._outer is None else self._outer.left())

    def receive(self, count: int) -> None:
        """Counts bytes that came. Raises ExchangeError above the budget."""
        self.received += count
        self._moved += count
        if self.received > self.most_bytes:
            raise self.fail(Reason.TOO_MUCH, f"more than {self.most_bytes} bytes came")
        if self._outer is not None:
            self._outer.receive(count)

    def send(self, count: int) -> None:
        """Counts bytes that went."""
        self._moved += count
        if self._outer is not None:
            self._outer.send(count)

    def meet(self, kind: Kind | None) -> None:
        """Notes what kind of address is talked with. Raises ExchangeError for another than `only`."""
        if self.only is not None and kind is not None and kind is not self.only:
            raise self.fail(Reason.FORBIDDEN, f"it leads from {self.only.value} to {kind.value}")
        self.reached = kind

    def fail(self, reason: Reason, message: str) -> ExchangeError:
        """The error that ends the exchange, whatever the libraries in between make of it."""
        error = ExchangeError(reason, message)
        self.failure = self.failure or error
        return error


class _Current(threading.local):
    limits: Limits | None = None


_current = _Current()


def current() -> Limits | None:
    """The limits of the exchange that this thread is in."""
    return _current.limits


def wait_until(done: Callable[[float], bool], limits: Limits | None, silence: float | None = None) -> None:
    """Calls `done` with the seconds that it may wait, until it says True.

    Raises ExchangeError once the limits are used up, and where `silence` seconds pass.
    """
    until = math.inf if silence is None else time.monotonic() + silence
    while True:
        left = _LONGEST if limits is None else limits.left()
        quiet = until - time.monotonic()
        if quiet <= 0:
            message = f"no answer within {silence:.3g} s"
            raise ExchangeError(Reason.LATE, message) if limits is None else limits.fail(Reason.LATE, message)
        if done(min(left, quiet, _LONGEST if limits is None else SLICE)):
            return


@contextmanager
def within(limits: Limits) -> Iterator[Limits]:
    """Lets every guarded socket that this thread uses keep to `limits`."""
    before, _current.limits = _current.limits, limits
    try:
        yield limits
    finally:
        _current.limits = before
