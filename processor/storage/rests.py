"""Who lets others wait in vain is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from processor.errors import StorageError

SLOW = 1.0
"""Seconds after which trouble has cost time. Whoever fails sooner may be asked at once again."""

FIRST_REST, LONGEST_REST = 15.0, 300.0
"""Seconds that a place is left alone: at first, and at most, twice as long each time."""

Place = TypeVar("Place")


@dataclass
class _Rest:
    failures: int = 0
    until: float = 0.0


class Rests(Generic[Place]):
    """Which of several places rest, for any number of threads. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rests: dict[Place, _Rest] = {}

    def resting(self, place: Place) -> bool:
        return self._until(place) > self._clock()

    def in_order(self, places: Iterable[Place]) -> list[Place]:
        """Those that rest come last, by the end of their rest."""
        return sorted(places, key=lambda place: self._until(place) if self.resting(place) else 0.0)

    @contextmanager
    def watching(self, place: Place) -> Iterator[None]:
        """The place rests after a block that ends, late, with a StorageError; it is forgiven after one without."""
        started = self._clock()
        try:
            yield
        except StorageError:
            if self._clock() - started >= SLOW:
                self._failed(place)
            raise
        with self._lock:
            self._rests.pop(place, None)

    def _failed(self, place: Place) -> None:
        """Calls that ran beside each other and failed together are one failure."""
        with self._lock:
            rest, now = self._rests.setdefault(place, _Rest()), self._clock()
            if rest.until <= now:
                rest.until = now + min(FIRST_REST * 2**rest.failures, LONGEST_REST)
                rest.failures = min(rest.failures + 1, 10)

    def _until(self, place: Place) -> float:
        rest = self._rests.get(place)
        return 0.0 if rest is None else rest.until
