"""Resolves the names in a plan: its task and its model. A plan's shape is checked where it is read, its names here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from processor.aggregation.declared import check_declared
from processor.artifacts.artifact_file import BUFFER
from processor.artifacts.model import load_model
from processor.artifacts.plan import Plan
from processor.errors import ArtifactError, ConfigurationError
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
    """Raises ConfigurationError for a plan that no round should begin with: unknown names, a model that does not fit
    the task, or buffers that are not declared as the model has them. However large the model is, this takes no memory
    for it."""
    check_buffers(plan, check_model(plan))


def check_model(plan: Plan) -> nn.Module:
    """A sketch of the plan's model, without numbers. Raises ConfigurationError for unknown names, or a model that does
    not fit the task. All that a model has to be for it to be measured, whatever its plan's version."""
    task, module = task_of(plan), _sketch_of(plan)
    try:
        answered = tuple(module.eval()(torch.zeros(1, task.features, device="meta")).shape)
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
    layout = {BUFFER + name: (_type(buffer), tuple(buffer.shape)) for name, buffer in found.items()}
    try:
        check_declared(plan, layout)
    except ArtifactError as error:
        raise ConfigurationError(str(error)) from None


def _type(buffer: Tensor) -> np.dtype[Any]:
    """The type that a model's file has for such a buffer."""
    return np.dtype(np.float32 if buffer.is_floating_point() else np.int64)


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
