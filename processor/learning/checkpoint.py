"""A checkpoint: a training that was begun, as a file to go on from after a restart.

It holds what the rest of the training depends on: the model, the optimizer's momentum, the sums of the Fisher
information, and the seed with the number of steps, from which the order of the samples and every random number follow.
It is private to its client: the parameters and the seed say a lot about the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from processor import jcs
from processor.artifacts.artifact_file import BUFFER, FISHER, grouped, naming
from processor.artifacts.canonical import CidField, Count, Fields, Hex32, RoundNumber
from processor.artifacts.versions import Group, Kind
from processor.errors import ArtifactError
from processor.files import PRIVATE
from processor.learning.ewc import FisherSums
from processor.learning.trainer import Progress
from processor.tensors import Array, Shape, TensorFile, Tensors, write_tensors

PARAMETER = "param/"
MOMENTUM = "momentum/"


@dataclass(frozen=True)
class Job(Fields):
    """Which training this is, and how long: from a checkpoint only the very same one goes on.

    `sealing_key` is in hexadecimal digits, `samples` are those of the data set; `steps` of the optimizer, and `rows`
    for the Fisher information (0 where none is asked for), make the whole work.
    """

    round: RoundNumber
    sealing_key: Hex32
    base_model: CidField
    plan: CidField
    samples: Count
    steps: Count
    rows: Count


@dataclass(frozen=True)
class CheckpointHeader(Job):
    """How far the job is. `digest` is of everything else in the file: one changed bit is noticed."""

    seed: Count
    steps_done: Count
    rows_done: Count
    digest: Hex32


_TYPES = ("float32", "float64", "int64")
"""Those of a module's own tensors."""
CHECKPOINT = Kind(
    "checkpoint",
    32 << 30,
    CheckpointHeader,
    groups=(*(Group(own, _TYPES) for own in (PARAMETER, BUFFER, MOMENTUM)), Group(FISHER, ("float64",))),
)


def save_checkpoint(path: Path, job: Job, module: nn.Module, progress: Progress, fisher: FisherSums) -> None:
    """Writes a checkpoint that its owner alone can read, whole or not at all. Raises OSError where the disk is full."""
    tensors = grouped(
        param=_arrays(dict(module.named_parameters())),
        buffer=_arrays(dict(module.named_buffers())),
        momentum=_arrays(progress.momentum),
        fisher=_arrays(fisher.sums if fisher.rows else {}),
    )
    fields = asdict(job) | {"seed": progress.seed, "steps_done": progress.step, "rows_done": fisher.rows}
    header = CheckpointHeader(**fields, digest=_digest(fields, tensors))
    write_tensors(path, tensors, CHECKPOINT.tagged(header), PRIVATE)


def load_checkpoint(path: Path, job: Job, module: nn.Module) -> tuple[Progress, FisherSums]:
    """Puts a checkpoint into `module`, where that is, and says how far the job was.

    Raises ArtifactError for a file that `save_checkpoint` did not write for this job and such a module, Unreadable
    where there is none; the module is then left as it was.
    """
    with TensorFile(path, CHECKPOINT.limit) as file, naming(path):
        header = CHECKPOINT.value_of(file.header)
        _check_header(header, job)
        _check_layout(file, header, module)
        tensors = {name: file.read(name) for name in file.names}
        fields = asdict(header)
        if fields.pop("digest") != _digest(fields, tensors):
            raise ArtifactError("was changed after it was written: its digest is another one")
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(tensors[PARAMETER + name]))
        for name, buffer in module.named_buffers():
            buffer.copy_(torch.from_numpy(tensors[BUFFER + name]))
    momentum = {name: torch.from_numpy(array).to(parameters[name]) for name, array in _group(tensors, MOMENTUM).items()}
    sums = {
        name: torch.from_numpy(array).to(parameters[name].device) for name, array in _group(tensors, FISHER).items()
    }
    return Progress(header.seed, header.steps_done, momentum), FisherSums(header.rows_done, sums)


def _check_header(header: CheckpointHeader, job: Job) -> None:
    found, wanted = asdict(header), asdict(job)
    for name in wanted:
        if found[name] != wanted[name]:
            raise ArtifactError(f"is of another training: its {name} is {found[name]}, expected {wanted[name]}")
    trained = header.steps_done == header.steps
    if header.steps_done > header.steps or header.rows_done > header.rows or (header.rows_done and not trained):
        raise ArtifactError(
            f"says that {header.steps_done} of {header.steps} steps and {header.rows_done} of {header.rows} rows are "
            "done, which cannot be"
        )


def _check_layout(file: TensorFile, header: CheckpointHeader, module: nn.Module) -> None:
    """The module's own tensors, momentum for any of its parameters, and sums for all of them or, before the first row,
    none."""
    parameters = {name: _entry(tensor) for name, tensor in module.named_parameters()}
    buffers = {name: _entry(tensor) for name, tensor in module.named_buffers()}
    sums = {name: (np.dtype(np.float64), shape) for name, (_, shape) in parameters.items()}
    expected = {
        **{PARAMETER + name: entry for name, entry in parameters.items()},
        **{BUFFER + name: entry for name, entry in buffers.items()},
        **{MOMENTUM + name: entry for name, entry in parameters.items() if MOMENTUM + name in file.layout},
        **{FISHER + name: entry for name, entry in sums.items() if header.rows_done},
    }
    found = file.layout
    for name in sorted(expected | found):
        if found.get(name) != expected.get(name):
            raise ArtifactError(
                f"does not fit the plan's model: tensor {name!r} is {_shown(found.get(name))}, "
                f"expected {_shown(expected.get(name))}",
                code="shape",
            )


_Entry = tuple[np.dtype[Any], Shape]


def _entry(tensor: Tensor) -> _Entry:
    return torch.empty(0, dtype=_dtype(tensor)).numpy().dtype, tuple(tensor.shape)


def _shown(entry: _Entry | None) -> str:
    return "absent" if entry is None else f"{entry[0]} {list(entry[1])}"


def _group(tensors: Tensors, group: str) -> dict[str, Array]:
    return {name.removeprefix(group): array for name, array in tensors.items() if name.startswith(group)}


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: tensor.detach().to(_dtype(tensor)).cpu().numpy() for name, tensor in tensors.items()}


def _dtype(tensor: Tensor) -> torch.dtype:
    """The type of the file that holds all values of the tensor's type."""
    if tensor.is_floating_point():
        return torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return torch.int64


def _digest(fields: Mapping[str, Any], tensors: Tensors) -> str:
    digest = blake2b(jcs.dumps(dict(fields)), digest_size=32)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()
