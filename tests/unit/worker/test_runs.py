"""The daemon's book of its worker: what is at work, what died, and that nothing is said twice."""

from __future__ import annotations

import signal

import pytest

from processor.protocol.jobs.worker import Died, Progress
from processor.worker.child import ANSWERED, INTERRUPTED
from processor.worker.runs import LONGEST, Runs, how_it_ended

GROUP, OTHER = 10, 20
SOME = Progress(3, 9, 0.5, 100, 2)


@pytest.fixture
def runs() -> Runs:
    return Runs()


def test_a_run_is_at_work_from_its_begin_to_its_end(runs: Runs) -> None:
    assert runs.look("train") is None
    number = runs.begin("train", GROUP)
    assert runs.look("train") == Progress()
    runs.heard(number, SOME)
    runs.heard(number)
    assert runs.look("train") == SOME
    runs.over(number, None)
    assert runs.look("train") is None


def test_a_death_is_told_once_with_the_last_that_was_heard(runs: Runs) -> None:
    number = runs.begin("train", GROUP)
    runs.heard(number, SOME)
    died = Died("was killed", SOME)
    assert runs.over(number, "was killed") == died
    assert runs.look("train") == died
    assert runs.look("train") is None


def test_what_the_system_refused_is_told_from_a_death_of_the_job(runs: Runs) -> None:
    assert runs.over(runs.begin("train", GROUP), "found a full disk", refused=True) == Died(
        "found a full disk", Progress(), refused=True
    )


def test_what_was_told_to_end_does_not_die(runs: Runs) -> None:
    number = runs.begin("train", GROUP)
    assert runs.unwanted(number)
    assert not runs.unwanted(number)
    assert runs.look("train") == Progress()
    assert runs.over(number, "was killed") is None
    assert runs.look("train") is None


def test_of_an_earlier_death_nothing_is_known_once_the_job_begins_again(runs: Runs) -> None:
    runs.over(runs.begin("train", GROUP), "was killed")
    number = runs.begin("train", GROUP)
    runs.over(number, None)
    assert runs.look("train") is None


def test_what_comes_late_of_a_run_that_is_over_changes_nothing(runs: Runs) -> None:
    first = runs.begin("train", GROUP)
    runs.over(first, None)
    second = runs.begin("train", GROUP)
    runs.heard(first, SOME)
    assert runs.over(first, "was killed") is None
    assert runs.look("train") == Progress()
    assert runs.number("train") == second


def test_silence_is_counted_for_the_runs_of_one_group_until_something_is_heard(runs: Runs) -> None:
    frozen, busy, other = (runs.begin(*each) for each in (("frozen", GROUP), ("busy", GROUP), ("other", OTHER)))
    for _ in range(3):
        assert not runs.silent(GROUP, LONGEST, 4 * LONGEST)
    runs.heard(busy)
    assert runs.silent(GROUP, LONGEST, 4 * LONGEST)
    died = runs.over(frozen, "was killed by SIGKILL")
    assert died is not None
    assert died.how == f"gave no sign of life for {4 * LONGEST:g} s and was killed"
    lost = runs.over(busy, "was lost with its parent")
    assert lost is not None
    assert lost.how == "was lost with its parent"
    assert runs.of(OTHER) == [other]


def test_a_daemon_that_was_stopped_for_an_hour_takes_nobody_for_frozen(runs: Runs) -> None:
    runs.begin("train", GROUP)
    assert not runs.silent(GROUP, 3600.0, 30.0)


@pytest.mark.parametrize(
    ("status", "said", "how"),
    [
        (ANSWERED, "", None),
        (ANSWERED, "a warning", None),
        (INTERRUPTED, "", "was stopped by somebody else"),
        (-signal.SIGKILL, "", "was killed by SIGKILL (out of memory?)"),
        (-signal.SIGSEGV, "Fatal error", "was killed by SIGSEGV"),
        (-100, "", "was killed by signal 100"),
        (1, "Traceback\n  of much\nKeyError: 'x'\n", "ended with status 1: KeyError: 'x'"),
        (3, " \n", "ended with status 3"),
    ],
)
def test_the_end_of_a_process_is_said_in_words(status: int, said: str, how: str | None) -> None:
    assert how_it_ended(status, said) == how
