"""Whoever lets others wait for nothing is left alone for a while: its cooldown."""

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

FIRST_COOLDOWN, LONGEST_COOLDOWN = 15.0, 300.0
"""Seconds that a place is left alone: at first, and at most, twice as long each time."""

Place = TypeVar("Place")


@dataclass
class _Cooldown:
    failures: int = 0
    until: float = 0.0


class Cooldowns(Generic[Place]):
    """The cooldowns of several places, for any number of threads. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._cooldowns: dict[Place, _Cooldown] = {}

    def cooling(self, place: Place) -> bool:
        return self._until(place) > self._clock()

    def in_order(self, places: Iterable[Place]) -> list[Place]:
        """Those in a cooldown come last, by its end."""
        return sorted(places, key=lambda place: self._until(place) if self.cooling(place) else 0.0)

    @contextmanager
    def watching(self, place: Place) -> Iterator[None]:
        """The place cools down after a block that ends, late, with a StorageError; it is forgiven after one without."""
        started = self._clock()
        try:
            yield
        except StorageError:
            if self._clock() - started >= SLOW:
                self._failed(place)
            raise
        with self._lock:
            self._cooldowns.pop(place, None)

    def _failed(self, place: Place) -> None:
        """Calls that ran at the same time and failed together are one failure."""
        with self._lock:
            cooldown, now = self._cooldowns.setdefault(place, _Cooldown()), self._clock()
            if cooldown.until <= now:
                cooldown.until = now + min(FIRST_COOLDOWN * 2**cooldown.failures, LONGEST_COOLDOWN)
                cooldown.failures = min(cooldown.failures + 1, 10)

    def _until(self, place: Place) -> float:
        cooldown = self._cooldowns.get(place)
        return 0.0 if cooldown is None else cooldown.until
