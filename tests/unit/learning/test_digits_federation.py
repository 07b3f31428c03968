"""What all of learning is for: together the clients learn what none of them can learn alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from processor.aggregation.combine import combine
from processor.aggregation.facts import facts_of
from processor.aggregation.inputs import Accepted
from processor.artifacts.model import ModelHeader, load_model, open_model, write_model
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Ewc, Factory, LocalWork, Optimizer
from processor.artifacts.state import FIRST_STATE
from processor.artifacts.update import UpdateHeader, open_update, write_update
from processor.cid import cid_of
from processor.learning.evaluation import accuracy
from processor.learning.ewc import Anchor, fisher_information
from processor.learning.models import build_model, load_parameters, parameters_of
from processor.learning.tasks import Dataset, digits_partition
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


def new_module() -> torch.nn.Module:
    return build_model(BY_STEPS.model.name, BY_STEPS.model.arguments, BY_STEPS.initialization_seed)


def client_round(folder: Path, client: int, dataset: Dataset, seed: int) -> Accepted:
    """One client's local work on the model in `folder`."""
    base, module = load_model(folder / "model"), new_module()
    load_parameters(module, base.parameters, base.buffers)
    anchor = None
    if base.fisher:
        anchor = Anchor(
            {name: torch.from_numpy(array) for name, array in base.parameters.items()},
            {name: torch.from_numpy(array) for name, array in base.fisher.items()},
        )
    ewc = BY_STEPS.ewc
    train(
        module,
        dataset,
        optimizer=BY_STEPS.optimizer,
        work=BY_STEPS.local,
        anchor=anchor,
        strength=ewc.strength,
        progress=Progress(seed),
    )
    path, address = folder / f"update-{client}", "0x" + f"{client}" * 40
    delta = {name: array - base.parameters[name] for name, array in parameters_of(module).items()}
    header = UpdateHeader(31337, "0x" + "9" * 40, base.header.round + 1, address, PLAN_CID, samples=len(dataset))
    write_update(path, header, delta, {}, fisher_information(module, dataset.features, ewc.fisher_samples))
    with open_model(folder / "model") as model, open_update(path) as update:
        return Accepted(address, path, len(dataset), facts_of(update, model, BY_STEPS))


def reached_together(folder: Path, clients: list[Dataset], validation: Dataset, seed: int) -> float:
    module = new_module()
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
    return accuracy(module, validation)


def reached_alone(clients: list[Dataset], validation: Dataset) -> float:
    """The mean accuracy of clients that train alone, for as many steps."""
    work, reached = LocalWork(steps=ROUNDS * (BY_STEPS.local.steps or 0), epochs=None, batch_size=64), []
    for client, dataset in enumerate(clients):
        module = new_module()
        progress = Progress(seed=client)
        train(module, dataset, optimizer=BY_STEPS.optimizer, work=work, anchor=None, strength=0.0, progress=progress)
        reached.append(accuracy(module, validation))
    return float(np.mean(reached))


def test_together_clients_learn_ten_digits_of_which_each_has_seen_two(tmp_path: Path) -> None:
    clients, validation = digits_partition(5, seed=0)
    assert reached_alone(clients, validation) <= 0.21
    assert reached_together(tmp_path, clients, validation, seed=0) >= 0.85
