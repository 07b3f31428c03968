"""A base model and updates to it, small enough to say what one round makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from eth_utils import to_checksum_address

from processor.aggregation.combine import combine
from processor.aggregation.facts import facts_of
from processor.aggregation.inputs import Accepted
from processor.artifacts.model import Model, ModelHeader, load_model, open_model, write_model
from processor.artifacts.plan import FEDAVG, Aggregation, Ewc, LocalWork, Plan
from processor.artifacts.state import FIRST_STATE
from processor.artifacts.update import UpdateHeader, open_update, write_update
from processor.cid import cid_of
from processor.tensors import Array
from processor.types import Cid
from tests.unit.artifacts import examples

Named = dict[str, Array]

WITH_EWC = replace(
    examples.PLAN,
    local=LocalWork(steps=8, epochs=None, batch_size=64),
    ewc=Ewc(strength=10.0, decay=0.5, fisher_samples=64, fisher_cap=1000.0),
    aggregation=Aggregation(FEDAVG, max_weight=1000, max_norm=20.0, min_updates=1),
)
WITHOUT_EWC = replace(WITH_EWC, ewc=replace(WITH_EWC.ewc, strength=0.0))
BASE = ModelHeader(round=3, parent=cid_of(b"parent"), plan=cid_of(b"plan"))
NEXT = ModelHeader(round=4, parent=cid_of(b"base"), plan=cid_of(b"plan"))
SHAPES = {"layer1.weight": (3, 2), "layer1.bias": (3,)}


def address(number: int) -> str:
    return to_checksum_address(f"0x{number:040x}")


class Federation:
    """A base model and updates to it in a folder of their own."""

    def __init__(
        self, folder: Path, parameters: Named, fisher: Named | None = None, buffers: Named | None = None
    ) -> None:
        self.folder = folder
        self.base = folder / "base"
        write_model(self.base, BASE, parameters, buffers or {}, fisher or {})

    def update(
        self,
        client: int,
        weight: int,
        delta: Named,
        fisher: Named | None = None,
        buffers: Named | None = None,
        plan: Plan | None = None,
    ) -> Accepted:
        """An update whose facts are gathered; ArtifactError if `plan`, which may do without buffers, rejects it."""
        path = self.folder / f"update-{client}"
        header = UpdateHeader(31337, address(2**150), 4, address(client), cid_of(b"base"), samples=max(1, weight))
        write_update(path, header, delta, buffers or {}, fisher or {})
        with open_model(self.base) as base, open_update(path) as update:
            facts = facts_of(update, base, plan or (WITHOUT_EWC if fisher is None else WITH_EWC))
        return Accepted(address(client), path, weight, facts)

    def combine(self, accepted: Sequence[Accepted], plan: Plan = WITHOUT_EWC) -> Model:
        self.cid_of_combined(accepted, plan)
        return load_model(self.folder / "next")

    def cid_of_combined(self, accepted: Sequence[Accepted], plan: Plan = WITHOUT_EWC) -> Cid:
        return combine(self.base, FIRST_STATE, accepted, plan, NEXT, self.folder / "next")[0]


def drawn(seed: int, scale: float = 1.0, shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> Named:
    rng = np.random.default_rng(seed)
    return {name: (rng.normal(size=shape) * scale).astype(np.float32) for name, shape in shapes.items()}


def positive(seed: int) -> Named:
    return {name: array**2 for name, array in drawn(seed).items()}
