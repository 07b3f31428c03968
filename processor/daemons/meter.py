"""Compute time: the measured wall time of the local work, kept in the journal, so that a restart does not lose it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from processor.journal import Journal

NS_PER_MS = 1_000_000


class Meter:
    """Runs while its `with` block does; `tick` saves what has run so far, about once a second, `paused` stops it.

    The clock is monotonic: setting the system's time changes nothing. Whole milliseconds are saved and the rest is
    carried to the next tick, so that nothing is lost or counted twice.
    """

    SAVE_EVERY_NS = 1_000_000_000

    def __init__(self, journal: Journal, round: int, sealing_key: bytes) -> None:
        self._journal = journal
        self._round = round
        self._sealing_key = sealing_key
        self._saved = 0
        self._since = 0

    @property
    def ms(self) -> int:
        """What the round has taken so far, before a restart too; read it while the meter runs."""
        return self._saved + (time.monotonic_ns() - self._since) // NS_PER_MS

    def __enter__(self) -> Self:
        self._saved = self._journal.metered_ms(self._round, self._sealing_key)
        self._since = time.monotonic_ns()
        return self

    def tick(self) -> None:
        if time.monotonic_ns() - self._since >= self.SAVE_EVERY_NS:
            self._save()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Saves what has run so far, and stops the clock during the block."""
        self._save()
        carried = time.monotonic_ns() - self._since
        try:
            yield
        finally:
            self._since = time.monotonic_ns() - carried

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._save()

    def _save(self) -> None:
        ms = (time.monotonic_ns() - self._since) // NS_PER_MS
        self._journal.add_metered(self._round, self._sealing_key, ms)
        self._since += ms * NS_PER_MS
        self._saved += ms


def claimable_ms(metered_ms: int, max_compute_ms: int, opened_at: int, now: int) -> int:
    """What a client claims: what it measured, or the contract's bound where that is smaller; at least 1 ms.

    `opened_at` and `now` are block times in seconds; a block's time is whole seconds, so the contract adds one.
    """
    return max(1, min(metered_ms, max_compute_ms, (now - opened_at + 1) * 1000))
