"""A parent and its children, as the daemon has them: what they say, and that they end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from processor.protocol.jobs.folder import RESULT
from processor.worker import pipes, wire
from processor.worker.child import GRACE, REFUSED
from processor.worker.runs import Runs, how_it_ended

TICK = 0.5
"""Seconds between two looks at what is late."""
START = 4
"""How many times as long as a job a parent that has not imported everything may give no sign of life."""
MARGIN = 2.0
"""Seconds after which the daemon kills where the parent did not."""
LEVELS = ("debug", "info", "warning", "error")


class Process(Protocol):
    """What is needed of a `subprocess.Popen`. The process leads a group of its own."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Group:
    """One parent process with what it has begun. A thread listens to it, and ends with it.

    Each of the pipes is this object's, which closes them. It ends the parent `keep` seconds after its last job, and
    kills the group where a job gives no sign of life for `frozen` seconds. `changed` is called when a job is over.
    """

    def __init__(
        self,
        process: Process,
        control: int,
        out: int,
        errors: int,
        *,
        root: Path,
        runs: Runs,
        keep: float,
        frozen: float,
        log: FilteringBoundLogger,
        changed: Callable[[], None],
    ) -> None:
        self._process = process
        self._control: int | None = control
        self._pipes = (out, errors)
        self._root = root
        self._runs = runs
        self._keep = keep
        self._frozen = frozen
        self._log = log
        self._changed = changed
        self._lock = threading.RLock()
        self._lines = wire.Lines()
        self._said = pipes.Tail()
        self._idle_since = time.monotonic()
        self._late: dict[int, float] = {}
        self._kill_at: float | None = None
        self._ready = threading.Event()
        self._note("debug", "worker started", pid=process.pid)
        self._thread = threading.Thread(target=self._live, name=f"worker {process.pid}", daemon=True)
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether the parent has ever been able to work."""
        return self._ready.is_set()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def keep_up(self) -> bool:
        """Counts the time until it is no longer needed from now on; False where it ends or has ended."""
        with self._lock:
            self._idle_since = time.monotonic()
            return self._control is not None and self._process.poll() is None

    def begin(self, name: str) -> bool:
        """Begins the job in a folder; False where the group ends or has ended."""
        with self._lock:
            if not self.keep_up():
                return False
            self._tell(wire.Begin(self._runs.begin(name, self._process.pid), name))
            return True

    def let_end(self, number: int) -> None:
        """Ends a run, if it is one of this group; what does not heed that is killed."""
        with self._lock:
            if number in self._runs.of(self._process.pid) and self._runs.unwanted(number):
                self._late[number] = time.monotonic() + GRACE + MARGIN
                self._tell(wire.End(number))

    def end(self) -> None:
        """Lets all of it end, with checkpoints; what has not ended `GRACE` seconds later is killed."""
        with self._lock:
            if self._control is None:
                return
            self._let_go()
            for number in self._runs.of(self._process.pid):
                self._runs.unwanted(number)
            self._kill_at = time.monotonic() + GRACE
            self._signal(signal.SIGTERM)

    def join(self, seconds: float) -> bool:
        """Waits for the end; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def kill(self) -> None:
        with self._lock:
            self._let_go()
            self._kill_at = time.monotonic() + MARGIN
            self._signal(signal.SIGKILL)

    def _live(self) -> None:
        """Whatever happens here, the processes do not outlive it, and what they were at is over."""
        try:
            self._listen()
        except BaseException:
            self.kill()
            raise
        finally:
            status = self._wait()
            with self._lock:
                self._let_go()
            for number in self._runs.of(self._process.pid):
                self._over(number, self._how_lost(status), self._said.text, status == REFUSED)
            for each in self._pipes:
                os.close(each)
        self._note("debug", "worker ended", pid=self._process.pid)

    def _listen(self) -> None:
        out, errors = self._pipes
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ, self._hear)
            selector.register(errors, selectors.EVENT_READ, self._said.take)
            seen = time.monotonic()
            while selector.get_map():
                for key, _ in selector.select(TICK):
                    piece = pipes.read(key.fd)
                    if piece is None:
                        selector.unregister(key.fileobj)
                    else:
                        key.data(piece)
                now = time.monotonic()
                self._keep_house(now, now - seen)
                seen = now

    def _wait(self) -> int:
        """All have closed their pipes: they end now, or the parent is killed. Where the daemon is the first process of
        a container, whoever outlived the parent is its own child."""
        try:
            status = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            status = self._process.wait()
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-self._process.pid, 0)
        return status

    def _hear(self, piece: bytes) -> None:
        for message in self._lines.messages(piece):
            match message:
                case wire.Ready():
                    self._ready.set()
                    self._idle_since = time.monotonic()
                case wire.Begun(run):
                    self._runs.heard(run)
                case wire.Alive(run):
                    self._runs.heard(run, message.progress)
                case wire.Logged(_, level, event, fields) if level in LEVELS:
                    self._note(level, event, **fields)
                case wire.Ended(run, status, said):
                    self._over(run, how_it_ended(status, said), said, status == REFUSED)

    def _over(self, number: int, how: str | None, said: str, refused: bool) -> None:
        name = self._runs.name(number)
        if name is None:
            return
        with self._lock:
            self._idle_since = time.monotonic()
            self._late.pop(number, None)
        answered = (self._root / name / RESULT).exists()
        if died := self._runs.over(number, None if answered else how, refused):
            self._note("warning", "worker died", job=name, how=died.how, said=said or None)
        self._changed()

    def _how_lost(self, status: int) -> str:
        how = how_it_ended(status, self._said.text) or "ended"
        return f"was lost with its parent, which {how}" if self.started else f"could not start: its parent {how}"

    def _note(self, level: str, event: str, /, **fields: Any) -> None:
        """Logs it where that is possible: standard error may be a file on a full disk, and a name be taken."""
        with suppress(OSError, ValueError, TypeError):
            getattr(self._log, level)(event, **fields)

    def _keep_house(self, now: float, passed: float) -> None:
        with self._lock:
            limit = self._frozen if self.started else START * self._frozen
            frozen = self._runs.silent(self._process.pid, passed, limit)
            if self._kill_at is None and (frozen or any(now >= each for each in self._late.values())):
                self._kill_at = now
            if self._kill_at is not None and now >= self._kill_at:
                self.kill()
            elif self.started and now - self._idle_since >= self._keep and not self._runs.of(self._process.pid):
                self.end()
            elif self._process.poll() is not None and self._kill_at is None:  # its children end by themselves
                self._kill_at = now + GRACE + MARGIN

    def _tell(self, message: wire.Message) -> None:
        """Tells the parent; one that has not listened for thousands of lines never will."""
        if self._control is None:
            return
        try:
            os.write(self._control, wire.encode(message))
        except BlockingIOError:
            self.kill()
        except BrokenPipeError:
            pass

    def _let_go(self) -> None:
        """Closes the pipe that the parent lives by; nothing is begun in it from now on."""
        if self._control is not None:
            os.close(self._control)
            self._control = None

    def _signal(self, number: signal.Signals) -> None:
        with suppress(OSError):  # nobody is left
            os.killpg(self._process.pid, number)
