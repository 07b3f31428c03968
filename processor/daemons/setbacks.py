"""What keeps a client from its part in a round: for good, or until it is tried again after a pause."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from processor.daemons.loop import backoff
from processor.errors import KoinonError, WorkerDied

MOST_DEATHS = 3
"""So often a worker may die in one round without a newer checkpoint: what it dies of does not pass."""
LAST_TRY_AFTER = 10.0
"""Seconds before the last try at the soonest: a machine that is short of memory may need them."""


@dataclass(frozen=True)
class _Setback:
    """`until` is of the clock `ticks`, `failures` how many in a row came before this one."""

    reason: str
    until: float
    failures: int = 0


@dataclass(frozen=True)
class _Deaths:
    """How many there were since the last checkpoint, which holds that step."""

    count: int = 0
    checkpoint: int = 0

    def another(self, checkpoint: int) -> _Deaths:
        return _Deaths(1, checkpoint) if checkpoint > self.checkpoint else _Deaths(self.count + 1, self.checkpoint)


class Setbacks:
    """The setbacks of the rounds, which are named by their sealing keys.

    While one stands, its round is refused with a reason, and the daemon does what else there is to do. What passes is
    tried again after a pause that grows from about `pause` seconds to a minute, as in the daemons' loop.
    """

    def __init__(
        self,
        pause: float,
        ticks: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._pause = pause
        self._ticks = ticks
        self._chance = chance
        self._known: dict[bytes, _Setback] = {}
        self._deaths: dict[bytes, _Deaths] = {}
        self._untold: KoinonError | None = None

    def for_good(self, sealing_key: bytes, reason: str) -> str:
        """Notes why a round is never tried again, and returns that."""
        self._known[sealing_key] = _Setback(reason, math.inf)
        return reason

    def for_now(self, sealing_key: bytes, error: KoinonError, *, told: bool = True, at_least: float = 0.0) -> str:
        """Notes why a round is not tried for a while, `at_least` so many seconds, and returns that in words. Unless it
        is to be `told`, the error is nobody's trouble."""
        before = self._known.get(sealing_key)
        failures = 0 if before is None else before.failures + 1
        pause = max(at_least, backoff(self._pause, failures, self._chance()))
        self._known[sealing_key] = _Setback(f"not now: {error}", self._ticks() + pause, failures)
        self._untold = error if told else None
        return self._known[sealing_key].reason

    def died(self, sealing_key: bytes, error: WorkerDied) -> str:
        """Notes that the worker of a round died, and returns what that means for the round, in words: it is tried again
        after a pause, but not once `MOST_DEATHS` in a row have led to no newer checkpoint. What the system refused,
        such as room on a disk, does not count."""
        if error.refused:
            return self.for_now(sealing_key, error)
        deaths = self._deaths[sealing_key] = self._deaths.get(sealing_key, _Deaths()).another(error.checkpoint)
        if deaths.count < MOST_DEATHS:
            at_least = LAST_TRY_AFTER if deaths.count == MOST_DEATHS - 1 else 0.0
            return self.for_now(sealing_key, error, at_least=at_least)
        return self.for_good(sealing_key, f"{error}, {deaths.count} times without getting on in between")

    def refusal(self, sealing_key: bytes) -> str | None:
        """Why the round is not tried now; None where it may be."""
        setback = self._known.get(sealing_key)
        return setback.reason if setback is not None and self._ticks() < setback.until else None

    def passing(self, sealing_key: bytes) -> bool:
        """Whether the round is not tried for a while: what keeps it from us may keep other things from us, too."""
        setback = self._known.get(sealing_key)
        return setback is not None and self._ticks() < setback.until < math.inf

    def tell(self) -> None:
        """Raises, once, the error of the last setback that passes: it is trouble, as soon as nothing else is to do."""
        error, self._untold = self._untold, None
        if error is not None:
            raise error
