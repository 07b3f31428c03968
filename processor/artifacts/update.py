"""The update: what one client learned in one round, as differences from the base model.

The header binds it to its sender: a copy under another address is worthless. It also says how many samples were learned
from: the chain does not. Updates travel sealed; these are the bytes inside the seal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from pydantic import Field

from processor import jcs
from processor.artifacts.artifact_file import BUFFERS, FISHERS, FLOATS, ArtifactFile, grouped
from processor.artifacts.canonical import AddressField, ChainId, CidField, Fields, RoundNumber
from processor.artifacts.versions import Group, Kind
from processor.errors import ArtifactError
from processor.tensors import Tensors

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

    samples: Annotated[int, Field(ge=1, le=jcs.INTEGER_LIMIT)]


@dataclass(frozen=True, repr=False)
class Learned:
    """What an update says: by parameter what was added to the base model, the buffers, and the Fisher information of
    the client's data, or nothing of that."""

    delta: Tensors
    buffers: Tensors
    fisher: Tensors


UPDATE = Kind("update", 4 << 30, UpdateHeader, version=2, groups=(Group(DELTA, FLOATS), BUFFERS, FISHERS))

NEWEST_UNDER_PLAN = {1: 2, 2: 2}
"""The newest version of an update that a plan of each version allows. What a round rejected stays rejected, however
many versions of updates are known by then."""


class UpdateFile(ArtifactFile[UpdateHeader]):
    """An opened update's file, read one tensor at a time."""

    KIND = UPDATE


def open_update(path: Path, newest: int | None = None) -> UpdateFile:
    """Opens an update's file, to be closed; ArtifactError if it is none, or of a version above `newest`."""
    return UpdateFile(path, newest)


def write_update(path: Path, header: UpdateHeader, delta: Tensors, buffers: Tensors, fisher: Tensors) -> None:
    """Writes an update, not yet sealed; `fisher` is empty where the plan asks for none."""
    UpdateFile.write(path, header, grouped(delta=delta, buffer=buffers, fisher=fisher))


def check_binding(header: UpdateHeader, expected: Binding) -> None:
    """ArtifactError (code `header`) for an update that was made for something else than `expected`."""
    for field in fields(Binding):
        found, wanted = getattr(header, field.name), getattr(expected, field.name)
        if found != wanted:
            raise ArtifactError(f"the update's {field.name} is {found}: expected {wanted}", code="header")
