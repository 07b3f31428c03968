"""Resolves the names in a plan: its task and its model. A plan's shape is checked where it is read, its names here."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from processor.artifacts.plan import Plan
from processor.errors import ConfigurationError
from processor.learning.models import build_model
from processor.learning.tasks import Task, get_task

META = torch.device("meta")
"""Where tensors have shapes and types, and no numbers."""


def task_of(plan: Plan) -> Task:
    """Raises ConfigurationError where the plan names a task that this version does not know."""
    return get_task(plan.task.name, plan.task.arguments)


def module_of(plan: Plan) -> nn.Module:
    """The plan's model, initialized from its seed. Raises ConfigurationError where it is unknown or cannot be built."""
    return build_model(plan.model.name, plan.model.arguments, plan.initialization_seed)


def sketch_of(plan: Plan) -> nn.Module:
    """The plan's model with shapes and no numbers: however large it is, this takes no memory. Raises as `module_of`."""
    with META:
        return module_of(plan)


def check_model(plan: Plan) -> nn.Module:
    """A sketch of the plan's model. Raises ConfigurationError for unknown names, or a model that does not fit the task.

    All that a model has to be for it to be measured, whatever its plan's version.
    """
    task, module = task_of(plan), sketch_of(plan)
    try:
        outputs = module.eval()(task.example(1, META))
    except (IndexError, RuntimeError, TypeError, ValueError) as error:  # what torch's own layers raise
        raise ConfigurationError(
            f"the plan's model {plan.model.name!r} cannot take the {task.takes} of the task {task.name!r}: {error}"
        ) from None
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != task.answer(1):
        found = f"shape {list(outputs.shape)}" if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        raise ConfigurationError(
            f"the plan's model {plan.model.name!r} answers with {found} for a sample: expected "
            f"{list(task.answer(1))}, the {task.answers} of the task {task.name!r}"
        )
    return module
