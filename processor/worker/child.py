"""A process for one job: it says how far it is, and ends when it is told to or when nobody is left to tell it."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

import structlog

from processor.errors import Interrupted
from processor.files import refused
from processor.worker import pipes, wire
from processor.worker.control import Control
from processor.worker.telling import Teller, log_to

ANSWERED, FAILED, REFUSED, INTERRUPTED = 0, 1, 74, 75
"""Exit statuses. 74 says that the system refused something, such as room on a disk, 75 asks to try again later
(EX_IOERR and EX_TEMPFAIL of sysexits.h)."""
GRACE = 5.0
"""Seconds in which a job that is to end may write its checkpoint."""
LIFE = 1.0
"""Seconds between two signs of life."""

_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = 500


def work(root: Path, run: int, name: str, out: int, lifeline: int) -> int:
    """Does the job in a folder and returns the exit status.

    Messages go to the pipe `out`. The parent alone has the other end of `lifeline`: once that is closed the process
    ends as at SIGTERM. To be called once, in the main thread.
    """
    os.umask(0o077)
    sys.stdout = sys.stderr = pipes.standard_error(2)
    _be_the_first_to_go()
    stopping = _Stopping()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stopping.asked)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    teller = Teller(lambda progress: _say(out, wire.alive(run, progress)))
    log_to(run, lambda event: _say(out, event))
    try:
        threading.Thread(target=_live, args=(lifeline, stopping, teller), daemon=True).start()
        from processor.worker.perform import perform

        perform(root / name, Control(teller.tell, lambda: stopping.now))
    except Interrupted as stopped:
        structlog.get_logger().info("interrupted", reason=str(stopped))
        return INTERRUPTED
    except BaseException as error:
        traceback.print_exc()
        return status_of(error)
    finally:
        teller.repeat()
        sys.stderr.flush()
    return ANSWERED


def status_of(error: BaseException) -> int:
    """The exit status after an error that nobody expects of a job."""
    return REFUSED if refused(error) else FAILED


class _Stopping:
    """Whether the job is to end, and since when."""

    def __init__(self) -> None:
        self.since: float | None = None

    @property
    def now(self) -> bool:
        return self.since is not None

    def asked(self, number: int = 0, frame: FrameType | None = None) -> None:
        if self.since is None:
            self.since = time.monotonic()


def _live(lifeline: int, stopping: _Stopping, teller: Teller) -> None:
    """Gives signs of life, and ends the process where it is to end and does not."""
    watched = [lifeline]
    while stopping.since is None or time.monotonic() - stopping.since < GRACE:
        teller.repeat()
        closed, _, _ = select.select(watched, [], [], LIFE)
        if closed:
            watched = []
            stopping.asked()
    os._exit(INTERRUPTED)


def _say(out: int, message: wire.Message) -> None:
    try:
        pipes.write(out, wire.encode(message))
    except ValueError:  # longer than a line may be
        if isinstance(message, wire.Logged):
            pipes.write(out, wire.encode(wire.Logged(message.run, message.level, message.event[:512], {})))


def _be_the_first_to_go() -> None:
    """Where memory runs out, Linux ends this process before the daemon."""
    try:
        if int(_OOM_SCORE.read_text("ascii")) < _FIRST_TO_GO:
            _OOM_SCORE.write_text(str(_FIRST_TO_GO), "ascii")
    except (OSError, ValueError):  # not Linux, or not allowed
        pass
