"""Models measured on validation data: what an `evaluate` job finds, asked of a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from processor.artifacts.metrics import metric_of
from processor.artifacts.plan import PLAN, Plan
from processor.cid import cid_of
from processor.errors import KoinonError, MachineError
from processor.files import PRIVATE, also_at, fingerprint
from processor.protocol.jobs import kinds
from processor.protocol.jobs.asking import put_plan
from processor.protocol.jobs.folder import JOB, answer_of, discard
from processor.protocol.jobs.kinds import EvaluateJob, EvaluateResult
from processor.protocol.jobs.worker import Worker, completed
from processor.types import Cid

Models = Sequence[tuple[Cid, Path]]
"""Files of models, each with its CID."""


@dataclass(frozen=True)
class Measured:
    """The metric of some models, in their order, and what it is called."""

    metric: str
    values: tuple[float, ...]


Measure = Callable[[Plan, Models, Path], Measured]
"""Measures models on the published dataset in a file.

Raises ArtifactError where models or dataset are not what the plan asks for, ConfigurationError for a plan whose task or
model cannot be built, WorkerDied and OutOfMemory where nothing can be said of them.
"""


def carried_on(before: float, after: float, plan: Plan, unchanged: bool, reported: float | None) -> tuple[float, float]:
    """What a report says of base model and model, by what they reached and what the last report says of the base model.

    One model has one metric, whoever measures it next: the last report's value stands where another machine, or another
    version of a library, measures it within the metric's tolerance. A value that is further off stands as it is, since
    then the validation data is another, and everybody may see it. `unchanged` tells that both models are the same.
    """
    if reported is not None and abs(reported - before) <= metric_of(plan.task.name).tolerance:
        before = reported
    return before, before if unchanged else after


def measured(
    worker: Worker,
    folder: Path,
    plan: Plan,
    models: Models,
    data: Path | Callable[[Path], None],
    stopping: threading.Event | None = None,
) -> Measured:
    """Measures models by a job in `folder`, on `data`: a file of one's own, or what puts the published dataset's file
    to a path.

    A published dataset is checked against the plan also where there are no models. Raises as a `Measure`, DatasetError
    for one's own file, what `data` raises, and Interrupted once `stopping` is set.
    """
    own = data if isinstance(data, Path) else None

    def fill(folder: Path) -> None:
        put_plan(folder, plan)
        for number, (_, path) in enumerate(models):
            also_at(path, folder / f"{kinds.MODEL}-{number}")
        if not isinstance(data, Path):
            data(folder / kinds.DATA)
            (folder / kinds.DATA).chmod(PRIVATE)

    job = EvaluateJob(
        plan=cid_of(PLAN.encode(plan)),
        models=tuple(cid for cid, _ in models),
        data=None if own is None else str(own.absolute()),
        fingerprint=plan.validation if own is None else fingerprint(own),
        threads=0,
    )
    try:
        found = completed(worker, folder, job, fill, stopping)
    except KoinonError:  # not for good: another version of the program, or other files, may do better
        discard(folder)
        (folder / JOB).unlink(missing_ok=True)
        raise
    _make_room(folder)
    answer = answer_of(found, EvaluateResult, folder)
    if len(answer.values) != len(models):
        raise MachineError(f"the worker did not answer with the metric of {len(models)} models: start it again")
    return Measured(answer.metric, answer.values)


def _make_room(folder: Path) -> None:
    """Models and data take room, and the answer is kept without them."""
    for path in (folder / JOB, folder / kinds.DATA, *list(folder.glob(f"{kinds.MODEL}-*"))):
        path.unlink(missing_ok=True)


def measure_by(worker: Worker, folder: Path) -> Measure:
    """Has a worker measure, by jobs in `folder`."""

    def measure(plan: Plan, models: Models, dataset: Path) -> Measured:
        return measured(worker, folder, plan, models, partial(also_at, dataset))

    return measure
