"""One job, from what its folder says to the answer in it, or to none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from processor.errors import ArtifactError, ConfigurationError, Interrupted, KoinonError, OutOfMemory
from processor.protocol.jobs.folder import RESULT, outcome, prepare
from processor.protocol.jobs.kinds import EvaluateJob, EvaluateResult
from processor.worker import perform as module
from processor.worker.control import Control
from processor.worker.perform import perform
from tests.unit.protocol.views import CID

JOB = EvaluateJob(plan=CID, models=(CID,), data="/data", fingerprint="1", threads=1)
CONTROL = Control(tell=lambda progress: None, stopping=lambda: False)

Does = Callable[[Callable[[str], object]], Path]


@pytest.fixture
def does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Does:
    """A job's folder, and what happens when it is done, given the digest."""

    def prepared(happens: Callable[[str], object]) -> Path:
        monkeypatch.setattr(module.evaluating, "run", lambda folder, job, digest, control: happens(digest))
        prepare(tmp_path / "job", JOB, lambda folder: None)
        return tmp_path / "job"

    return prepared


def failing(error: BaseException) -> Callable[[str], object]:
    def fail(digest: str) -> None:
        raise error

    return fail


def test_a_result_is_in_the_folder_for_its_owner_alone(does: Does) -> None:
    folder = does(lambda digest: EvaluateResult(digest, "accuracy", (0.5,)))
    perform(folder, CONTROL)
    found = outcome(folder, JOB)
    assert isinstance(found, EvaluateResult)
    assert found.values == (0.5,)
    assert (folder / RESULT).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "error", [ConfigurationError("a plan"), ArtifactError("a model", "shape"), OutOfMemory("much")]
)
def test_an_error_that_is_expected_of_a_job_is_its_answer(does: Does, error: KoinonError) -> None:
    folder = does(failing(error))
    perform(folder, CONTROL)
    with pytest.raises(type(error), match=str(error)):
        outcome(folder, JOB)


@pytest.mark.parametrize("error", [Interrupted("stopped"), OSError(28, "No space left"), KeyError("a mistake")])
def test_after_any_other_error_there_is_no_answer(does: Does, error: Exception) -> None:
    folder = does(failing(error))
    with pytest.raises(type(error)):
        perform(folder, CONTROL)
    assert outcome(folder, JOB) is None


def test_a_result_that_cannot_be_said_is_a_failure(does: Does) -> None:
    folder = does(lambda digest: EvaluateResult(digest, "accuracy", (float("nan"),)))
    perform(folder, CONTROL)
    with pytest.raises(ArtifactError):
        outcome(folder, JOB)
