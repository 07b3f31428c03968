"""The tasks that a plan can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from processor.learning.registry import make, require_count
from processor.learning.tasks.classification import Classification
from processor.learning.tasks.task import Likelihood, Measure, Task

__all__ = ["TASKS", "Likelihood", "Measure", "Task", "get_task"]


def get_task(name: str, arguments: Mapping[str, object]) -> Task:
    """The task that a plan names; raises ConfigurationError for one that is not registered or wrong arguments."""
    return make("task", TASKS, name, arguments)


def _digits() -> Task:
    return Classification("digits", features=64, classes=10)


def _classification(features: object, classes: object) -> Task:
    return Classification(
        "classification",
        require_count("classification: features", features, most=1_000_000),
        require_count("classification: classes", classes, most=10_000),
    )


TASKS: dict[str, Callable[..., Task]] = {"digits": _digits, "classification": _classification}
