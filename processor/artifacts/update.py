"""The update: what one client learned in one round, as differences from the base model.

The header binds it to its sender: a copy under another address is worthless. It also says how many samples were learned
from: the chain does not. Updates travel sealed; these are the bytes inside the seal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from processor import jcs
from processor.artifacts.artifact_file import BUFFER, FISHER, ArtifactFile, check_groups, check_shapes, grouped
from processor.artifacts.canonical import AddressField, ChainId, CidField, Fields, RoundNumber
from processor.artifacts.model import ModelFile
from processor.errors import ArtifactError
from processor.tensors import Array, Layout, Tensors, all_finite

UPDATE_LIMIT = 4 << 30
DELTA = "delta/"


@dataclass(frozen=True)
class Binding(Fields):
    """Whose update this is, for which round of which federation, and out of which model it grew."""

    chain_id: ChainId
    federation: AddressField
    round: RoundNumber
    client: AddressField
    base_model: CidField


@dataclass(frozen=True)
class UpdateHeader(Binding):
    """What binds an update, and on how many samples its sender says that it trained."""

    VERSION = 2
    samples: Annotated[int, Field(ge=1, le=jcs.INTEGER_LIMIT)]


class UpdateFile(ArtifactFile[UpdateHeader]):
    """An opened update's file, read one tensor at a time."""

    KIND = "update"
    LIMIT = UPDATE_LIMIT
    HEADER = UpdateHeader

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        check_groups("an update", layout, (DELTA, BUFFER, FISHER))

    @property
    def has_fisher(self) -> bool:
        return bool(self.shapes(FISHER))

    def delta(self, name: str) -> Array:
        return self.read(DELTA + name)

    def buffer(self, name: str) -> Array:
        return self.read(BUFFER + name)

    def fisher(self, name: str) -> Array:
        return self.read(FISHER + name)


def open_update(path: Path) -> UpdateFile:
    """Opens an update's file, to be closed; ArtifactError if it is none."""
    return UpdateFile(path)


def write_update(path: Path, header: UpdateHeader, delta: Tensors, buffers: Tensors, fisher: Tensors) -> None:
    """Writes an update, not yet sealed; `fisher` is empty where the plan asks for none."""
    UpdateFile.write(path, header, grouped(delta=delta, buffer=buffers, fisher=fisher))


def check_update(update: UpdateFile, expected: Binding, base: ModelFile, wants_fisher: bool) -> None:
    """Reads all of an update and raises ArtifactError, with the reason code, for what cannot be averaged into `base`.

    `header`: made for something else than `expected`. `shape`: other tensors than the base model's. `dtype`: other
    types. `not_finite`: NaN or infinity, also where base plus delta leaves float32: what accepted updates make, a
    weighted mean of such sums, is then finite. `negative_fisher`: Fisher information below zero.
    """
    for field in fields(Binding):
        found, wanted = getattr(update.header, field.name), getattr(expected, field.name)
        if found != wanted:
            raise ArtifactError(f"the update's {field.name} is {found}: expected {wanted}", code="header")
    check_shapes(DELTA, update.shapes(DELTA), base.parameters)
    check_shapes(BUFFER, update.shapes(BUFFER), base.buffers)
    check_shapes(FISHER, update.shapes(FISHER), base.parameters if wants_fisher else {})
    base_layout = base.layout
    for name, (dtype, _) in update.layout.items():
        if name.startswith(BUFFER) and dtype != base_layout[name][0]:
            raise ArtifactError(f"tensor {name!r} is {dtype}: expected {base_layout[name][0]}", code="dtype")
    for name in update.layout:
        array = update.read(name)
        if name.startswith(DELTA) and not _stays_finite(base.parameter(name.removeprefix(DELTA)), array):
            raise ArtifactError(f"tensor {name!r} leads out of what float32 holds", code="not_finite")


def _stays_finite(base: Array, delta: Array) -> bool:
    with np.errstate(over="ignore"):
        return all_finite(base + delta)
