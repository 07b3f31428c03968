"""Resolves the names in a plan: its task and its model. A plan's shape is checked where it is read, its names here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from processor.artifacts.model import load_model
from processor.artifacts.plan import Plan
from processor.errors import ConfigurationError
from processor.learning.models import build_model, load_parameters
from processor.learning.tasks import Task, get_task
from processor.protocol.limits import ModelSize


def task_of(plan: Plan) -> Task:
    """Raises ConfigurationError where the plan names a task that this version does not know."""
    return get_task(plan.task.name, plan.task.arguments)


def module_of(plan: Plan) -> nn.Module:
    """The plan's model, initialized from its seed. Raises ConfigurationError where it is unknown or cannot be built."""
    return build_model(plan.model.name, plan.model.arguments, plan.initialization_seed)


def check_plan(plan: Plan) -> None:
    """Raises ConfigurationError for a plan that cannot be carried out: unknown names, or a model that does not fit the
    task. However large the model is, this takes no memory for it."""
    task, module = task_of(plan), _sketch_of(plan)
    try:
        answered = tuple(module(torch.zeros(1, task.features, device="meta")).shape)
    except RuntimeError as error:
        raise ConfigurationError(
            f"the plan's model {plan.model.name!r} cannot take the {task.features} features of the task "
            f"{task.name!r}: {error}"
        ) from None
    if answered != (1, task.classes):
        raise ConfigurationError(
            f"the plan's model {plan.model.name!r} answers with shape {list(answered)} for a sample: expected "
            f"{[1, task.classes]}, the classes of the task {task.name!r}"
        )


def size_of(plan: Plan) -> ModelSize:
    """How large the plan's model is, without building it. Raises ConfigurationError as `module_of`."""
    module = _sketch_of(plan)
    return ModelSize(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        buffer_bytes=sum(buffer.numel() * buffer.element_size() for buffer in module.buffers()),
    )


def _sketch_of(plan: Plan) -> nn.Module:
    """The plan's model with shapes and no numbers."""
    with torch.device("meta"):
        return module_of(plan)


def load_trained(path: Path | str, model: str, **arguments: Any) -> nn.Module:
    """A released model, ready to use: the file that `koinon model get` wrote, in the model that its plan names.

    Raises ArtifactError where the file does not fit, ConfigurationError for an unknown model or wrong arguments.
    """
    module = build_model(model, arguments, seed=0)
    trained = load_model(Path(path))
    load_parameters(module, trained.parameters, trained.buffers)
    return module.eval()
