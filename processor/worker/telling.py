"""What a job tells its daemon: how far it is, and what is for the log. None of it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from processor.observability import redact
from processor.protocol.jobs.worker import Progress
from processor.worker.wire import Logged

PAUSE = 0.05
"""Seconds between two lines about steps at least."""


class Teller:
    """Passes on how far a job is, a line every `PAUSE` seconds at most; that a checkpoint was written at once."""

    def __init__(self, say: Callable[[Progress], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._latest = self._said = Progress()
        self._said_at: float | None = None

    def tell(self, progress: Progress) -> None:
        self._latest = progress
        due = self._said_at is None or self._clock() - self._said_at >= PAUSE
        if due or progress.checkpoint != self._said.checkpoint:
            self.repeat()

    def repeat(self) -> None:
        """Says the latest, whether or not it was said before."""
        self._said, self._said_at = self._latest, self._clock()
        self._say(self._said)


def log_to(run: int, say: Callable[[Logged], object]) -> None:
    """Sets up the log of this process: its events go to `say`, for the daemon to write."""

    def pass_on(logger: WrappedLogger, method: str, event: EventDict) -> Any:
        fields = dict(event)
        level, said = str(fields.pop("level")), str(fields.pop("event"))
        say(Logged(run, level, said, fields))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, redact, pass_on],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=False,
    )
