"""What models are measured by: how a metric is named, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from processor.errors import ConfigurationError


@dataclass(frozen=True)
class Metric:
    """`tolerance` is how far two machines that measure the same model may differ: rounding decides between two
    answers that are almost equally good."""

    name: str
    higher_is_better: bool
    tolerance: float

    def improvement(self, before: float, after: float) -> float:
        """By how much `after` is better; negative where it is worse."""
        return after - before if self.higher_is_better else before - after


ACCURACY = Metric("accuracy", higher_is_better=True, tolerance=0.01)

OF_TASKS: Mapping[str, Metric] = {"classification": ACCURACY, "digits": ACCURACY}


def metric_of(task: str) -> Metric:
    """What a plan's models are compared by, and what ends its rounds. Raises ConfigurationError for an unknown task."""
    if task not in OF_TASKS:
        raise ConfigurationError(f"there is no metric for a task called {task!r}; known: {', '.join(sorted(OF_TASKS))}")
    return OF_TASKS[task]
