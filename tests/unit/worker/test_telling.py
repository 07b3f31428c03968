"""How far a job is, told often enough and never too often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.jobs.worker import Progress
from processor.worker.telling import PAUSE, Teller, log_to
from processor.worker.wire import Logged


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 2 * PAUSE), min_size=1, max_size=200))
def test_steps_are_told_at_most_once_in_a_pause_and_the_latest_on_asking(pauses: list[float]) -> None:
    clock, told = Clock(), list[tuple[float, Progress]]()
    teller = Teller(lambda progress: told.append((clock.now, progress)), clock)
    for step, pause in enumerate(pauses, 1):
        clock.now += pause
        teller.tell(Progress(step, len(pauses)))
    assert all(later - earlier >= PAUSE for (earlier, _), (later, _) in zip(told, told[1:], strict=False))
    assert told[0][1].step == 1
    teller.repeat()
    assert told[-1][1].step == len(pauses)


def test_a_new_checkpoint_is_told_at_once() -> None:
    clock, told = Clock(), list[Progress]()
    teller = Teller(told.append, clock)
    progress = [Progress(1, 9), Progress(2, 9), Progress(2, 9, checkpoint=2), Progress(3, 9, checkpoint=2)]
    for each in progress:
        teller.tell(each)
    assert told == [progress[0], progress[2]]


def test_before_anything_was_told_a_sign_of_life_says_nothing_more() -> None:
    told = list[Progress]()
    Teller(told.append).repeat()
    assert told == [Progress()]


@contextmanager
def log_kept() -> Iterator[None]:
    before = structlog.get_config()
    try:
        yield
    finally:
        structlog.configure(**before)


def test_the_log_of_a_job_is_passed_on_with_level_and_fields_and_without_secrets() -> None:
    said = list[Logged]()
    with log_kept():
        log_to(7, said.append)
        log = structlog.get_logger()
        log.warning("checkpoint not written", path="/x", passphrase="hidden?")
        log.debug("too much to tell")
    assert said == [Logged(7, "warning", "checkpoint not written", {"path": "/x", "passphrase": "[hidden]"})]
