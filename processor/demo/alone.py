"""What the clients reach without each other, for comparison. The only module of the demo that learns: it imports torch,
so that whoever needs it imports it then."""

from __future__ import annotations

from collections.abc import Sequence

from processor.artifacts.dataset import Dataset
from processor.artifacts.plan import Plan
from processor.learning.evaluation import measure
from processor.learning.resolve import module_of, task_of
from processor.learning.trainer import Progress, train


def local_only_accuracy(plan: Plan, rounds: int, datasets: Sequence[Dataset], validation: Dataset) -> float:
    """The mean accuracy of the same clients, each training the initial model alone for as many steps as together."""
    task, reached = task_of(plan), []
    for number, dataset in enumerate(datasets):
        module = module_of(plan)
        for round in range(rounds):
            train(
                module,
                task,
                dataset,
                optimizer=plan.optimizer,
                work=plan.local,
                anchor=None,
                strength=0.0,
                progress=Progress(seed=number * rounds + round),
            )
        reached.append(measure(module, task, validation)["accuracy"])
    return sum(reached) / len(reached)
