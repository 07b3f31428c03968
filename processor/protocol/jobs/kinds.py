"""The jobs that there are, and what comes of each.

The plan of a job is the file `plan` in its folder, as it travels. Paths are absolute: a worker has a folder of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from processor.artifacts.canonical import AddressField, ChainId, CidField, Count, Fields, Hex32, Metric
from processor.artifacts.committed import OpeningFields
from processor.artifacts.versions import Kind
from processor.tensors import Layout

PLAN, BASE, DATA, MODEL, UPDATE, CHECKPOINT = "plan", "base", "data", "model", "update", "checkpoint"
"""Files of a job's folder. `DATA` is a published dataset, which came over the storage."""
STATE_BEFORE, STATE_AFTER = "state-before", "state-after"
"""A client's private state before a release and after it."""

Text = Annotated[str, Field(max_length=4096)]
Seconds = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class TrainJob(Fields):
    """A client's step in one round: train on the base model `BASE`, release what was learned, seal it into `UPDATE`.

    `data` is the path of the client's own file. `threads` of 0 leaves their number to torch. A checkpoint is written
    every `checkpoint_interval` seconds; training may take `max_seconds` in all, None for any time. `state` is the CID
    of `STATE_BEFORE`, None before the first release: what was begun from another is another job.
    """

    chain_id: ChainId
    federation: AddressField
    client: AddressField
    opening: OpeningFields
    data: Text
    device: Device
    threads: Count
    checkpoint_interval: Seconds
    max_seconds: Seconds | None
    state: CidField | None


@dataclass(frozen=True)
class TrainResult(Fields):
    """A sealed update: its CID, the samples it was trained on, the compute time in milliseconds, restarts included.

    `state` is the CID of the private state after the release, and `epsilon` what the release spends of privacy: None
    where nothing bounds it.
    """

    job: Hex32
    update: CidField
    samples: Count
    metered_ms: Count
    state: CidField
    epsilon: Metric | None


@dataclass(frozen=True)
class EvaluateJob(Fields):
    """Measure models, the files `MODEL` with their number behind (`model-0`, ...), on one dataset.

    `data` is the path of the organization's own file; None for the published dataset `DATA`.
    """

    plan: CidField
    models: tuple[CidField, ...]
    data: Text | None
    fingerprint: Text
    threads: Count


@dataclass(frozen=True)
class EvaluateResult(Fields):
    """The plan's metric of each model."""

    job: Hex32
    metric: Text
    values: tuple[Metric, ...]


@dataclass(frozen=True)
class InitializeJob(Fields):
    """Make the plan's model from its seed, as the file `MODEL` of round 0."""

    plan: CidField


@dataclass(frozen=True)
class InitializeResult(Fields):
    job: Hex32
    model: CidField


@dataclass(frozen=True)
class InspectJob(Fields):
    """Look at a plan's model and task, and at the data in the file `data`, if that is given, before anything is begun.

    With `publish` the data is written as a dataset that can be published, into `DATA`. `device` is what trainings are
    to use: where it is not there, that is said now. `program` is the version of Koinon that looks: another may know
    more.
    """

    plan: CidField
    data: Text | None
    fingerprint: Text
    publish: bool
    device: Device
    program: Text


@dataclass(frozen=True)
class Entry(Fields):
    """Type and shape of a tensor of the plan's model, as its file has it."""

    dtype: Text
    shape: tuple[Count, ...]


@dataclass(frozen=True)
class InspectResult(Fields):
    """What a plan's model and data are.

    `layout` has every tensor of a model without Fisher information, by its name in the file. An example of the task
    takes `example_bytes` in memory with its label, and the model answers it with `outputs` numbers. `samples` is how
    many the data has; None where none was given, or where `data_problem` says in a sentence why it cannot be used.
    """

    job: Hex32
    task: Text
    layout: dict[str, Entry]
    example_bytes: Count
    outputs: Count
    samples: Count | None
    data_problem: Text | None

    @property
    def model_layout(self) -> Layout:
        return {name: (np.dtype(entry.dtype), entry.shape) for name, entry in self.layout.items()}


@dataclass(frozen=True)
class Failure(Fields):
    """Why a job came to nothing: an error of `processor.errors` by its name, what it says, and its reason code."""

    job: Hex32
    error: Text
    said: Annotated[str, Field(max_length=65536)]
    code: Text | None


Job = TrainJob | EvaluateJob | InitializeJob | InspectJob
Result = TrainResult | EvaluateResult | InitializeResult | InspectResult

MIB = 1 << 20
TRAIN = Kind("train-job", MIB, TrainJob)
TRAINED = Kind("train-result", MIB, TrainResult)
EVALUATE = Kind("evaluate-job", MIB, EvaluateJob)
EVALUATED = Kind("evaluate-result", MIB, EvaluateResult)
INITIALIZE = Kind("initialize-job", MIB, InitializeJob)
INITIALIZED = Kind("initialize-result", MIB, InitializeResult)
INSPECT = Kind("inspect-job", MIB, InspectJob)
INSPECTED = Kind("inspect-result", 4 * MIB, InspectResult, values=1 << 18, widest=1 << 15)
FAILURE = Kind("failure", MIB, Failure)

JOBS: tuple[Kind[Any], ...] = (TRAIN, EVALUATE, INITIALIZE, INSPECT)
RESULTS: tuple[Kind[Any], ...] = (TRAINED, EVALUATED, INITIALIZED, INSPECTED, FAILURE)
