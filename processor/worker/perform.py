"""One job, from what its folder says to the answer in it."""

from __future__ import annotations

from pathlib import Path

from processor.artifacts.checkpoint import CHECKPOINT
from processor.artifacts.dataset import DATASET
from processor.artifacts.model import MODEL
from processor.artifacts.plan import PLAN
from processor.artifacts.private_state import PRIVATE_STATE
from processor.artifacts.update import UPDATE
from processor.errors import KoinonError
from processor.protocol.jobs.folder import digest_of, failure_of, job_in, put_result
from processor.protocol.jobs.kinds import JOBS, RESULTS, EvaluateJob, InitializeJob, InspectJob, Job, Result
from processor.worker.control import Control
from processor.worker.jobs import evaluating, initializing, inspecting, training


def perform(folder: Path, control: Control) -> None:
    """Does the job in a folder. Its result, or the error that a daemon expects of it, is then in the folder.

    Raises Interrupted where `control` stopped it, and whatever nobody expects of a job: then there is no answer.
    """
    job = job_in(folder)
    digest = digest_of(job)
    try:
        put_result(folder, _run(folder, job, digest, control))
    except KoinonError as error:
        failure = failure_of(digest, error)
        if failure is None:
            raise
        put_result(folder, failure)


def build_readers() -> None:
    """Builds what jobs read their files by, once for all processes that are forked from this one."""
    for kind in (*JOBS, *RESULTS, PLAN, MODEL, UPDATE, CHECKPOINT, PRIVATE_STATE, DATASET):
        kind.build_readers()


def _run(folder: Path, job: Job, digest: str, control: Control) -> Result:
    match job:
        case EvaluateJob():
            return evaluating.run(folder, job, digest, control)
        case InitializeJob():
            return initializing.run(folder, job, digest, control)
        case InspectJob():
            return inspecting.run(folder, job, digest, control)
        case _:
            return training.run(folder, job, digest, control)
