"""Models measured on data that they were not trained on."""

from __future__ import annotations

from pathlib import Path

import torch

from processor.artifacts.dataset import Dataset
from processor.artifacts.model import load_model
from processor.artifacts.plan import Plan
from processor.errors import Interrupted
from processor.learning.evaluation import measure
from processor.learning.models import load_parameters
from processor.learning.resolve import check_model, module_of, task_of
from processor.learning.tasks import Task
from processor.protocol.jobs.kinds import DATA, MODEL, EvaluateJob, EvaluateResult
from processor.worker.control import Control
from processor.worker.jobs.memory import memory_errors
from processor.worker.jobs.reading import own_data, plan_in, published_data


def run(folder: Path, job: EvaluateJob, digest: str, control: Control) -> EvaluateResult:
    """Measures the models of the job, all on one dataset that is read once; without models the dataset is checked.

    Raises ConfigurationError for a plan whose model cannot be measured, DatasetError for a party's own data that is not
    the task's, ArtifactError for published data that is not, and for a model's file that does not fit, OutOfMemory,
    Interrupted.
    """
    if job.threads:
        torch.set_num_threads(job.threads)
    plan = plan_in(folder, job.plan)
    check_model(plan)
    task = task_of(plan)
    files = [folder / f"{MODEL}-{number}" for number in range(len(job.models))]
    with memory_errors(doing="measure models"):
        path = folder / DATA if job.data is None else Path(job.data)
        data = published_data(task, path, plan.validation) if job.data is None else own_data(task, path)
        values = _measured(plan, task, files, data, control)
    return EvaluateResult(digest, task.measures[0].metric.name, values)


def _measured(plan: Plan, task: Task, files: list[Path], data: Dataset, control: Control) -> tuple[float, ...]:
    def between() -> None:
        if control.stopping():
            raise Interrupted(f"stopped with {len(values)} of {len(files)} models measured")

    if not files:
        return ()
    module, values = module_of(plan), list[float]()
    for path in files:
        model = load_model(path)
        load_parameters(module, model.parameters, model.buffers)
        values.append(measure(module, task, data, between)[task.measures[0].metric.name])
    return tuple(values)
