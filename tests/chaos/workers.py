"""The workers of the daemons, from outside: which processes they are, for how long they had a job, and what no worker
may do."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.chaos.processes import Process, running
from tests.warm_worker import AT_HAND

GONE = 10.0
"""Seconds within which whoever works for a process that is gone must have ended too."""
TICK = 0.1

Identity = tuple[int, int]


@dataclass
class _Seen:
    """A process of a worker since it was first seen at `since`. `master` is whom it works for: the daemon, or a child's
    parent. `alone_since` is when that was first missed."""

    process: Process
    master: Identity
    is_child: bool
    since: float
    alone_since: float | None = None
    accused: bool = False


class Workers:
    """Looks after the workers of daemons, in a thread of its own once it is started.

    `daemons` gives the process number of each by name, None for one that is away. `at_work` is for how many seconds at
    most a daemon had a child at work, `violations` what workers promise and did not keep: whoever is left alone ends,
    and no daemon ever has two children at work.
    """

    def __init__(self, daemons: Callable[[], Mapping[str, int | None]]) -> None:
        self.violations: list[str] = []
        self.at_work: dict[str, float] = defaultdict(float)
        self._daemons = daemons
        self._seen: dict[str, dict[Identity, _Seen]] = defaultdict(dict)
        self._pairs: set[frozenset[Identity]] = set()
        self._looked = 0.0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Looks no more, and kills whatever there is still."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self.look(time.monotonic(), running())
        for seen in self._seen.values():
            for pid, _ in seen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def parent(self, name: str) -> Process | None:
        """A daemon's worker; None while it has none."""
        return next((each.process for each in self._of(name) if not each.is_child), None)

    def child(self, name: str) -> Process | None:
        """Whoever does a job for a daemon now."""
        return next((each.process for each in self._of(name) if each.is_child), None)

    def left(self) -> list[str]:
        """Every process of a worker that there is, in words."""
        return [_words(name, each) for name in list(self._seen) for each in self._of(name)]

    def look(self, now: float, there: Mapping[int, Process]) -> None:
        """Takes in what runs at a moment of the monotonic clock."""
        with self._lock:
            self._looked = self._looked or now
            pairs = set()
            for name, pid in self._daemons().items():
                self._forget_ended(name, now, there)
                self._find(name, None if pid is None else there.get(pid), there)
                self._accuse_the_forsaken(name, now, there)
                pairs |= self._accuse_the_second(name)
            self._pairs, self._looked = pairs, now

    # --------------------------------------------------------------------------------------------------- internal

    def _watch(self) -> None:
        while not self._ending.wait(TICK):
            self.look(time.monotonic(), running())

    def _of(self, name: str) -> list[_Seen]:
        with self._lock:
            return list(self._seen[name].values())

    def _forget_ended(self, name: str, now: float, there: Mapping[int, Process]) -> None:
        for identity, seen in list(self._seen[name].items()):
            if not _is(identity, there):
                del self._seen[name][identity]
                self.at_work[name] += now - seen.since if seen.is_child else 0.0
            else:
                seen.process = there[identity[0]]

    def _find(self, name: str, daemon: Process | None, there: Mapping[int, Process]) -> None:
        known = self._seen[name]
        parents = [each.process for each in known.values() if not each.is_child]
        if daemon is not None:
            new = [each for each in there.values() if each.parent == daemon.pid and each.name != AT_HAND]
            for each in new:
                known.setdefault(each.identity, _Seen(each, daemon.identity, False, self._looked))
            parents += new
        for parent in parents:
            for each in there.values():
                if each.parent == parent.pid:
                    known.setdefault(each.identity, _Seen(each, parent.identity, True, self._looked))

    def _accuse_the_forsaken(self, name: str, now: float, there: Mapping[int, Process]) -> None:
        for seen in self._seen[name].values():
            if _is(seen.master, there) or seen.process.stopped:
                seen.alone_since = None
            elif seen.alone_since is None:
                seen.alone_since = now
            elif now - seen.alone_since > GONE and not seen.accused:
                seen.accused = True
                whose = "parent" if seen.is_child else "daemon"
                self.violations.append(f"{_words(name, seen)}, outlived its {whose} by {now - seen.alone_since:.0f} s")

    def _accuse_the_second(self, name: str) -> set[frozenset[Identity]]:
        """The pairs of children that one daemon has now. Seen twice they were there at once: one look takes a while."""
        children = [identity for identity, seen in self._seen[name].items() if seen.is_child]
        pairs = {frozenset((one, other)) for one in children for other in children if one < other}
        if pairs & self._pairs and not any(each.startswith(f"{name} had two") for each in self.violations):
            self.violations.append(f"{name} had two workers at work at once: {sorted(pid for pid, _ in children)}")
        return pairs


def _is(identity: Identity, there: Mapping[int, Process]) -> bool:
    process = there.get(identity[0])
    return process is not None and process.identity == identity


def _words(name: str, seen: _Seen) -> str:
    return f"the worker of {name}: its {'child' if seen.is_child else 'parent'}, process {seen.process.pid}"
