"""The worker as a daemon has it: small as long as nothing is to be done."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog

from processor.errors import OutOfMemory
from processor.worker import process
from processor.worker.process import MAIN, WorkerProcess

HEAVY = "print(*({'torch', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules)))"


def test_a_daemon_that_has_a_worker_loads_nothing_heavy() -> None:
    program = f"import sys; from processor.worker.process import WorkerProcess; {HEAVY}"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_without_a_job_there_is_no_process_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "start", None)
    root = tmp_path / "jobs"
    with WorkerProcess(root, structlog.get_logger()) as worker:
        assert worker.look(root / "train") is None
        worker.end(root / "train")
    assert not root.exists()


def test_a_folder_somewhere_else_is_no_job(tmp_path: Path) -> None:
    with WorkerProcess(tmp_path / "jobs", structlog.get_logger()) as worker:
        with pytest.raises(ValueError, match="expected a folder in"):
            worker.begin(tmp_path / "train")
        with pytest.raises(ValueError, match="expected a folder in"):
            worker.begin(tmp_path / "jobs" / "deeper" / "train")


def test_a_parent_that_cannot_be_started_leaves_no_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*arguments: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    def held() -> list[str]:
        return sorted(each.name for each in Path("/proc/self/fd").iterdir())

    monkeypatch.setattr(process, "start", no_process)
    worker, before = WorkerProcess(tmp_path / "jobs", structlog.get_logger()), held()
    for _ in range(3):
        worker.warm()  # which hinders nothing
        with pytest.raises(OutOfMemory, match="no worker can be started: .*unavailable"):
            worker.begin(tmp_path / "jobs" / "train")
    assert held() == before


class OnAFullDisk:
    """A log that cannot be written."""

    def __getattr__(self, level: str) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("log", [structlog.get_logger(), OnAFullDisk()], ids=["log", "full disk"])
def test_a_parent_that_fails_at_once_is_a_death_that_says_why(
    log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; sys.exit('the worker has no torch')"
    started = list[subprocess.Popen[bytes]]()

    def failing(
        root: Path, environment: dict[str, str], standard_input: int, standard_output: int, standard_error: int
    ) -> subprocess.Popen[bytes]:
        streams = {"stdin": standard_input, "stdout": standard_output, "stderr": standard_error}
        started.append(subprocess.Popen([sys.executable, "-c", program], start_new_session=True, **streams))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(process, "start", failing)
    folder = tmp_path / "jobs" / "train"
    with WorkerProcess(tmp_path / "jobs", log) as worker:
        worker.begin(folder)
        while not isinstance(died := worker.look(folder), process.Died):
            assert died is not None
        assert died.how == "could not start: its parent ended with status 1: the worker has no torch"
        worker.warm()
        assert len(started) == 1
        worker.begin(folder)
        assert len(started) == 2


def test_a_parent_that_finds_no_room_on_the_disk_is_no_failure_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "import errno, sys; from processor.worker import parent; "
    program = f"{said}parent.Lock.taken = lambda lock: (_ for _ in ()).throw(OSError(errno.ENOSPC, 'No space left'))"
    program += "; sys.exit(parent.serve(__import__('pathlib').Path(sys.argv[1])))"

    def failing(
        root: Path, environment: dict[str, str], standard_input: int, standard_output: int, standard_error: int
    ) -> subprocess.Popen[bytes]:
        streams = {"stdin": standard_input, "stdout": standard_output, "stderr": standard_error}
        words = [sys.executable, "-c", program, root]
        process: subprocess.Popen[bytes] = subprocess.Popen(words, start_new_session=True, **streams)  # type: ignore[call-overload]
        return process

    monkeypatch.setattr(process, "start", failing)
    folder = tmp_path / "jobs" / "train"
    with WorkerProcess(tmp_path / "jobs", structlog.get_logger()) as worker:
        worker.begin(folder)
        while not isinstance(died := worker.look(folder), process.Died):
            assert died is not None
    assert died.refused
    assert "No space left" in died.how


def test_called_as_nobody_calls_it_the_program_says_what_it_is() -> None:
    found = subprocess.run([sys.executable, "-P", str(MAIN)], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "the worker of a daemon" in found.stderr
