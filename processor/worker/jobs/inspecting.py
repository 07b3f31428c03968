"""What a plan's model, its task and a party's data are, before anything is begun."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from processor.aggregation.declared import check_declared
from processor.artifacts.dataset import Dataset, DatasetHeader, write_dataset
from processor.artifacts.plan import Plan
from processor.errors import ArtifactError, ConfigurationError, DatasetError
from processor.learning.device import device_of
from processor.learning.models import layout_of
from processor.learning.resolve import check_model, task_of
from processor.protocol.jobs.kinds import DATA, Entry, InspectJob, InspectResult
from processor.tensors import Layout
from processor.worker.control import Control
from processor.worker.jobs.memory import memory_errors
from processor.worker.jobs.reading import own_data, plan_in

LONGEST = 4096
"""Characters of a sentence in an answer."""


@dataclass(frozen=True)
class Facts:
    """As `InspectResult` has them, with the data itself: None where none was given, or where it cannot be used."""

    task: str
    layout: Layout
    example_bytes: int
    outputs: int
    data: Dataset | None
    data_problem: str | None


def run(folder: Path, job: InspectJob, digest: str, control: Control) -> InspectResult:
    """Inspects the plan in the folder; with `publish`, data that can be used is then there as a dataset as well.

    Raises ConfigurationError as `check_plan`, and for a device that is not there; ArtifactError for data that no
    dataset can hold, OutOfMemory.
    """
    device_of(job.device)
    with memory_errors(doing="read the data"):
        facts = inspect(plan_in(folder, job.plan), None if job.data is None else Path(job.data))
        if job.publish and facts.data is not None:
            write_dataset(folder / DATA, DatasetHeader(task=facts.task), facts.data.features, facts.data.labels)
    return InspectResult(
        job=digest,
        task=facts.task,
        layout={name: Entry(np.dtype(dtype).name, shape) for name, (dtype, shape) in facts.layout.items()},
        example_bytes=facts.example_bytes,
        outputs=facts.outputs,
        samples=None if facts.data is None else len(facts.data),
        data_problem=facts.data_problem,
    )


def inspect(plan: Plan, data: Path | None) -> Facts:
    """Looks at a plan, and at a party's own data for it. Raises ConfigurationError as `check_plan`."""
    module, task = check_plan(plan), task_of(plan)
    read, problem = None, None
    if data is not None:
        try:
            read = own_data(task, data)
        except DatasetError as error:
            problem = str(error)[:LONGEST]
    return Facts(
        task=task.name,
        layout=layout_of(module),
        example_bytes=task.example_bytes,
        outputs=math.prod(task.answer(1)),
        data=read,
        data_problem=problem,
    )


def check_plan(plan: Plan) -> nn.Module:
    """A sketch of the plan's model, without numbers. Raises ConfigurationError for a plan that no round should begin
    with: unknown names, a model that does not fit the task, or buffers that are not declared as the model has them.
    However large the model is, this takes no memory for it."""
    module = check_model(plan)
    check_buffers(plan, module)
    return module


def check_buffers(plan: Plan, module: nn.Module) -> None:
    """Raises ConfigurationError unless the plan declares every buffer of its model, and each as what it is."""
    found, declared = dict(module.named_buffers()), plan.buffers or {}
    undeclared = [name for name in found if name not in declared]
    if undeclared:
        tables = "\n".join(_table(name, found) for name in undeclared)
        raise ConfigurationError(
            f"the plan's model {plan.model.name!r} has buffers that the plan does not declare: expected a table for "
            f"each, which says how updates are put together and what they may hold, such as\n\n{tables}"
        )
    for name in declared:
        if name not in found:
            raise ConfigurationError(
                f"the plan declares a buffer {name!r} that its model {plan.model.name!r} does not have: it has "
                f"{', '.join(map(repr, found)) or 'none'}"
            )
    try:
        check_declared(plan, layout_of(module))
    except ArtifactError as error:
        raise ConfigurationError(str(error)) from None


def _table(name: str, buffers: Mapping[str, Tensor]) -> str:
    """A declaration to start from, as a configuration has it; variances are known by the name that torch gives them."""
    mean = name.removesuffix("running_var") + "running_mean"
    if not buffers[name].is_floating_point():
        lines = ['kind = "counter"', "least = 0", "most = 1000000"]
    elif name.endswith("running_var") and mean in buffers:
        lines = ['kind = "pooled"', f'mean = "{mean}"', "least = 0.0", "most = 10000.0"]
    else:
        lines = ['kind = "average"', "least = -100.0", "most = 100.0"]
    return "\n".join([f'[plan.buffers."{name}"]', *lines, ""])
