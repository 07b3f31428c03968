"""What a plan declares about a model's buffers, and whether an update's keep to it.

Buffers are numbers of strangers, which no norm bounds. A plan of version 2 declares for each its kind, and the least
and the most that it may hold; one of version 1 declares nothing, and its updates' buffers need only be finite.
"""

from __future__ import annotations

import numpy as np

from processor.artifacts.artifact_file import BUFFER
from processor.artifacts.buffers import Buffer, Counter, Pooled, float32_within
from processor.artifacts.plan import Plan
from processor.errors import ArtifactError
from processor.tensors import Array, Layout, Tensors

COUNTS = np.dtype(np.int64)
MOST_STEPS = 2**64 - 1
"""The most that two int64 numbers can lie apart."""


def check_declared(plan: Plan, layout: Layout) -> None:
    """ArtifactError where the plan declares buffers, but not each one of a model of this layout as what it can be.

    A counter is of int64, everything else of float32; a variance is pooled around a mean of its own shape.
    """
    if plan.buffers is None:
        return
    for full, (dtype, shape) in layout.items():
        if not full.startswith(BUFFER):
            continue
        name = full.removeprefix(BUFFER)
        declared = plan.buffers.get(name)
        if declared is None:
            raise ArtifactError(f"the plan does not declare the model's buffer {name!r}: expected every one of them")
        if (np.dtype(dtype) == COUNTS) != isinstance(declared, Counter):
            raise ArtifactError(
                f"the plan declares the model's buffer {name!r} as {declared.kind}, and it is of {np.dtype(dtype)}: "
                "expected a counter for int64, average or pooled for float32"
            )
        if isinstance(declared, Pooled):
            mean = layout.get(BUFFER + declared.mean)
            if mean is None or mean[1] != shape:
                raise ArtifactError(
                    f"the plan pools the model's buffer {name!r} around {declared.mean!r}: expected a buffer of the "
                    f"shape {list(shape)}"
                )


def declared_of(plan: Plan, full: str) -> Buffer | None:
    """What the plan says of a buffer, by its full name; None where it declares none at all.

    ValueError for one that it leaves out: `check_declared` comes first.
    """
    if plan.buffers is None:
        return None
    if full.removeprefix(BUFFER) not in plan.buffers:
        raise ValueError(f"the plan does not declare {full!r}: check_declared was to find that")
    return plan.buffers[full.removeprefix(BUFFER)]


def bounds(declared: Buffer) -> tuple[np.generic, np.generic]:
    """The least and the largest number of the buffer's own type that are within what is declared."""
    if isinstance(declared, Counter):
        return np.int64(declared.least), np.int64(declared.most)
    return float32_within(declared.least, declared.most)


def check_bounds(full: str, values: Array, declared: Buffer) -> None:
    """ArtifactError (code `buffer`) for a number outside what is declared."""
    low, high = bounds(declared)
    for found, outside in ((values.min(), values.min() < low), (values.max(), values.max() > high)):
        if outside:
            raise ArtifactError(
                f"tensor {full!r} holds {found}: expected {declared.least} to {declared.most}, as the plan declares",
                code="buffer",
            )


def check_counted(full: str, values: Array, base: Array, steps: int) -> None:
    """ArtifactError (code `buffer`) unless each count is the base model's, or more by at most `steps`."""
    ahead = values.astype(np.uint64) - base.astype(np.uint64)  # modulo 2^64, and so exact where values >= base
    if (values < base).any() or (ahead > np.uint64(min(steps, MOST_STEPS))).any():
        raise ArtifactError(
            f"tensor {full!r} counts steps: expected at least the base model's, and at most {steps} more", code="buffer"
        )


def with_counters_cut(buffers: Tensors, base: Tensors, plan: Plan, samples: int) -> dict[str, Array]:
    """The buffers of one's own update, by their names in the model, with its counters cut to what settles.

    A counter that would pass the most that is declared stands still there, or no update could follow; and it runs no
    further ahead of the base model's than the steps of the samples that the update weighs.
    """
    steps = plan.local.steps_of(min(samples, plan.aggregation.max_weight))
    return {name: _cut(values, base[name], (plan.buffers or {}).get(name), steps) for name, values in buffers.items()}


def _cut(values: Array, base: Array, declared: Buffer | None, steps: int) -> Array:
    if not isinstance(declared, Counter):
        return values
    room = (declared.most - base).clip(0, min(steps, declared.most - declared.least))
    return np.asarray(np.minimum(values, base + room), COUNTS)
