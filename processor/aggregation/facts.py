"""What the bytes of an update say about it, gathered in one pass over them as they arrive."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from processor.aggregation.arithmetic import check_arithmetic
from processor.aggregation.declared import check_bounds, check_counted, check_declared, declared_of
from processor.artifacts.artifact_file import BUFFER, FISHER, check_shapes, check_values, naming
from processor.artifacts.buffers import Counter
from processor.artifacts.model import PARAMETER, ModelFile
from processor.artifacts.plan import Plan
from processor.artifacts.update import DELTA, UpdateFile
from processor.errors import ArtifactError
from processor.tensors import BLOCK, Array, all_finite, blocks, folded


@dataclass(frozen=True)
class Facts:
    """The L2 norms of an update's differences and of its Fisher information, each over all tensors; None where the plan
    asks for no Fisher information."""

    delta_norm: float
    fisher_norm: float | None


def facts_of(update: UpdateFile, base: ModelFile, plan: Plan) -> Facts:
    """Reads all of an update, each byte once, and raises ArtifactError for what cannot be combined with `base`.

    By its code: `shape`: other tensors than the base model's. `dtype`: other types. `not_finite`: NaN or infinity, also
    where base plus delta leaves float32: what accepted updates make, a weighted mean of such sums, is then finite.
    `negative_fisher`: Fisher information below zero. `buffer`: a buffer outside what the plan declares, or a counter
    below the base model's or above it by more than the steps that the plan gives to the samples that the update claims.
    Of several mistakes it is the first in the order of the file that counts. Raises MachineError where this machine
    computes otherwise than others.

    The base model has passed `check_base`.
    """
    check_arithmetic()
    check_tensors(update, base, plan)
    deltas, fishers = [], []
    with naming(update.path):
        for name in update.layout:
            if name.startswith(BUFFER):
                _check_buffer(update, base, plan, name)
            elif name.startswith(DELTA):
                deltas.append(_delta(update, base, name))
            else:
                fishers.append(_fisher(update, name))
    return Facts(_norm(deltas), _norm(fishers) if plan.sends_fisher else None)


def check_tensors(update: UpdateFile, base: ModelFile, plan: Plan) -> None:
    """ArtifactError for other tensors than the base model's (code `shape`), or of other types (`dtype`).

    Reads no numbers.
    """
    check_shapes(DELTA, update.shapes(DELTA), base.parameters)
    check_shapes(BUFFER, update.shapes(BUFFER), base.buffers)
    check_shapes(FISHER, update.shapes(FISHER), base.parameters if plan.sends_fisher else {})
    base_layout = base.layout
    for name, (dtype, _) in update.layout.items():
        if name.startswith(BUFFER) and dtype != base_layout[name][0]:
            raise ArtifactError(f"tensor {name!r} is {dtype}: expected {base_layout[name][0]}", code="dtype")


def check_base(base: ModelFile, plan: Plan) -> None:
    """Reads all of a base model, so that what is wrong with it is not blamed on the updates.

    Raises ArtifactError for NaN, infinity, negative Fisher information, and buffers that the plan does not declare as
    what they are, or that lie outside.
    """
    check_declared(plan, base.layout)
    with naming(base.path):
        for name in base.layout:
            declared = declared_of(plan, name) if name.startswith(BUFFER) else None
            for start, stop in blocks(base.count(name)):
                values = base.read_range(name, start, stop)
                check_values(name, values)
                if declared is not None:
                    check_bounds(name, values, declared)


def _delta(update: UpdateFile, base: ModelFile, name: str) -> float:
    """The squared norm of one tensor of differences."""
    parameter = PARAMETER + name.removeprefix(DELTA)
    found, led_to = _memory(update.count(name)), _memory(update.count(name))
    stays_finite = True

    def squares(start: int, stop: int) -> Array:
        nonlocal stays_finite
        values = update.read_range(name, start, stop, into=found)
        sums = base.read_range(parameter, start, stop, into=led_to)
        sums += values
        stays_finite = stays_finite and all_finite(sums)
        return np.square(values, dtype=np.float64)

    with np.errstate(over="ignore", invalid="ignore"):
        total = folded(update.count(name), squares)
    _check_finite(name, total)
    if not stays_finite:
        raise ArtifactError(f"tensor {name!r} leads out of what float32 holds", code="not_finite")
    return total


def _fisher(update: UpdateFile, name: str) -> float:
    """The squared norm of one tensor of Fisher information."""
    found = _memory(update.count(name))
    negative = False

    def squares(start: int, stop: int) -> Array:
        nonlocal negative
        values = update.read_range(name, start, stop, into=found)
        negative = negative or bool((values < 0).any())
        return np.square(values, dtype=np.float64)

    with np.errstate(invalid="ignore"):
        total = folded(update.count(name), squares)
    _check_finite(name, total)
    if negative:
        raise ArtifactError(
            f"tensor {name!r} is Fisher information and holds a negative number", code="negative_fisher"
        )
    return total


def _memory(count: int) -> Array:
    return np.empty(min(count, BLOCK), np.float32)


def _check_finite(name: str, squared: float) -> None:
    """The squares of float32 numbers cannot overflow float64: their sum is finite where all of them are."""
    if not math.isfinite(squared):
        raise ArtifactError(f"tensor {name!r} holds NaN or infinity", code="not_finite")


def _check_buffer(update: UpdateFile, base: ModelFile, plan: Plan, name: str) -> None:
    declared = declared_of(plan, name)
    steps = plan.local.steps_of(update.header.samples)
    for start, stop in blocks(update.count(name)):
        values = update.read_range(name, start, stop)
        if not all_finite(values):
            raise ArtifactError(f"tensor {name!r} holds NaN or infinity", code="not_finite")
        if declared is not None:
            check_bounds(name, values, declared)
        if isinstance(declared, Counter):
            check_counted(name, values, base.read_range(name, start, stop), steps)


def _norm(squared: list[float]) -> float:
    return math.sqrt(folded(len(squared), lambda start, stop: np.array(squared[start:stop], np.float64)))
