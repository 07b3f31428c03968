"""What keeps a client from its part in a round: for good, or until it is tried again after a pause."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from processor.daemons.loop import backoff
from processor.errors import KoinonError


@dataclass(frozen=True)
class _Setback:
    """`until` is of the clock `ticks`, `failures` how many in a row came before this one."""

    reason: str
    until: float
    failures: int = 0


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
        self._untold: KoinonError | None = None

    def for_good(self, sealing_key: bytes, reason: str) -> str:
        """Notes why a round is never tried again, and returns that."""
        self._known[sealing_key] = _Setback(reason, math.inf)
        return reason

    def for_now(self, sealing_key: bytes, error: KoinonError) -> str:
        """Notes why a round is not tried for a while, and returns that in words."""
        before = self._known.get(sealing_key)
        failures = 0 if before is None else before.failures + 1
        pause = backoff(self._pause, failures, self._chance())
        self._known[sealing_key] = _Setback(f"not now: {error}", self._ticks() + pause, failures)
        self._untold = error
        return self._known[sealing_key].reason

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
