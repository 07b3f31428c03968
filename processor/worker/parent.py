"""The parent: it imports torch once, has no keys, and makes a process of itself for every job.

It ends with its daemon: its standard input is a pipe that only the daemon holds. It has one thread, as it is forked.
"""

from __future__ import annotations

import gc
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from processor.words import in_full
from processor.worker import child, pipes, wire
from processor.worker.lock import Lock

TICK = 0.2
MAIN = Path(__file__).with_name("__main__.py")


def serve(root: Path, *, spawn: bool = False) -> int:
    """Does the jobs that standard input names, in folders of `root`, until that closes or SIGTERM comes.

    `spawn` starts a program for each of them instead of forking.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # it would hold data
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getpgrp() != os.getpid():
        os.setsid()
    control, out = _own_pipes()
    try:
        return _serve(root, control, out, spawn)
    except OSError as error:
        traceback.print_exc()
        return child.status_of(error)


def _serve(root: Path, control: int, out: int, spawn: bool) -> int:
    lines = wire.Lines()
    came: list[wire.Message] = []
    with Lock(root / "lock") as lock:
        while not lock.taken():
            piece = pipes.read(control)
            if piece is None:
                return 0
            came += lines.messages(piece)
            time.sleep(TICK / 4)
        parent = _Parent(root, control, out, lock.fd, lines, spawn)
        return parent.run(came)


@dataclass(kw_only=True)
class _Child:
    """A process of one run. `lifeline` is the end of a pipe that only the parent holds, `errors` that of its standard
    error, `status` what `subprocess` calls a return code once it is gone."""

    run: int
    pid: int
    status: Callable[[], int | None]
    lifeline: int
    errors: int
    said: pipes.Tail = field(default_factory=pipes.Tail)
    kill_at: float | None = None


class _Parent:
    def __init__(self, root: Path, control: int, out: int, lock: int, lines: wire.Lines, spawn: bool) -> None:
        self._root = root
        self._control = control
        self._out = out
        self._lock = lock
        self._lines = lines
        self._spawn = spawn
        self._children: dict[int, _Child] = {}
        self._unsaid: deque[bytes] = deque()
        self._closed_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._wakeups = os.pipe()

    def run(self, came: Iterable[wire.Message]) -> int:
        for each in self._wakeups:
            os.set_blocking(each, False)
        signal.set_wakeup_fd(self._wakeups[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        self._selector.register(self._wakeups[0], selectors.EVENT_READ, lambda: pipes.read(self._wakeups[0]))
        self._selector.register(self._control, selectors.EVENT_READ, self._listen)
        self._import(_jobs)
        self._say(wire.Ready())
        for message in came:
            self._obey(message)
        self._turn(0)
        self._import(_what_some_jobs_need)
        while not self._over:
            self._turn(self._pause)
        return 0

    @property
    def _over(self) -> bool:
        if self._closed_at is None or self._children:
            return False
        return not self._unsaid or time.monotonic() - self._closed_at >= child.GRACE

    @property
    def _pause(self) -> float | None:
        timed = self._closed_at is not None or any(each.kill_at is not None for each in self._children.values())
        return TICK if timed else None

    def _turn(self, pause: float | None) -> None:
        for key, _ in self._selector.select(pause):
            key.data()
        for each in list(self._children.values()):
            if each.kill_at is not None and time.monotonic() >= each.kill_at:
                os.kill(each.pid, signal.SIGKILL)
            if (status := each.status()) is not None:
                self._bury(each, status)

    def _import(self, modules: Callable[[], None]) -> None:
        """Not where programs are started: they import for themselves."""
        if not self._spawn and self._closed_at is None:
            modules()
            gc.freeze()  # a child that collects garbage would copy the memory that it shares

    def _listen(self) -> None:
        piece = pipes.read(self._control)
        if piece is None:
            self._selector.unregister(self._control)
            self._close()
            return
        for message in self._lines.messages(piece):
            self._obey(message)

    def _obey(self, message: wire.Message) -> None:
        match message:
            case wire.Begin(run, name) if self._closed_at is None:
                self._begin(run, name)
            case wire.End(run) if run in self._children:
                self._end(self._children[run])

    def _begin(self, run: int, name: str) -> None:
        try:
            begun = self._spawned(run, name) if self._spawn else self._forked(run, name)
        except OSError as error:
            self._say(wire.Ended(run, child.status_of(error), f"cannot begin: {in_full(error)}"))
            return
        self._children[run] = begun
        self._selector.register(begun.errors, selectors.EVENT_READ, lambda: self._hear(begun))
        self._say(wire.Begun(run, begun.pid))
        if self._closed_at is not None:  # by a signal that came just now
            self._end(begun)

    def _forked(self, run: int, name: str) -> _Child:
        lifeline, held, errors, said = self._pipes()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the child has its own way to take it
        try:
            pid = os.fork()
        except OSError:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            for each in (lifeline, held, errors, said):
                os.close(each)
            raise
        if pid == 0:
            status = child.FAILED
            try:
                self._forget(held, errors)
                os.dup2(said, 1)
                os.dup2(said, 2)
                status = child.work(self._root, run, name, self._out, lifeline)
            finally:
                os._exit(status)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(lifeline)
        os.close(said)
        return _Child(run=run, pid=pid, status=lambda: _status(pid), lifeline=held, errors=errors)

    def _forget(self, *more: int) -> None:
        """What is the parent's own: a child that held it would keep others alive."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        others = [fd for each in self._children.values() for fd in (each.lifeline, each.errors)]
        for fd in (self._control, *self._wakeups, *others, *more):
            os.close(fd)

    def _spawned(self, run: int, name: str) -> _Child:
        lifeline, held, errors, said = self._pipes()
        numbers = [str(each) for each in (run, self._out, lifeline)]
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", str(MAIN), str(self._root), name, *numbers],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=(self._out, lifeline, self._lock),
            )
        except OSError:
            os.close(held)
            os.close(errors)
            raise
        finally:
            os.close(lifeline)
            os.close(said)
        return _Child(run=run, pid=process.pid, status=process.poll, lifeline=held, errors=errors)

    def _pipes(self) -> tuple[int, int, int, int]:
        lifeline, held = os.pipe()
        try:
            errors, said = os.pipe()
        except OSError:
            os.close(lifeline)
            os.close(held)
            raise
        os.set_blocking(errors, False)
        os.set_blocking(said, False)
        return lifeline, held, errors, said

    def _hear(self, one: _Child) -> None:
        piece = pipes.read(one.errors)
        if piece is None:
            self._selector.unregister(one.errors)
        elif piece:
            one.said.take(piece)

    def _end(self, one: _Child) -> None:
        if one.kill_at is None:
            one.kill_at = time.monotonic() + child.GRACE
            with suppress(ProcessLookupError):  # a signal came between its end and its burial
                os.kill(one.pid, signal.SIGTERM)

    def _bury(self, one: _Child, status: int) -> None:
        while piece := pipes.read(one.errors):
            one.said.take(piece)
        if one.errors in self._selector.get_map():
            self._selector.unregister(one.errors)
        os.close(one.errors)
        os.close(one.lifeline)
        del self._children[one.run]
        self._say(wire.Ended(one.run, status, one.said.text))

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:
        if not self._children:
            os._exit(0)
        self._close()

    def _close(self) -> None:
        if self._closed_at is None:
            self._closed_at = time.monotonic()
            for each in list(self._children.values()):
                self._end(each)

    def _say(self, message: wire.Message) -> None:
        """Says it now or as soon as there is room: that a job ended must not be lost."""
        self._unsaid.append(wire.encode(message))
        self._speak()

    def _speak(self) -> None:
        try:
            while self._unsaid:
                written = os.write(self._out, self._unsaid[0])
                self._unsaid[0] = self._unsaid[0][written:]
                if not self._unsaid[0]:
                    self._unsaid.popleft()
        except BlockingIOError:
            if self._out not in self._selector.get_map():
                self._selector.register(self._out, selectors.EVENT_WRITE, self._speak)
            return
        except BrokenPipeError:
            self._unsaid.clear()
        if self._out in self._selector.get_map():
            self._selector.unregister(self._out)


def _own_pipes() -> tuple[int, int]:
    """Where the daemon's messages come from and the answers go to. What else reads standard input gets nothing, and
    what writes to standard output writes to standard error: nothing gets in between."""
    control, out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for each in (control, out, 2):
        os.set_blocking(each, False)
    sys.stdout = sys.stderr = pipes.standard_error(2)
    return control, out


def _status(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _jobs() -> None:
    from processor.worker.perform import build_readers

    build_readers()


def _what_some_jobs_need() -> None:
    from processor.learning.ewc import import_ahead

    import_ahead()
