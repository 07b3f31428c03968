"""What all of learning is for: together the clients learn what none of them can learn alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from processor.aggregation.combine import combine
from processor.aggregation.facts import facts_of
from processor.aggregation.inputs import Accepted
from processor.artifacts.dataset import Dataset
from processor.artifacts.model import ModelHeader, load_model, open_model, write_model
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Ewc, Factory, LocalWork, Optimizer
from processor.artifacts.private_state import FIRST_PRIVATE_STATE
from processor.artifacts.state import FIRST_STATE
from processor.artifacts.update import UpdateHeader, open_update, write_update
from processor.cid import cid_of
from processor.data.digits import digits_partition
from processor.learning.evaluation import measure
from processor.learning.local import learn
from processor.learning.models import load_parameters, parameters_of
from processor.learning.resolve import module_of, task_of
from processor.learning.trainer import Progress, train
from tests.unit.artifacts import examples

ROUNDS = 10
BY_STEPS = replace(
    examples.PLAN,
    task=Factory("digits", {}),
    model=Factory("mlp", {"inputs": 64, "hidden": [400], "outputs": 10}),
    initialization_seed=0,
    optimizer=Optimizer("sgd", learning_rate=0.4, momentum=0.0),
    local=LocalWork(steps=8, epochs=None, batch_size=64),
    ewc=Ewc(strength=10.0, decay=0.5, fisher_samples=32, fisher_cap=1.0),
)
PLAN_CID = cid_of(PLANS.encode(BY_STEPS))
TASK = task_of(BY_STEPS)


def client_round(folder: Path, client: int, dataset: Dataset, seed: int) -> Accepted:
    """One client's local work on the model in `folder`."""
    base = load_model(folder / "model")
    learned = learn(BY_STEPS, base, dataset, FIRST_PRIVATE_STATE, seed)
    path, address = folder / f"update-{client}", "0x" + f"{client}" * 40
    header = UpdateHeader(31337, "0x" + "9" * 40, base.header.round + 1, address, PLAN_CID, samples=len(dataset))
    write_update(path, header, learned.delta, learned.buffers, learned.fisher)
    with open_model(folder / "model") as model, open_update(path) as update:
        return Accepted(address, path, len(dataset), facts_of(update, model, BY_STEPS))


def reached_together(folder: Path, clients: list[Dataset], validation: Dataset, seed: int) -> float:
    module = module_of(BY_STEPS)
    parent = write_model(folder / "model", ModelHeader(0, None, PLAN_CID), parameters_of(module), {}, {})
    for round in range(1, ROUNDS + 1):
        accepted = [
            client_round(folder, client, dataset, seed=seed * 1000 + round * 10 + client)
            for client, dataset in enumerate(clients, start=1)
        ]
        header = ModelHeader(round, parent, PLAN_CID)
        parent, _ = combine(folder / "model", FIRST_STATE, accepted, BY_STEPS, header, folder / "next")
        (folder / "next").replace(folder / "model")
    load_parameters(module, load_model(folder / "model").parameters, {})
    return measure(module, TASK, validation)["accuracy"]


def reached_alone(clients: list[Dataset], validation: Dataset) -> float:
    """The mean accuracy of clients that train alone, for as many steps."""
    work, reached = LocalWork(steps=ROUNDS * (BY_STEPS.local.steps or 0), epochs=None, batch_size=64), []
    for client, dataset in enumerate(clients):
        module = module_of(BY_STEPS)
        progress = Progress(seed=client)
        how: dict[str, Any] = {"optimizer": BY_STEPS.optimizer, "work": work, "progress": progress}
        train(module, TASK, dataset, **how, anchor=None, strength=0.0)
        reached.append(measure(module, TASK, validation)["accuracy"])
    return float(np.mean(reached))


def test_together_clients_learn_ten_digits_of_which_each_has_seen_two(tmp_path: Path) -> None:
    clients, validation = digits_partition(5, seed=0)
    assert reached_alone(clients, validation) <= 0.21
    assert reached_together(tmp_path, clients, validation, seed=0) >= 0.85
