"""The loop that both daemons run in: cycle after cycle, whatever becomes of nodes and disks."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from processor.errors import (
    ArtifactError,
    ChainError,
    Interrupted,
    JournalBusy,
    NewerVersion,
    OutOfMemory,
    StorageError,
    Unfinished,
    Unreadable,
    WorkerDied,
    WrongAddress,
)
from processor.files import refused
from processor.metrics import Metrics
from processor.protocol.decide import Stop, Wait, Working
from processor.words import in_full

LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, while a node, the storage or the disk cannot be used."""

SAID_AGAIN = 600.0
"""Seconds after which what a daemon waited for before is news again."""

TICK = 0.1
"""Seconds between two looks at whether to stop."""

_PASSING = (ArtifactError, ChainError, StorageError, JournalBusy, OutOfMemory, Unreadable, WorkerDied)

Pause = Callable[[float, threading.Event], object]
"""Waits so many seconds, less once the event is set: `processor.chain.heads.Heads.wait`, less at news too."""


def rest(seconds: float, stopping: threading.Event) -> None:
    """Waits for the time to pass, or for `stopping`.

    A signal handler may set that at any moment, so it is only looked at: to wait for it would hold its lock, which a
    handler in the same thread could then never have.
    """
    deadline = time.monotonic() + seconds
    while not stopping.is_set() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, TICK))


def run(
    cycle: Callable[[], object],
    poll_interval: float,
    stopping: threading.Event,
    log: FilteringBoundLogger,
    *,
    metrics: Metrics | None = None,
    pause: Pause = rest,
    recovery: Pause = rest,
    once: bool = False,
    chance: Callable[[], float] = random.random,
    ticks: Callable[[], float] = time.monotonic,
) -> None:
    """Repeats `cycle` until it returns Stop or `stopping` is set.

    A cycle that did something is followed by the next at once, one that waits by `pause`, `poll_interval` seconds long.
    Trouble that passes is waited out by `recovery`, longer each time while it is of one kind, up to `LONGEST_PAUSE`, of
    which `chance` (0 to 1) decides a part, so that not everybody returns to a node at once; every other error ends the
    daemon. What it waits for is logged once for every reason, until something is done, or the reason returns after
    `SAID_AGAIN` seconds; `ticks` gives seconds.

    With `once` it returns as soon as there is nothing to do now, which is not while something is at work, and raises
    Unfinished at the first trouble.
    """
    metrics = Metrics() if metrics is None else metrics
    patience, waiting = _Patience(poll_interval, stopping, log, recovery, chance), _Reasons(log, ticks)
    while not stopping.is_set():
        try:
            action = cycle()
        except Interrupted as error:
            metrics.cycle("interrupted")
            log.info("interrupted", reason=str(error))
            continue
        except Exception as error:
            words = trouble(error)
            if words is None:
                raise
            metrics.cycle("trouble")
            if once:
                raise Unfinished(words) from error
            patience.after(error, words)
            continue
        patience.over()
        metrics.cycle(outcome_of(action))
        if isinstance(action, Stop):
            log.info("stopped", reason=action.reason)
            return
        if not isinstance(action, Wait):
            waiting.over()
            continue
        waiting.say(action.reason)
        if once and not isinstance(action, Working):
            return
        pause(poll_interval, stopping)


def outlast(
    start: Callable[[], object],
    poll_interval: float,
    stopping: threading.Event,
    log: FilteringBoundLogger,
    *,
    recovery: Pause = rest,
    chance: Callable[[], float] = random.random,
) -> None:
    """Calls `start` until it returns or `stopping` is set, waiting out trouble that passes as `run` does.

    A machine may start its daemons before its network and its nodes.
    """
    patience = _Patience(poll_interval, stopping, log, recovery, chance)
    while not stopping.is_set():
        try:
            start()
            return
        except Interrupted as error:
            if not stopping.is_set():
                raise
            log.info("interrupted", reason=str(error))
        except Exception as error:
            words = trouble(error)
            if words is None:
                raise
            patience.after(error, f"cannot start yet: {words}")


class _Reasons:
    """Says why a daemon waits, each reason once, however often it gives way to others and returns."""

    def __init__(self, log: FilteringBoundLogger, ticks: Callable[[], float]) -> None:
        self._log, self._ticks = log, ticks
        self._held: dict[str, float] = {}

    def say(self, reason: str) -> None:
        now = self._ticks()
        self._held = {each: at for each, at in self._held.items() if now - at < SAID_AGAIN}
        if reason not in self._held:
            self._log.info("waiting", reason=reason)
        self._held[reason] = now

    def over(self) -> None:
        self._held.clear()


class _Patience:
    """Waits after each trouble in a row, longer each time while it is of one kind."""

    def __init__(
        self,
        poll_interval: float,
        stopping: threading.Event,
        log: FilteringBoundLogger,
        recovery: Pause,
        chance: Callable[[], float],
    ) -> None:
        self._poll_interval, self._stopping, self._log = poll_interval, stopping, log
        self._recovery, self._chance = recovery, chance
        self._failures, self._kind = 0, Exception

    def after(self, error: Exception, words: str) -> None:
        self._failures, self._kind = self._failures + 1 if type(error) is self._kind else 1, type(error)
        seconds = backoff(self._poll_interval, self._failures - 1, self._chance())
        self._log.warning("trouble", error=words, retry_in_seconds=round(seconds, 1))
        self._recovery(seconds, self._stopping)

    def over(self) -> None:
        self._failures = 0


def trouble(error: BaseException) -> str | None:
    """In words, what passes without a change by the user; None for an error that ends a daemon.

    What a full disk stopped is such trouble, wherever in the program it came up. A file of a newer version is not: a
    newer program wrote it here. What others send in one is answered before it comes this far.
    """
    if isinstance(error, WrongAddress | NewerVersion):
        return None
    if isinstance(error, _PASSING):
        return str(error)
    if (found := refused(error)) is None:
        return None
    return f"the system refuses: {in_full(found)}" if found is error else str(error)


def backoff(poll_interval: float, failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row before this one: doubled each time, and between half and all of
    that."""
    whole = min(poll_interval * 2.0 ** min(failures, 32), LONGEST_PAUSE)
    return whole * (1 + chance) / 2


def outcome_of(action: object) -> str:
    """How a metric names what a cycle did: `waited`, `stopped`, or the action, as in `open_round`."""
    match action:
        case Wait():
            return "waited"
        case Stop():
            return "stopped"
        case _:
            return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(action).__name__).lower()
