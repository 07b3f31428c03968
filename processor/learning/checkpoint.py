"""Takes a training down into a checkpoint, and up from it.

It holds what the rest of the training depends on: the model, the optimizer's momentum, the sums of the Fisher
information, and the seed with the number of steps, from which the order of the samples and every random number follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from processor.artifacts.artifact_file import BUFFER, FISHER, grouped, naming
from processor.artifacts.checkpoint import (
    CHECKPOINT,
    MOMENTUM,
    PARAMETER,
    CheckpointHeader,
    Work,
    check_digest,
    write_checkpoint,
)
from processor.errors import ArtifactError
from processor.learning.ewc import FisherSums
from processor.learning.trainer import Progress
from processor.tensors import Array, Shape, TensorFile, Tensors


def save_checkpoint(
    path: Path, work: Work, module: nn.Module, progress: Progress, fisher: FisherSums, metered_ms: int
) -> None:
    """Writes a checkpoint that its owner alone can read, whole or not at all. Raises OSError where the disk is full.

    `metered_ms` is the compute time that the work took so far.
    """
    tensors = grouped(
        param=_arrays(dict(module.named_parameters())),
        buffer=_arrays(dict(module.named_buffers())),
        momentum=_arrays(progress.momentum),
        fisher=_arrays(fisher.sums if fisher.rows else {}),
    )
    header = CheckpointHeader(
        **asdict(work),
        seed=progress.seed,
        steps_done=progress.step,
        rows_done=fisher.rows,
        digest="",
        metered_ms=metered_ms,
    )
    write_checkpoint(path, header, tensors)


def load_checkpoint(path: Path, work: Work, module: nn.Module) -> tuple[Progress, FisherSums, int]:
    """Puts a checkpoint into `module`, where that is, and says how far the work was, and its compute time so far, in
    milliseconds.

    Raises ArtifactError for a file that `save_checkpoint` did not write for this work and such a module, NewerVersion
    for one of a newer Koinon, Unreadable where there is none; the module is then left as it was.
    """
    with TensorFile(path, CHECKPOINT.limit) as file, naming(path):
        header = CHECKPOINT.value_of(file.header)
        _check_header(header, work)
        _check_layout(file, header, module)
        tensors = {name: file.read(name) for name in file.names}
        check_digest(header, tensors)
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
    return Progress(header.seed, header.steps_done, momentum), FisherSums(header.rows_done, sums), header.metered_ms


def _check_header(header: CheckpointHeader, work: Work) -> None:
    found, wanted = asdict(header), asdict(work)
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
