"""The loop of the daemons: what is waited out, for how long, and what ends it."""

from __future__ import annotations

import errno
import random
import signal
import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from processor.daemons.loop import LONGEST_PAUSE, SAID_AGAIN, backoff, outcome_of, outlast, run, trouble
from processor.errors import (
    ArtifactError,
    ChainError,
    ConfigurationError,
    DatasetError,
    Interrupted,
    JournalBusy,
    JournalError,
    KeystoreError,
    MachineError,
    NewerVersion,
    OutOfMemory,
    StorageError,
    Unfinished,
    Unreadable,
    WorkerDied,
    WrongAddress,
)
from processor.metrics import Metrics
from processor.protocol.decide import Claim, OpenRound, Publish, Register, SetInitialModel, Stop, Train, Wait, Working

LOG = structlog.get_logger()


@dataclass
class Script:
    """Cycles that come out as written down, and then stop."""

    outcomes: list[object]
    calls: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    pauses: list[float] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    now: float = 0.0

    def cycle(self) -> object:
        self.calls += 1
        outcome = self.outcomes.pop(0) if self.outcomes else Stop("the end")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome() if callable(outcome) else outcome

    def pause(self, seconds: float, stopping: threading.Event) -> None:
        assert stopping is self.stopping
        self.pauses.append(seconds)
        self.now += seconds

    def recover(self, seconds: float, stopping: threading.Event) -> None:
        assert stopping is self.stopping
        self.recoveries.append(seconds)

    def run(
        self, metrics: Metrics | None = None, once: bool = False, chance: Callable[[], float] = lambda: 1
    ) -> list[str]:
        """What is logged, by those who wait no time and write down how long it would have been."""
        return [entry["event"] for entry in self.logged(metrics, once, chance)]

    def waited_for(self) -> list[str]:
        """The reasons that are logged."""
        return [entry["reason"] for entry in self.logged() if entry["event"] == "waiting"]

    def logged(
        self, metrics: Metrics | None = None, once: bool = False, chance: Callable[[], float] = lambda: 1
    ) -> list[MutableMapping[str, Any]]:
        with capture_logs() as logs:
            run(
                self.cycle,
                2.0,
                self.stopping,
                LOG,
                metrics=metrics,
                pause=self.pause,
                recovery=self.recover,
                once=once,
                chance=chance,
                ticks=lambda: self.now,
            )
        return logs


def test_a_cycle_that_did_something_is_followed_by_the_next_at_once() -> None:
    script = Script([Register(), Train(1)])
    assert script.run() == ["stopped"]
    assert (script.calls, script.pauses, script.recoveries) == (3, [], [])


def test_a_cycle_with_nothing_to_do_is_followed_by_a_pause_and_said_once() -> None:
    script = Script([Wait("a"), Wait("a"), Wait("b"), Train(1), Wait("b")])
    assert script.run() == ["waiting", "waiting", "waiting", "stopped"]
    assert script.pauses == [2.0, 2.0, 2.0, 2.0]


def test_reasons_that_take_turns_are_said_once_each() -> None:
    """As where two nodes are a block apart, and each look is at another of them."""
    script = Script([Wait("a"), Wait("b"), StorageError("no node"), Wait("c")] * 10)
    assert script.waited_for() == ["a", "b", "c"]


def test_a_reason_that_returns_after_long_is_said_again() -> None:
    often = int(SAID_AGAIN / 2.0)
    script = Script([Wait("a"), *[Wait("b")] * (often - 2), Wait("a"), *[Wait("b")] * (often + 2), Wait("a")])
    assert script.waited_for() == ["a", "b", "a"]


def test_trouble_is_waited_out_longer_each_time_and_forgotten_after_a_success() -> None:
    failures: list[object] = [StorageError("no node")] * 7
    script = Script([*failures, Train(1), ChainError("no node")])
    assert script.run() == ["trouble"] * 8 + ["stopped"]
    assert script.recoveries == [2, 4, 8, 16, 32, 60, 60, 2]


def test_other_trouble_is_waited_out_from_the_beginning() -> None:
    script = Script([JournalBusy("full"), JournalBusy("full"), ChainError("no node"), ChainError("no node")])
    script.run()
    assert script.recoveries == [2, 4, 2, 4]


PASSING: list[BaseException] = [
    ArtifactError("bytes"),
    ChainError("no node"),
    StorageError("no node"),
    OutOfMemory("too little"),
    JournalBusy("the disk is full"),
    Unreadable("update: was truncated while it was read"),
    WorkerDied("the worker was killed by SIGKILL"),
    OSError(errno.ENOSPC, "No space left on device", "/state/work"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.EMFILE, "Too many open files"),
]


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_passes_is_waited_out(error: BaseException) -> None:
    script = Script([error])
    assert script.run() == ["trouble", "stopped"]


ENDING: list[BaseException] = [
    ConfigurationError("unknown model"),
    WrongAddress("another chain"),
    NewerVersion("this checkpoint has version 2"),
    DatasetError("not the task's"),
    JournalError("another wallet's"),
    KeystoreError("wrong passphrase"),
    MachineError("too few open files"),
    OSError(errno.EACCES, "Permission denied"),
    FileNotFoundError(errno.ENOENT, "No such file"),
    ValueError("a bug"),
]


@pytest.mark.parametrize("error", ENDING, ids=str)
def test_what_does_not_pass_ends_the_daemon(error: BaseException) -> None:
    script = Script([error, Train(1)])
    with pytest.raises(type(error)):
        script.run()
    assert script.calls == 1


def test_a_full_disk_is_trouble_wherever_it_came_up() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    wrapped = KeystoreError("the file cannot be written")
    wrapped.__cause__ = ValueError("in between")
    wrapped.__cause__.__cause__ = full
    assert trouble(wrapped) == "the file cannot be written"
    assert trouble(KeystoreError("the file cannot be written")) is None


