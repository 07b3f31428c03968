"""Jobs of a worker as real files: a tiny model, a handful of samples, as many steps as a test wants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from processor.artifacts.checkpoint import CHECKPOINT as CHECKPOINTS
from processor.artifacts.committed import OpeningFields
from processor.artifacts.model import ModelHeader, write_model
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Factory, LocalWork, Optimizer, Plan
from processor.cid import cid_of
from processor.keystore import write_private
from processor.privacy.sealing import generate_key_pair
from processor.protocol.jobs.asking import inspect_job, put_plan
from processor.protocol.jobs.folder import prepare
from processor.protocol.jobs.kinds import BASE, CHECKPOINT, PLAN, InspectJob, TrainJob
from processor.tensors import TensorFile
from tests.unit.artifacts import examples

LONG = 1_000_000
"""Steps that no test waits for."""
SAMPLES = 20
_CHAIN, _FEDERATION, _CLIENT = 31337, "0x" + "11" * 20, "0x" + "22" * 20


def plan_of(steps: int, hidden: int = 8, strength: float = 0.0) -> Plan:
    """Without strength no Fisher information is measured."""
    return replace(
        examples.PLAN,
        model=Factory("mlp", {"inputs": 64, "hidden": [hidden], "outputs": 10}),
        optimizer=Optimizer("sgd", learning_rate=0.01, momentum=0.0),
        local=LocalWork(steps=steps, epochs=None, batch_size=4),
        ewc=replace(examples.PLAN.ewc, strength=strength),
    )


def digits_like(path: Path) -> Path:
    """A data set of the task `digits`, of random numbers."""
    random = np.random.default_rng(0)
    features, labels = random.uniform(0, 1, (SAMPLES, 64)).astype(np.float32), np.arange(SAMPLES) % 10
    np.savez(path, features=features, labels=labels)
    return path


def training(folder: Path, data: Path, steps: int = LONG, hidden: int = 8, interval: float = 0.2) -> TrainJob:
    """Prepares a training that writes a checkpoint every `interval` seconds."""
    plan = PLANS.encode(plan_of(steps, hidden))
    random = np.random.default_rng(1)
    shapes = {
        "layer1.weight": (hidden, 64),
        "layer1.bias": (hidden,),
        "layer2.weight": (10, hidden),
        "layer2.bias": (10,),
    }
    base = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    file = data.with_name("base")
    opening = replace(
        examples.OPENING,
        plan=cid_of(plan),
        base_model=write_model(file, ModelHeader(0, None, cid_of(plan)), base, {}, {}),
        sealing_key=generate_key_pair().public,
    )
    job = TrainJob(
        chain_id=_CHAIN,
        federation=_FEDERATION,
        client=_CLIENT,
        opening=OpeningFields.of(opening),
        data=str(data),
        device="cpu",
        threads=1,
        checkpoint_interval=interval,
        max_seconds=None,
        state=None,
    )

    def fill(into: Path) -> None:
        write_private(into / PLAN, plan)
        write_private(into / BASE, file.read_bytes())

    prepare(folder, job, fill)
    return job


def looking(folder: Path, data: Path | None = None) -> InspectJob:
    """Prepares a look at a plan and data, which takes no time."""
    plan = plan_of(1)
    job = inspect_job(cid_of(PLANS.encode(plan)), data)
    prepare(folder, job, lambda into: put_plan(into, plan))
    return job


def step_of(folder: Path) -> int:
    """The step that the checkpoint in a job's folder holds; 0 where there is none."""
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    with TensorFile(path) as file:
        return CHECKPOINTS.value_of(file.header).steps_done
