"""One round, as a pure function of files: base model, server state and accepted updates to the next model and state."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from processor.aggregation import fedavg
from processor.aggregation.ahead import ahead
from processor.aggregation.arithmetic import check_arithmetic
from processor.aggregation.buffers import buffer
from processor.aggregation.inputs import Accepted, Block, Inputs, opened
from processor.artifacts.artifact_file import FISHER
from processor.artifacts.model import PARAMETER, ModelFile, ModelHeader, model_writer, open_model
from processor.artifacts.plan import FedAvg, Plan
from processor.artifacts.state import ServerState
from processor.cid import cid_of_file
from processor.tensors import Array, blocks, positive_zero
from processor.types import Cid

Rule = Callable[[ModelFile, Inputs, str], Block]
"""One parameter of the next model, in float64, by base model, updates and name."""


def combine(
    base: Path, state: ServerState, accepted: Sequence[Accepted], plan: Plan, header: ModelHeader, out: Path
) -> tuple[Cid, ServerState]:
    """Writes the model that follows `base` to `out` and returns its CID, and the server state, not measured yet.

    With n_j the weights, S their sum and every element rounded to float32, zero without a sign:

    - parameter: what the plan's rule says, see its module;
    - buffer: what the plan declares, see `buffers.buffer`;
    - Fisher information, where the plan sends it: decay * base + sum(F_j c_j n_j) / S, where c_j scales the whole of
      F_j to the L2 norm `fisher_cap` if it is above it, or one hostile client could pin the model.

    With fewer accepted updates than the plan's `min_updates` the model is the base model, byte by byte. The order of
    `accepted` does not matter. Raises ArtifactError for files that are not what they should be, ValueError for a weight
    below 1, MachineError where this machine computes otherwise than others, or has too few files to open.
    """
    check_arithmetic()
    if len(accepted) < plan.aggregation.min_updates:
        _same(base, out)
        return cid_of_file(out), state.after(header.round)
    match plan.aggregation.rule:
        case FedAvg():
            model = _model(base, accepted, plan, header, out, fedavg.parameter)
    return model, state.after(header.round)


def _model(base: Path, accepted: Sequence[Accepted], plan: Plan, header: ModelHeader, out: Path, rule: Rule) -> Cid:
    with open_model(base) as model, opened(accepted, plan) as inputs:
        layout = {name: kind for name, kind in model.layout.items() if not name.startswith(FISHER)}
        if plan.sends_fisher:
            layout |= {FISHER + name: (np.dtype(np.float32), shape) for name, shape in model.parameters.items()}

        def tensor(name: str) -> Block:
            if name.startswith(PARAMETER):
                return rule(model, inputs, name.removeprefix(PARAMETER))
            if name.startswith(FISHER):
                return _fisher(model, inputs, plan.ewc.decay, name)
            return buffer(model, inputs, plan, name)

        with model_writer(out, header, layout) as writer:
            tensors = {name: tensor(name) for name in writer.names}
            places = [(name, ends) for name in tensors for ends in blocks(math.prod(layout[name][1]))]

            def rounded(name: str, ends: tuple[int, int]) -> Array:
                return _rounded(tensors[name](*ends))

            with closing(ahead(partial(rounded, *place) for place in places)) as made:
                for (name, _), values in zip(places, made, strict=True):
                    writer.append(name, values)
    return writer.cid


def _fisher(base: ModelFile, inputs: Inputs, decay: float, name: str) -> Block:
    mean = inputs.mean(inputs.capped(name))
    if not base.has_fisher:
        return mean
    return lambda start, stop: base.read_range(name, start, stop).astype(np.float64) * decay + mean(start, stop)


def _rounded(values: Array) -> Array:
    return values if values.dtype == np.int64 else positive_zero(values.astype(np.float32))


def _same(base: Path, out: Path) -> None:
    if out.exists() and out.samefile(base):
        return
    out.unlink(missing_ok=True)
    try:
        out.hardlink_to(base)
    except OSError:  # two file systems, or one without links
        shutil.copyfile(base, out)
