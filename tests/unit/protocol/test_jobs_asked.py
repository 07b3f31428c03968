"""Whoever asks for a job gets what came of it, once it is there: it is begun when it must be, and not twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.errors import Interrupted, MachineError, StorageError, TrainingError, WorkerDied
from processor.protocol.jobs import worker
from processor.protocol.jobs.folder import digest_of, job_in, put_result
from processor.protocol.jobs.kinds import Failure, InitializeJob, InitializeResult, Job
from processor.protocol.jobs.worker import Died, Progress, attempt, completed
from tests.unit.protocol.test_jobs import MODEL, PLAN, fail, fill, never

JOB, OTHER = InitializeJob(PLAN), InitializeJob(MODEL)
WORKING = Progress(step=3, steps=10)
DIED = Died("was killed", Progress(step=3, steps=10, checkpoint=2))


def answer(folder: Path, job: Job | None = None) -> InitializeResult:
    """What a worker leaves that did the job in the folder, or another."""
    result = InitializeResult(digest_of(job or job_in(folder)), MODEL)
    put_result(folder, result)
    return result


class Scripted:
    """A worker of which `seen` says what there is to be seen at each look; at each beginning and look it does what it
    is told to."""

    def __init__(
        self,
        *seen: Progress | Died | None,
        on_begin: Callable[[Path], object] = lambda folder: None,
        on_look: Callable[[Path], object] = lambda folder: None,
    ) -> None:
        self._seen, self._on_begin, self._on_look = iter(seen), on_begin, on_look
        self.begun, self.ended = 0, 0

    def warm(self) -> None:
        pass

    def begin(self, folder: Path) -> None:
        self.begun += 1
        self._on_begin(folder)

    def look(self, folder: Path) -> Progress | Died | None:
        self._on_look(folder)
        return next(self._seen, None)

    def end(self, folder: Path) -> None:
        self.ended += 1


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TICK", 0.0)


def test_a_job_is_begun_once_and_nothing_comes_of_it_while_it_is_at_work(tmp_path: Path) -> None:
    scripted = Scripted(None, WORKING, WORKING)
    assert attempt(scripted, tmp_path, JOB, fill) is None
    assert [attempt(scripted, tmp_path, JOB, never) for _ in range(2)] == [None, None]
    assert scripted.begun == 1
    result = answer(tmp_path)
    assert [attempt(scripted, tmp_path, JOB, never) for _ in range(2)] == [result, result]
    assert scripted.begun == 1


def test_a_worker_that_does_the_job_at_once_answers_at_once(tmp_path: Path) -> None:
    assert attempt(Scripted(on_begin=answer), tmp_path, JOB, fill) == InitializeResult(digest_of(JOB), MODEL)


@pytest.mark.parametrize("seen", [None, WORKING, DIED], ids=["gone", "working", "died"])
def test_an_answer_counts_whatever_is_seen_of_its_worker(tmp_path: Path, seen: Progress | Died | None) -> None:
    attempt(Scripted(), tmp_path, JOB, fill)
    result = answer(tmp_path)
    assert attempt(Scripted(seen), tmp_path, JOB, never) == result


@pytest.mark.parametrize("seen", [None, DIED], ids=["gone", "died"])
def test_an_answer_that_is_the_last_act_of_a_worker_is_seen_though_it_came_between_two_looks(
    tmp_path: Path, seen: Died | None
) -> None:
    attempt(Scripted(), tmp_path, JOB, fill)
    scripted = Scripted(seen, on_look=answer)
    assert attempt(scripted, tmp_path, JOB, never) == InitializeResult(digest_of(JOB), MODEL)
    assert scripted.begun == 0


def test_a_worker_that_died_is_told_of_once_and_the_job_begun_again_with_what_is_there(tmp_path: Path) -> None:
    scripted = Scripted(None, DIED)
    attempt(scripted, tmp_path, JOB, fill)
    with pytest.raises(WorkerDied, match="the worker was killed") as raised:
        attempt(scripted, tmp_path, JOB, never)
    assert raised.value.checkpoint == 2
    assert attempt(scripted, tmp_path, JOB, never) is None and scripted.begun == 2


def test_a_job_that_cannot_be_filled_is_not_begun(tmp_path: Path) -> None:
    scripted = Scripted()
    with pytest.raises(StorageError):
        attempt(scripted, tmp_path, JOB, fail)
    assert scripted.begun == 0
    assert attempt(scripted, tmp_path, JOB, fill) is None and scripted.begun == 1


def test_another_job_in_the_same_folder_is_waited_for_and_what_came_of_it_is_dropped(tmp_path: Path) -> None:
    attempt(Scripted(), tmp_path, OTHER, fill)
    at_work = Scripted(WORKING, None, on_begin=answer)
    assert attempt(at_work, tmp_path, JOB, never) is None
    answer(tmp_path, OTHER)
    assert attempt(at_work, tmp_path, JOB, fill) == InitializeResult(digest_of(JOB), MODEL)
    assert job_in(tmp_path) == JOB


def test_an_answer_to_another_job_that_comes_while_ours_is_at_work_is_not_ours(tmp_path: Path) -> None:
    """A worker of the daemon before ends only now."""
    scripted = Scripted(None, WORKING, WORKING)
    attempt(scripted, tmp_path, JOB, fill)
    answer(tmp_path, OTHER)
    assert attempt(scripted, tmp_path, JOB, never) is None
    result = answer(tmp_path, JOB)
    assert attempt(scripted, tmp_path, JOB, never) == result


@pytest.mark.parametrize(
    ("error", "begun"), [(TrainingError("it diverged"), 1), (MachineError("no such instruction"), 2)]
)
def test_an_error_is_raised_and_the_job_begun_again_where_it_may_not_come_again(
    tmp_path: Path, error: Exception, begun: int
) -> None:
    def say(folder: Path) -> None:
        put_result(folder, Failure(digest_of(job_in(folder)), type(error).__name__, str(error), None))

    scripted = Scripted(on_begin=say)
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            attempt(scripted, tmp_path, JOB, fill)
    assert scripted.begun == begun


# ------------------------------------------------------------------------------------------------------- waiting for it


def working_then(act: Callable[[Path], object], looks: int) -> Callable[[Path], object]:
    left = iter(range(looks))

    def look(folder: Path) -> None:
        if next(left, None) is None:
            act(folder)

    return look


def test_a_job_that_is_waited_for_is_over_on_return(tmp_path: Path) -> None:
    scripted = Scripted(None, *[WORKING] * 20, on_look=working_then(answer, 5))
    assert completed(scripted, tmp_path, JOB, fill) == InitializeResult(digest_of(JOB), MODEL)
    assert (scripted.begun, scripted.ended) == (1, 0)


def test_who_is_asked_to_stop_ends_the_job_and_says_so(tmp_path: Path) -> None:
    stopping = threading.Event()
    scripted = Scripted(None, *[WORKING] * 20, on_look=working_then(lambda folder: stopping.set(), 5))
    with pytest.raises(Interrupted, match=f"stopped at the job in {tmp_path.name}"):
        completed(scripted, tmp_path, JOB, fill, stopping)
    assert (scripted.begun, scripted.ended) == (1, 1)


def test_what_is_there_already_is_given_to_who_is_asked_to_stop(tmp_path: Path) -> None:
    attempt(Scripted(on_begin=answer), tmp_path, JOB, fill)
    stopping = threading.Event()
    stopping.set()
    assert completed(Scripted(), tmp_path, JOB, never, stopping) == InitializeResult(digest_of(JOB), MODEL)


@given(st.lists(st.sampled_from([None, WORKING, DIED]), max_size=12))
@settings(max_examples=20)
def test_whatever_is_seen_a_job_is_filled_once_and_comes_to_its_answer(
    tmp_path_factory: pytest.TempPathFactory, seen: list[Progress | Died | None]
) -> None:
    """As often as it dies, and whoever asks for it waits."""
    folder, filled = tmp_path_factory.mktemp("job"), list[Path]()
    scripted = Scripted(None, *seen, on_look=working_then(answer, len(seen) + 1))

    def fill_once(folder: Path) -> None:
        filled.append(folder)

    for _ in range(14):
        try:
            assert completed(scripted, folder, JOB, fill_once) == InitializeResult(digest_of(JOB), MODEL)
            break
        except WorkerDied as error:
            assert error.checkpoint == 2
    assert filled == [folder]
