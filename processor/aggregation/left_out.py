"""Which update was left out of an average, where leaving one out explains it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from processor.aggregation.combine import combine
from processor.aggregation.inputs import Accepted
from processor.artifacts.model import PARAMETER, ModelFile, ModelHeader, open_model
from processor.artifacts.plan import Plan
from processor.artifacts.state import ServerState
from processor.artifacts.update import DELTA, open_update
from processor.tensors import BLOCK, Array, all_finite
from processor.types import Address, Cid

COMBINED = 3
"""Averages that are made whole: updates that are almost the same could explain the same block."""
CLOSE = 2.0**-22
"""How far a block of the model may lie from what the average without one update gives, in parts of the largest number
in it: the model is rounded to float32, and a sum from which something is subtracted rounds otherwise than one without.
"""


def left_out(
    base: Path,
    released: Path,
    cid: Cid,
    state: ServerState,
    accepted: Sequence[Accepted],
    plan: Plan,
    header: ModelHeader,
    out: Path,
) -> Address | None:
    """The client without whose update the average is the model with this CID, which is the file `released`; None where
    there is none.

    One block of each update says who it may be, and only such averages are made whole, at `out`, which is gone
    afterwards. Raises ArtifactError where the released model is none.
    """
    for number in _candidates(base, released, accepted)[:COMBINED]:
        others = [one for place, one in enumerate(accepted) if place != number]
        try:
            found, _ = combine(base, state, others, plan, header, out)
        finally:
            out.unlink(missing_ok=True)
        if found == cid:
            return accepted[number].client
    return None


def _candidates(base: Path, released: Path, accepted: Sequence[Accepted]) -> list[int]:
    """The places of the updates without which one block of the average is almost the released model's, the nearest
    first."""
    with open_model(base) as before, open_model(released) as after:
        name = max(before.parameters, key=lambda each: before.count(PARAMETER + each), default=None)
        same = after.parameters == before.parameters
        if name is None or not same or len(accepted) < 2:
            return []
        stop = min(BLOCK, before.count(PARAMETER + name))
        start, wanted = _read(before, name, stop), _read(after, name, stop)
    if not all_finite(wanted):
        return []
    whole = np.zeros(stop, np.float64)
    for one, delta in _deltas(accepted, name, stop):
        whole += delta * one.weight
    weight = sum(one.weight for one in accepted)
    close = CLOSE * max(float(np.abs(each).max(initial=0)) for each in (start, wanted))
    found = []
    for number, (one, delta) in enumerate(_deltas(accepted, name, stop)):
        without = start + (whole - delta * one.weight) / (weight - one.weight)
        off = float(np.abs(without - wanted).max(initial=0))
        if off <= close:
            found.append((off, number))
    return [number for _, number in sorted(found)]


def _read(model: ModelFile, name: str, stop: int) -> Array:
    return model.read_range(PARAMETER + name, 0, stop).astype(np.float64)


def _deltas(accepted: Sequence[Accepted], name: str, stop: int) -> Iterator[tuple[Accepted, Array]]:
    for one in accepted:
        with open_update(one.update) as update:
            yield one, update.read_range(DELTA + name, 0, stop).astype(np.float64)