def test_an_interrupted_step_ends_the_loop_once_the_daemon_is_to_stop() -> None:
    script = Script([])

    def interrupted() -> object:
        script.stopping.set()
        raise Interrupted("at step 3 of 5")

    script.outcomes = [interrupted, Train(1)]
    assert script.run() == ["interrupted"]
    assert script.calls == 1


def test_no_cycle_begins_after_the_daemon_was_told_to_stop() -> None:
    script = Script([Train(1)])
    script.stopping.set()
    assert script.run() == []
    assert script.calls == 0


def test_once_goes_on_until_there_is_nothing_to_do_now() -> None:
    script = Script([Register(), Train(1), Wait("our update is in"), Train(2)])
    assert script.run(once=True) == ["waiting"]
    assert (script.calls, script.pauses) == (3, [])


def test_once_goes_on_while_something_is_at_work() -> None:
    script = Script([Working("round 1: training"), Working("round 1: training"), Train(1), Wait("our update is in")])
    assert script.run(once=True) == ["waiting", "waiting"]
    assert (script.calls, script.pauses) == (4, [2.0, 2.0])


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_once_fails_at_the_first_trouble_with_its_words(error: BaseException) -> None:
    script = Script([error, Train(1)])
    with pytest.raises(Unfinished) as failed:
        script.run(once=True)
    assert (script.calls, script.recoveries) == (1, [])
    assert str(getattr(error, "strerror", None) or error) in str(failed.value)


def outlasted(script: Script) -> list[str]:
    """A start as the script says, and what is logged."""
    with capture_logs() as logs:
        outlast(script.cycle, 2.0, script.stopping, LOG, recovery=script.recover, chance=lambda: 1)
    assert {entry["event"] for entry in logs} <= {"trouble"}
    return [entry["error"] for entry in logs]


def test_a_start_that_meets_trouble_which_passes_is_tried_again_after_longer_and_longer_pauses() -> None:
    script = Script([ChainError("no node")] * 3 + [JournalBusy("full"), "the daemon ran, and ended"])
    assert outlasted(script) == ["cannot start yet: no node"] * 3 + ["cannot start yet: full"]
    assert (script.calls, script.recoveries) == (5, [2, 4, 8, 2])


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_a_start_waits_for_whatever_passes(error: BaseException) -> None:
    script = Script([error])
    assert len(outlasted(script)) == 1 and script.calls == 2


@pytest.mark.parametrize("error", ENDING, ids=str)
def test_a_start_ends_at_once_by_what_does_not_pass(error: BaseException) -> None:
    script = Script([error])
    with pytest.raises(type(error)):
        outlasted(script)
    assert script.calls == 1


def test_a_daemon_that_is_told_to_stop_before_it_could_start_ends() -> None:
    script = Script([])

    def unreachable() -> object:
        script.stopping.set()
        raise ChainError("no node")

    script.outcomes = [unreachable]
    outlasted(script)
    assert script.calls == 1


def test_a_start_that_is_interrupted_ends_where_the_daemon_is_to_stop_and_is_a_mistake_otherwise() -> None:
    script = Script([Interrupted("nobody asked for it")])
    with pytest.raises(Interrupted):
        outlasted(script)

    def interrupted() -> object:
        script.stopping.set()
        raise Interrupted("while the node was asked")

    script = Script([interrupted])
    with capture_logs() as logs:
        outlast(script.cycle, 2.0, script.stopping, LOG, recovery=script.recover)
    assert [entry["event"] for entry in logs] == ["interrupted"]
    assert (script.calls, script.recoveries) == (1, [])


def test_every_cycle_is_counted_by_its_outcome() -> None:
    metrics = Metrics()
    Script([Register(), StorageError("no node"), Wait("a"), SetInitialModel()]).run(metrics=metrics)
    text = generate_latest(metrics.registry).decode()
    for outcome in ("register", "trouble", "waited", "set_initial_model", "stopped"):
        assert f'koinon_cycles_total{{outcome="{outcome}"}} 1.0' in text


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (OpenRound(), "open_round"),
        (Claim(2), "claim"),
        (Publish(3), "publish"),
        (Wait(""), "waited"),
        (Stop(""), "stopped"),
    ],
)
def test_an_outcome_is_named_by_what_was_done(action: object, outcome: str) -> None:
    assert outcome_of(action) == outcome


@given(st.floats(0.01, 3600), st.integers(0, 10_000), st.floats(0, 1))
def test_a_pause_is_never_longer_than_a_minute_nor_shorter_than_half_of_what_it_could_be(
    poll_interval: float, failures: int, chance: float
) -> None:
    pause, longest = backoff(poll_interval, failures, chance), backoff(poll_interval, failures, 1.0)
    assert min(poll_interval, LONGEST_PAUSE) / 2 <= pause <= longest <= LONGEST_PAUSE
    assert pause >= longest / 2
    assert backoff(poll_interval, failures + 1, chance) >= pause


def test_daemons_that_failed_together_do_not_return_together() -> None:
    waits: list[list[float]] = []
    for _ in range(5):
        script = Script([StorageError("no node")] * 3)
        script.run(chance=random.random)
        waits.append(script.recoveries)
    assert len({tuple(each) for each in waits}) == 5


@pytest.mark.parametrize("outcome", [Wait("nothing"), StorageError("no node")])
def test_a_signal_ends_every_pause_and_can_come_at_any_moment(outcome: object) -> None:
    stopping = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda number, frame: stopping.set())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        script = Script([outcome])
        with capture_logs() as logs:
            run(script.cycle, 120.0, stopping, LOG)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (script.calls, len(logs)) == (1, 1)
