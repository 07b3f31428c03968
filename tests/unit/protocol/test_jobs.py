"""A job's folder holds one job whole or none, for its owner alone, and gives out what came of that job and no other."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor import errors, jcs
from processor.artifacts.committed import OpeningFields
from processor.artifacts.versions import Kind
from processor.cid import cid_of
from processor.errors import ArtifactError, KoinonError, NewerVersion
from processor.keystore import write_private
from processor.protocol.jobs.folder import (
    JOB,
    PASSING,
    RESULT,
    SAYS,
    answer_of,
    digest_of,
    discard,
    failure_of,
    job_in,
    outcome,
    prepare,
    put_result,
)
from processor.protocol.jobs.kinds import (
    CHECKPOINT,
    EVALUATE,
    JOBS,
    RESULTS,
    EvaluateJob,
    EvaluateResult,
    Failure,
    InitializeJob,
    InitializeResult,
    InspectJob,
    InspectResult,
    Job,
    TrainJob,
    TrainResult,
)
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, OPENING
from tests.unit.journal.children import in_a_child

PLAN, MODEL = cid_of(b"plan"), cid_of(b"model")
JOB_OF_EACH_KIND: dict[str, Job] = {
    "train": TrainJob(
        1337, FEDERATION, CLIENTS[0], OpeningFields.of(OPENING), "/data.npz", "auto", 0, 30.0, None, state=None
    ),
    "evaluate": EvaluateJob(PLAN, (MODEL,), None, MODEL, 0),
    "initialize": InitializeJob(PLAN),
    "inspect": InspectJob(PLAN, "/data.npz", "1-2-3", publish=False, device="cpu", program="1"),
}
EVALUATION = EvaluateJob(PLAN, (MODEL,), None, MODEL, 0)
OTHER = replace(EVALUATION, threads=1)
ANSWER = EvaluateResult(digest_of(EVALUATION), "accuracy", (0.5,))
WHOLE = {"plan": b"a plan", "base": b"a model"}


def fill(folder: Path) -> None:
    for name, content in WHOLE.items():
        write_private(folder / name, content)


def fail(folder: Path) -> None:
    write_private(folder / "plan", b"a plan")
    raise errors.StorageError("nobody has the model")


def never(folder: Path) -> None:
    raise AssertionError("it is filled already")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ----------------------------------------------------------------------------------------------------------- preparing


@pytest.mark.parametrize("job", JOB_OF_EACH_KIND.values(), ids=JOB_OF_EACH_KIND)
def test_a_job_of_every_kind_is_read_as_it_was_prepared_and_filled_once(tmp_path: Path, job: Job) -> None:
    prepare(tmp_path / "job", job, fill)
    prepare(tmp_path / "job", job, never)
    assert job_in(tmp_path / "job") == job
    assert contents(tmp_path / "job") == {**WHOLE, JOB: (tmp_path / "job" / JOB).read_bytes()}


def test_no_two_jobs_have_one_digest() -> None:
    jobs = [*JOB_OF_EACH_KIND.values(), OTHER, InitializeJob(MODEL)]
    train: Any = JOB_OF_EACH_KIND["train"]
    jobs += [replace(train, data="/other.npz"), replace(train, state=MODEL), replace(train, max_seconds=1.0)]
    assert len({digest_of(job) for job in jobs}) == len(jobs)


def test_a_folder_and_what_is_in_it_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir(mode=0o755)
    prepare(folder, EVALUATION, fill)
    put_result(folder, ANSWER)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_folder_of_all_jobs_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        prepare(tmp_path / "jobs" / "job", EVALUATION, fill)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o700


def test_of_another_job_a_checkpoint_alone_is_left(tmp_path: Path) -> None:
    prepare(tmp_path, OTHER, fill)
    put_result(tmp_path, replace(ANSWER, job=digest_of(OTHER)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    (tmp_path / "elsewhere").symlink_to(outside)
    (tmp_path / CHECKPOINT).write_bytes(b"half of it")
    prepare(tmp_path, EVALUATION, fill)
    assert set(contents(tmp_path)) == {JOB, CHECKPOINT, *WHOLE}
    assert (tmp_path / CHECKPOINT).read_bytes() == b"half of it" and outside.exists()


def test_where_a_job_cannot_be_filled_there_is_none_and_the_next_attempt_begins_from_nothing(tmp_path: Path) -> None:
    prepare(tmp_path, OTHER, fill)
    put_result(tmp_path, replace(ANSWER, job=digest_of(OTHER)))
    for _ in range(2):
        with pytest.raises(errors.StorageError, match="nobody has the model"):
            prepare(tmp_path, EVALUATION, fail)
        assert set(contents(tmp_path)) == {"plan"} and outcome(tmp_path, OTHER) is None
    prepare(tmp_path, EVALUATION, fill)
    assert job_in(tmp_path) == EVALUATION


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", EVALUATE.encode(EVALUATION)[:-1]])
def test_a_job_that_a_power_cut_damaged_is_prepared_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / JOB).write_bytes(content)
    prepare(tmp_path, EVALUATION, fill)
    assert job_in(tmp_path) == EVALUATION and (tmp_path / "base").read_bytes() == b"a model"


def test_wherever_a_daemon_is_killed_a_folder_holds_a_whole_job_or_none(tmp_path: Path) -> None:
    """Also where it comes back to the job that the folder was for before."""
    effect = ended = 1
    while ended:
        folder = tmp_path / str(effect)
        prepare(folder, OTHER, fill)
        put_result(folder, replace(ANSWER, job=digest_of(OTHER)))
        run = killed_before(effect, lambda: prepare(folder, EVALUATION, fill))  # noqa: B023
        ended = os.waitpid(in_a_child(run), 0)[1]
        assert ended in (0, signal.SIGKILL)
        for job in (OTHER, EVALUATION):
            prepare(folder, job, fill)
            assert WHOLE.items() <= contents(folder).items() and job_in(folder) == job
        effect += 1
    assert effect > 8


def killed_before(effect: int, run: Callable[[], object]) -> Callable[[], object]:
    """What is killed before one of its effects on the disk, counted from 1."""

    def watched() -> None:
        left = effect

        def kill(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in ("os.remove", "os.rename", "os.chmod"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        run()

    return watched


# ------------------------------------------------------------------------------------------------------ what came of it


def results(job: str) -> list[Any]:
    return [
        TrainResult(job, MODEL, 360, 1200, PLAN, None),
        TrainResult(job, MODEL, 360, 1200, PLAN, 0.5),
        EvaluateResult(job, "accuracy", (0.5, 0.25)),
        InitializeResult(job, MODEL),
        InspectResult(job, "digits", {}, 264, 10, None, "it has no labels"),
    ]


@pytest.mark.parametrize("number", range(5))
def test_what_came_of_the_very_job_is_given_out_as_often_as_it_is_asked_for(tmp_path: Path, number: int) -> None:
    result = results(digest_of(EVALUATION))[number]
    assert outcome(tmp_path, EVALUATION) is None
    put_result(tmp_path, result)
    assert [outcome(tmp_path, EVALUATION) for _ in range(2)] == [result] * 2


@pytest.mark.parametrize("number", range(6))
def test_what_came_of_another_job_is_dropped(tmp_path: Path, number: int) -> None:
    """Also an error."""
    other = digest_of(OTHER)
    put_result(tmp_path, [*results(other), Failure(other, "TrainingError", "no", None)][number])
    assert outcome(tmp_path, EVALUATION) is None
    assert not (tmp_path / RESULT).exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"kind":"evaluate-result"}',
        jcs.dumps({"kind": "evaluate-result", "version": 2, "job": digest_of(EVALUATION)}),
        jcs.dumps({"kind": "evaluate-result", "version": 1, "job": digest_of(EVALUATION), "loss": [0.5]}),
        jcs.dumps({"kind": "model", "version": 1}),
        EVALUATE.encode(EVALUATION),
    ],
)
def test_what_another_version_or_a_power_cut_left_is_dropped_and_the_job_done_again(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / RESULT).write_bytes(content)
    assert outcome(tmp_path, EVALUATION) is None
    assert not (tmp_path / RESULT).exists()


def test_a_result_that_is_discarded_is_none(tmp_path: Path) -> None:
    put_result(tmp_path, ANSWER)
    for _ in range(2):
        discard(tmp_path)
        assert outcome(tmp_path, EVALUATION) is None


def test_a_result_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / RESULT).mkdir()
    with pytest.raises(OSError) as raised:
        outcome(tmp_path, EVALUATION)
    assert raised.value.errno == errno.EISDIR


# -------------------------------------------------------------------------------------------------------------- errors


def raised_for(folder: Path, error: KoinonError) -> KoinonError:
    """What a daemon sees of an error in the worker."""
    failure = failure_of(digest_of(EVALUATION), error)
    assert failure is not None
    put_result(folder, failure)
    with pytest.raises(KoinonError) as raised:
        outcome(folder, EVALUATION)
    return raised.value


@pytest.mark.parametrize("name", SAYS)
def test_an_error_is_raised_as_the_worker_said_it(tmp_path: Path, name: str) -> None:
    error = raised_for(tmp_path, SAYS[name]("the data has no labels"))
    assert type(error) is SAYS[name] and str(error) == "the data has no labels"
    if isinstance(error, PASSING):
        assert outcome(tmp_path, EVALUATION) is None
    else:
        with pytest.raises(SAYS[name], match="the data has no labels"):
            outcome(tmp_path, EVALUATION)


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (errors.IntegrityError("other bytes", "sealed_wrong"), errors.ArtifactError),
        (errors.ArtifactTooLarge("too large"), errors.ArtifactError),
        (errors.SealError("no key"), errors.ArtifactError),
        (ArtifactError("one is not finite", "not_finite"), errors.ArtifactError),
    ],
)
def test_an_error_that_daemons_know_by_its_base_keeps_its_reason(
    tmp_path: Path, error: ArtifactError, seen: type[KoinonError]
) -> None:
    found = raised_for(tmp_path, error)
    assert type(found) is seen and str(found) == str(error)
    assert isinstance(found, ArtifactError) and found.code == error.code


@pytest.mark.parametrize("error", [errors.Interrupted("stopped"), errors.ChainError("no"), errors.KeystoreError("no")])
def test_an_error_that_no_job_answers_with_is_no_failure(error: KoinonError) -> None:
    assert failure_of(digest_of(EVALUATION), error) is None


@given(st.text(st.characters(blacklist_categories=()), max_size=30), st.sampled_from([1, 3000]))
@settings(max_examples=30)
def test_whatever_an_error_says_can_be_answered(said: str, times: int) -> None:
    """A path may hold bytes that are no text, and an error may list thousands of tensors."""
    failure = failure_of(digest_of(EVALUATION), errors.DatasetError(said * times))
    assert failure is not None
    (kind,) = [kind for kind in RESULTS if kind.fields is Failure]
    assert kind.decode(kind.encode(failure)) == failure


def test_a_failure_by_a_name_that_this_program_does_not_know_may_not_come_again(tmp_path: Path) -> None:
    put_result(tmp_path, Failure(digest_of(EVALUATION), "SystemExit", "no", None))
    with pytest.raises(errors.MachineError, match="no"):
        outcome(tmp_path, EVALUATION)
    assert outcome(tmp_path, EVALUATION) is None


def test_a_newer_program_does_again_what_this_one_could_not_read(tmp_path: Path) -> None:
    assert type(raised_for(tmp_path, NewerVersion("version 3"))) is NewerVersion
    assert outcome(tmp_path, EVALUATION) is None


def test_every_kind_of_job_and_result_has_a_name_of_its_own_and_says_its_job() -> None:
    kinds: list[Kind[Any]] = [*JOBS, *RESULTS]
    assert len({kind.name for kind in kinds}) == len(kinds) == 9
    assert all("job" in {field.name for field in fields(kind.fields)} for kind in RESULTS)


def test_an_answer_of_another_kind_is_the_fault_of_this_machine_and_names_the_folder(tmp_path: Path) -> None:
    assert answer_of(ANSWER, EvaluateResult, tmp_path) is ANSWER
    with pytest.raises(errors.MachineError, match=f"the job in {tmp_path} with something else: remove that folder"):
        answer_of(ANSWER, TrainResult, tmp_path)
