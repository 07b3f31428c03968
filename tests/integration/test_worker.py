"""The worker with real processes: whatever is killed, stopped or starved, nothing is lost, left over or done twice."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from processor.errors import OutOfMemory
from processor.protocol.jobs.folder import RESULT, outcome
from processor.protocol.jobs.kinds import InspectResult, TrainResult
from processor.protocol.jobs.worker import Died, Progress
from processor.worker import process, wire
from processor.worker.environment import allowed
from processor.worker.process import WorkerProcess
from tests.integration import worker_jobs
from tests.integration.forked_worker import NEVER, Forked, become_daemon
from tests.integration.worker_jobs import step_of
from tests.warm import server

SOON = 60.0
"""Seconds in which on the busiest machine happens what happens at once."""
FROZEN = 4.0

Start = Callable[..., WorkerProcess]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return worker_jobs.digits_like(tmp_path / "data.npz")


@pytest.fixture
def start(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Makes workers whose parents come from the warm server."""
    made = list[WorkerProcess]()
    monkeypatch.setattr(process, "start", Forked)

    def make(**changes: Any) -> WorkerProcess:
        settings: dict[str, Any] = {"root": root, "keep": NEVER, "frozen": NEVER, **changes}
        made.append(WorkerProcess(log=structlog.get_logger(), **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def until(happened: Callable[[], Any], what: str) -> Any:
    """What `happened` answers, once it answers anything."""
    deadline = time.monotonic() + SOON
    while not (found := happened()):
        assert time.monotonic() < deadline, f"{what} did not happen in {SOON:g} s"
        time.sleep(0.01)
    return found


def parent_of(root: Path) -> psutil.Process:
    return psutil.Process(int((root / "lock").read_text().split("\n")[0]))


def child_of(root: Path) -> psutil.Process:
    (child,) = parent_of(root).children()
    return child


def over(one: psutil.Process) -> bool:
    """Whether a process has ended; it may still wait for the system's first process to notice."""
    try:
        return not one.is_running() or one.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def held() -> tuple[list[str], int]:
    """Open files and threads of this process."""
    return sorted(each.name for each in Path("/proc/self/fd").iterdir()), threading.active_count()


@contextmanager
def first_process_of_a_container() -> Iterator[None]:
    """This process becomes the parent of descendants that have lost theirs."""
    prctl, set_child_subreaper = ctypes.CDLL(None).prctl, 36
    assert prctl(set_child_subreaper, 1) == 0
    yield
    prctl(set_child_subreaper, 0)


def under_way(worker: WorkerProcess, folder: Path) -> Progress:
    """The training has begun its steps."""

    def stepping() -> Progress | None:
        seen = worker.look(folder)
        assert isinstance(seen, Progress), seen
        return seen if seen.step else None

    found: Progress = until(stepping, "a step")
    return found


def death(worker: WorkerProcess, folder: Path) -> Died:
    def dead() -> Died | None:
        seen = worker.look(folder)
        assert seen is not None
        return seen if isinstance(seen, Died) else None

    found: Died = until(dead, "the death")
    assert worker.look(folder) is None
    return found


def gone(worker: WorkerProcess, folder: Path) -> None:
    until(lambda: worker.look(folder) is None, "the end")


def answers(worker: WorkerProcess, root: Path, data: Path) -> bool:
    """Whether the worker does a job."""
    folder = root / "inspect"
    (folder / RESULT).unlink(missing_ok=True)
    job = worker_jobs.looking(folder, data)
    worker.begin(folder)
    gone(worker, folder)
    found = outcome(folder, job)
    return isinstance(found, InspectResult) and found.samples == worker_jobs.SAMPLES


def test_jobs_are_done_one_after_the_other_and_then_nothing_is_left(start: Start, root: Path, data: Path) -> None:
    worker = start()
    assert answers(worker, root, data)  # which starts the warm server, if nothing has
    worker.close()
    before, news = held(), threading.Event()
    worker = start(news=news)
    worker.warm()
    assert answers(worker, root, data)
    assert news.is_set()
    parent = parent_of(root)
    job = worker_jobs.training(root / "train", data, steps=5)
    worker.begin(root / "train")
    gone(worker, root / "train")
    assert isinstance(outcome(root / "train", job), TrainResult)
    assert parent_of(root) == parent
    worker.close()
    assert over(parent)
    assert held() == before


def test_a_program_starts_as_it_does_for_a_user_and_learns_no_secret(
    root: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "processor", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stray file was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KOINON_PASSPHRASE", "open sesame")
    monkeypatch.setenv("SOME_PROVIDER", "https://node.example/v3/open-sesame")
    umask = os.umask(0)
    try:
        with WorkerProcess(root, structlog.get_logger()) as worker:
            worker_jobs.training(root / "train", data)
            worker.begin(root / "train")
            under_way(worker, root / "train")
            processes = [parent_of(root), child_of(root)]
            known = [str((each.environ(), each.cmdline())) for each in processes]
            threads = processes[0].num_threads()
            signs_of_cuda = [each.path for each in processes[0].memory_maps() if "/dev/nvidia" in each.path]
            spared = int(Path(f"/proc/{processes[1].pid}/oom_score_adj").read_text())
    finally:
        os.umask(umask)
    assert not any("sesame" in each for each in known)
    assert threads == 1
    assert not signs_of_cuda
    assert spared > int(Path("/proc/self/oom_score_adj").read_text())
    assert step_of(root / "train")
    readable = [each for each in root.rglob("*") if each.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    assert not readable


def test_where_processes_are_not_forked_programs_are_started(
    root: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = subprocess.Popen
    monkeypatch.setattr(process.subprocess, "Popen", lambda words, **more: ordinary([*words, "--spawn"], **more))
    with WorkerProcess(root, structlog.get_logger()) as worker:
        worker_jobs.training(root / "train", data)
        worker.begin(root / "train")
        under_way(worker, root / "train")
        assert "train" in child_of(root).cmdline()
        child_of(root).send_signal(signal.SIGINT)
        worker.end(root / "train")
        gone(worker, root / "train")
        assert step_of(root / "train")


def test_a_training_that_is_ended_goes_on_from_there(start: Start, root: Path, data: Path) -> None:
    worker, folder = start(), root / "train"
    worker_jobs.training(folder, data, interval=NEVER)
    worker.begin(folder)
    under_way(worker, folder)
    worker.end(folder)
    worker.end(folder)
    gone(worker, folder)
    step = step_of(folder)
    assert step
    worker.begin(folder)
    assert under_way(worker, folder).checkpoint == step
    worker.close()
    assert step_of(folder) > step


def test_the_signal_of_a_terminal_stops_nothing_nor_does_another_job(start: Start, root: Path, data: Path) -> None:
    worker, folder = start(), root / "train"
    worker_jobs.training(folder, data)
    worker.begin(folder)
    under_way(worker, folder)
    os.killpg(parent_of(root).pid, signal.SIGINT)
    seen = under_way(worker, folder)
    assert answers(worker, root, data)
    until(lambda: under_way(worker, folder).step > seen.step + 10, "the next steps")


def test_a_child_that_is_killed_has_died_and_the_next_job_is_done(start: Start, root: Path, data: Path) -> None:
    news = threading.Event()
    worker, folder = start(news=news), root / "train"
    worker_jobs.training(folder, data)
    worker.begin(folder)
    until(lambda: under_way(worker, folder).checkpoint, "a checkpoint")
    parent = parent_of(root)
    child_of(root).kill()
    died = death(worker, folder)
    assert died.how == "was killed by SIGKILL (out of memory?)"
    assert 0 < died.progress.checkpoint <= step_of(folder)
    assert news.is_set()
    assert answers(worker, root, data)
    assert parent_of(root) == parent


def test_a_child_that_is_told_to_end_by_somebody_else_has_died_with_a_checkpoint(
    start: Start, root: Path, data: Path
) -> None:
    worker, folder = start(), root / "train"
    worker_jobs.training(folder, data, interval=NEVER)
    worker.begin(folder)
    under_way(worker, folder)
    child_of(root).terminate()
    died = death(worker, folder)
    assert died.how == "was stopped by somebody else"
    assert died.progress.checkpoint == step_of(folder) > 0


def test_a_child_that_gives_no_sign_of_life_is_killed(start: Start, root: Path, data: Path) -> None:
    worker, folder = start(frozen=FROZEN), root / "train"
    worker_jobs.training(folder, data)
    worker.begin(folder)
    under_way(worker, folder)
    parent, child = parent_of(root), child_of(root)
    child.suspend()
    assert death(worker, folder).how == f"gave no sign of life for {FROZEN:g} s and was killed"
    assert over(parent)
    assert over(child)
    assert answers(worker, root, data)


def test_what_does_not_end_when_it_is_told_to_is_killed(start: Start, root: Path, data: Path) -> None:
    other_root = root.with_name("other")
    worker, other = start(), start(root=other_root)
    for each, its_root in ((worker, root), (other, other_root)):
        worker_jobs.training(its_root / "train", data)
        each.begin(its_root / "train")
        under_way(each, its_root / "train")
    parent, child, hung = parent_of(root), child_of(root), parent_of(other_root)
    child.suspend()
    hung.suspend()
    worker.end(root / "train")
    other.close()
    assert over(hung)
    gone(worker, root / "train")
    assert over(child)
    assert answers(worker, root, data)
    assert parent_of(root) == parent


def test_a_child_whose_parent_is_killed_ends_with_a_checkpoint(start: Start, root: Path, data: Path) -> None:
    worker, folder = start(), root / "train"
    worker_jobs.training(folder, data, interval=NEVER)
    worker.begin(folder)
    under_way(worker, folder)
    child = child_of(root)
    with first_process_of_a_container():
        parent_of(root).kill()
        died = death(worker, folder)
    assert died.how.startswith("was lost with its parent, which was killed by SIGKILL")
    assert not child.is_running()
    assert died.progress.checkpoint == step_of(folder) > 0
    assert answers(worker, root, data)


def test_a_worker_ends_when_nothing_was_to_be_done_for_a_while(start: Start, root: Path, data: Path) -> None:
    worker = start(keep=0.1)
    assert answers(worker, root, data)
    parent = parent_of(root)
    until(lambda: over(parent), "the end of the parent")
    until(lambda: not any(each.name.startswith("worker ") for each in threading.enumerate()), "the end of the thread")
    assert answers(worker, root, data)


def test_without_memory_a_job_fails_and_the_next_is_done(start: Start, root: Path, data: Path) -> None:
    worker, folder = start(), root / "train"
    assert answers(worker, root, data)
    parent = parent_of(root)
    job = worker_jobs.training(folder, data, hidden=200_000)
    limits = parent.rlimit(resource.RLIMIT_AS)
    parent.rlimit(resource.RLIMIT_AS, (parent.memory_info().vms + (64 << 20), limits[1]))
    worker.begin(folder)
    seen = until(lambda: (found := worker.look(folder)) is None or isinstance(found, Died) and found, "an end")
    if not isinstance(seen, Died):
        with pytest.raises(OutOfMemory):
            outcome(folder, job)
    parent.rlimit(resource.RLIMIT_AS, limits)
    assert answers(worker, root, data)
    assert parent_of(root) == parent


def test_pipes_that_nobody_reads_stop_no_training_and_its_end_is_told_in_time(root: Path, data: Path) -> None:
    folder = root / "train"
    job = worker_jobs.training(folder, data, steps=50)
    control, out, errors = os.pipe(), os.pipe(), os.pipe()
    for _, end in (out, errors):
        os.set_blocking(end, False)
        fill(end)
    parent = Forked(root, allowed(os.environ), control[0], out[1], errors[1])
    for each in (control[0], out[1], errors[1]):
        os.close(each)
    os.write(control[1], wire.encode(wire.Begin(1, "train")))
    assert isinstance(until(lambda: outcome(folder, job), "the result"), TrainResult)
    lines, heard = wire.Lines(), list[wire.Message]()
    while wire.Ended(1, 0, "") not in heard:
        heard += lines.messages(os.read(out[0], 1 << 16))
    os.close(control[1])
    assert parent.wait(SOON) == 0
    os.close(out[0])
    os.close(errors[0])


def fill(pipe: int) -> None:
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"\n")


def test_a_daemon_that_is_killed_takes_its_worker_along_and_a_new_one_goes_on(
    start: Start, root: Path, data: Path
) -> None:
    folder = root / "train"
    worker_jobs.training(folder, data, interval=NEVER)
    daemon = server().Process(target=become_daemon, args=(root, folder))
    daemon.start()
    until((root / "under way").exists, "the first worker's first step")
    parent, child = parent_of(root), child_of(root)
    daemon.kill()
    worker = start()
    worker.begin(folder)
    resumed = under_way(worker, folder)
    assert over(parent)
    assert over(child)
    assert resumed.checkpoint == step_of(folder) > 0
    daemon.join()
