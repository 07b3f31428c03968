"""One daemon as a process: the real command, forked from a server that has torch loaded for its worker (tests/warm.py).

What it does from there on is what `koinon client run` does. A wrong clock and a small disk are given to it and to its
worker here, and never to the system.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from processor.demo.processes import Party, environment
from tests.chaos.proxy import Proxy
from tests.warm import server
from tests.warm_worker import keep_at_hand

_CLONE_NEWNS, _PR_SET_PDEATHSIG = 0x00020000, 1
_CYCLES = re.compile(rb'^koinon_cycles_total\{outcome="(?!trouble|interrupted)[^"]*"\} ([0-9.e+]+)$', re.MULTILINE)
_STEP = re.compile(rb"^koinon_training_step (\S+)$", re.MULTILINE)
_STEPS = re.compile(rb"^koinon_training_steps (\S+)$", re.MULTILINE)
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Start:
    """How a process starts: with these arguments, `clock` seconds off, in the mount namespace of another process."""

    arguments: tuple[str, ...]
    log: Path
    clock: float = 0.0
    namespace: int | None = None


@dataclass
class Daemon:
    """A daemon that is started again whenever it ends, as a supervisor of services does, while `wanted`.

    `rpc` are its ways to the chain, `ipfs` those to IPFS nodes, none for the local store. `namespace` is the process
    whose mounts it sees, None for the harness' own. One that `hears` of blocks has a WebSocket as its second way to the
    chain. With a `trap` it is killed at its first request whose method or path holds that text.
    """

    party: Party
    role: str
    rpc: list[Proxy]
    ipfs: list[Proxy]
    metrics: int
    namespace: int | None = None
    hears: bool = False
    clock: float = 0.0
    wanted: bool = True
    frozen: bool = False
    trap: str = ""
    starts: int = 0
    process: ForkServerProcess | None = None

    @property
    def name(self) -> str:
        return self.party.name

    @property
    def log(self) -> Path:
        return self.party.folder / "log.jsonl"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    @property
    def state(self) -> Path:
        """Its state folder, as the harness sees it."""
        return seen_from(self.namespace, self.party.state)

    def start(self) -> None:
        start = Start((self.role, "run", "--config", str(self.party.config)), self.log, self.clock, self.namespace)
        self.process = server().Process(target=run, args=(start,), daemon=True)
        self.process.start()
        self.starts += 1

    def signal(self, number: int) -> None:
        """Sends it a signal, if it runs."""
        if self.process is not None and self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.join(10)

    def terminate(self, patience: float) -> int | None:
        """Asks it to end; its status, None where it did not end in time and was killed."""
        self.signal(signal.SIGTERM)
        if self.process is None:
            return 0
        self.process.join(patience)
        status = self.process.exitcode
        if status is None:
            self.kill()
        return status

    def requests(self, what: str) -> None:
        """It is asking a node for something."""
        if self.trap and self.trap in what:
            self.trap = ""
            self.signal(signal.SIGKILL)

    def cycles(self) -> int | None:
        """Cycles without trouble since its last start, as its metrics say; None where they cannot be had."""
        metrics = self._metrics()
        return None if metrics is None else cycles_in(metrics)

    def training(self) -> bool:
        """Whether it is in the middle of a training."""
        done, steps = steps_in(self._metrics() or b"")
        return 0 < done < steps

    def _metrics(self) -> bytes | None:
        if not self.alive or self.frozen:
            return None
        try:
            with _DIRECT.open(f"http://127.0.0.1:{self.metrics}/metrics", timeout=0.5) as response:
                return bytes(response.read())
        except (urllib.error.URLError, OSError):
            return None


def cycles_in(metrics: bytes) -> int:
    """Cycles without trouble, in what /metrics says."""
    return sum(int(float(count)) for count in _CYCLES.findall(metrics))


def steps_in(metrics: bytes) -> tuple[float, float]:
    """Steps done and steps in all of the latest training; zeros before the first."""
    done, steps = _STEP.search(metrics), _STEPS.search(metrics)
    return (float(done[1]) if done else 0.0), (float(steps[1]) if steps else 0.0)


def seen_from(namespace: int | None, path: Path) -> Path:
    """A path as a process of another mount namespace sees it."""
    return path if namespace is None else Path(f"/proc/{namespace}/root") / path.absolute().relative_to("/")


def run(start: Start) -> None:
    """What the new process does: becomes `koinon`."""
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if start.namespace is not None:
        _enter(libc, start.namespace)
    for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(os.open(start.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), descriptor)
    own = environment()
    os.environ.clear()
    os.environ.update(own)
    if start.clock:
        shift_clock(start.clock)
    keep_at_hand()
    sys.argv = ["koinon", *start.arguments]
    from processor.cli.app import main

    main()


def shift_clock(seconds: float) -> None:
    """Makes this process' clock wrong by so many seconds. Its monotonic clock goes on as it does."""
    true, true_ns = time.time, time.time_ns
    time.time = lambda: true() + seconds
    time.time_ns = lambda: true_ns() + int(seconds * 1e9)


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    descriptor = os.open(f"/proc/{namespace}/ns/mnt", os.O_RDONLY)
    if libc.setns(descriptor, _CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter the mount namespace")
    os.close(descriptor)
