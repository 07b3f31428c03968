"""A job's folder: all that the worker knows, readable by its owner alone, and what came of it.

The digest of `job.json` names the job; a result that names another is of no use and is dropped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from processor import errors, jcs
from processor.artifacts.versions import Kind
from processor.errors import ArtifactError, KoinonError
from processor.files import sync
from processor.keystore import private_directory, write_private
from processor.protocol.jobs.kinds import CHECKPOINT, FAILURE, JOBS, RESULTS, Failure, Job, Result

JOB, RESULT = "job.json", "result.json"
PRIVATE_FOLDER = 0o700

SAYS: dict[str, type[KoinonError]] = {
    error.__name__: error
    for error in (
        errors.ArtifactError,
        errors.ConfigurationError,
        errors.DatasetError,
        errors.GpuOutOfMemory,
        errors.MachineError,
        errors.NewerVersion,
        errors.OutOfMemory,
        errors.TrainingError,
        errors.Unreadable,
    )
}
"""The errors that a worker may answer with."""
PASSING = (
    errors.DatasetError,
    errors.MachineError,
    errors.NewerVersion,
    errors.OutOfMemory,
    errors.Unreadable,
)
"""Those that may not come again, with a mended file or a newer program: the same job is begun another time."""

Answer = TypeVar("Answer", bound=Result)

Fill = Callable[[Path], None]
"""Puts the files of a job into its folder."""


def jobs_folder(state: Path) -> Path:
    """Where a daemon with the folder `state` has its jobs."""
    return state / "jobs"


def digest_of(job: Job) -> str:
    """What names a job, in hexadecimal digits."""
    return blake2b(_encoded(job), digest_size=32).hexdigest()


def prepare(folder: Path, job: Job, fill: Fill) -> None:
    """Makes the folder of a job, unless it is there; whatever `fill` raises, no job is there then.

    Of another job that the folder was for only a checkpoint is left: that says itself which training it is of.
    """
    if _found(folder / JOB) == _encoded(job):
        return
    private_directory(folder.parent)
    private_directory(folder).chmod(PRIVATE_FOLDER)
    (folder / JOB).unlink(missing_ok=True)  # first: whatever a kill leaves of the rest is no job
    for path in folder.iterdir():
        if path.name != CHECKPOINT:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    fill(folder)
    sync(folder)
    write_private(folder / JOB, _encoded(job))


def job_in(folder: Path) -> Job:
    """The job that a folder is for. Raises ArtifactError where it holds none, OSError where it cannot be read."""
    value: Job = _decoded((folder / JOB).read_bytes(), JOBS)
    return value


def put_result(folder: Path, result: Result | Failure) -> None:
    """What the worker answers, whole or not at all."""
    write_private(folder / RESULT, _kind_of(result, RESULTS).encode(result))


def outcome(folder: Path, job: Job) -> Result | None:
    """What came of a job; None where nothing has come of this very job yet.

    Raises the error that the worker answered with; one that may not come again is forgotten by that.
    """
    data, digest = _found(folder / RESULT), digest_of(job)
    if data is None:
        return None
    try:
        found: Result | Failure = _decoded(data, RESULTS)
    except ArtifactError:  # of another version: to do it again is safe
        found = Failure("", "", "", None)
    if found.job != digest:
        (folder / RESULT).unlink(missing_ok=True)
        return None
    if not isinstance(found, Failure):
        return found
    error = _error_of(found)
    if isinstance(error, PASSING):
        (folder / RESULT).unlink(missing_ok=True)
    raise error


def answer_of(found: Result, kind: type[Answer], folder: Path) -> Answer:
    """What came of the job in a folder, as the kind of result that such a job has. Raises MachineError for another."""
    if not isinstance(found, kind):
        raise errors.MachineError(f"the worker answered the job in {folder} with something else: remove that folder")
    return found


def discard(folder: Path) -> None:
    """Forgets what came of the job in a folder, so that it is done again, from its checkpoint if it has one."""
    (folder / RESULT).unlink(missing_ok=True)


def failure_of(job: str, error: KoinonError) -> Failure | None:
    """An error as the worker answers with it; None for one that daemons do not expect of a job."""
    name = next((each.__name__ for each in type(error).__mro__ if each.__name__ in SAYS), None)
    code = error.code if isinstance(error, ArtifactError) else None
    said = str(error).encode(errors="backslashreplace").decode()  # a path may hold bytes that are no text
    return None if name is None else Failure(job, name, said[:65536], code)


def _error_of(failure: Failure) -> KoinonError:
    error = SAYS.get(failure.error, errors.MachineError)(failure.said)
    if isinstance(error, ArtifactError) and failure.code is not None:
        error.code = failure.code
    return error


def _encoded(job: Job) -> bytes:
    return _kind_of(job, JOBS).encode(job)


def _kind_of(value: Any, kinds: tuple[Kind[Any], ...]) -> Kind[Any]:
    return next(kind for kind in kinds if kind.fields is type(value))


def _decoded(data: bytes, kinds: tuple[Kind[Any], ...]) -> Any:
    named = jcs.loads(data)
    said = named.get("kind") if isinstance(named, dict) else None
    kind = next((kind for kind in kinds if kind.name == said), FAILURE)
    return kind.decode(data)


def _found(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
