"""The private state: what a client carries from one release to the next. Nobody but its client ever sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from processor import jcs
from processor.artifacts.artifact_file import ArtifactFile
from processor.artifacts.canonical import CidField, Fields
from processor.artifacts.versions import Group, Kind
from processor.cid import cid_of_file
from processor.files import PRIVATE
from processor.tensors import Array, Tensors, write_tensors
from processor.types import Cid

NO_TENSORS: Mapping[str, Array] = {}


@dataclass(frozen=True)
class PrivateStateHeader(Fields):
    """After which release this is the state, counted from 1, and the state before: None after the first."""

    release: Annotated[int, Field(ge=1, le=jcs.INTEGER_LIMIT)]
    before: CidField | None


ANY = Group("", ("float32", "float64", "int64"))
"""Which tensors a release carries is for the release to say."""
PRIVATE_STATE = Kind("private-state", 8 << 30, PrivateStateHeader, groups=(ANY,))


@dataclass(frozen=True)
class PrivateState:
    """The state after `release`: its header's fields, named tensors, and the CID of its file.

    `cid` is None while the state stands in no file yet. Two states are equal where their headers are.
    """

    release: int
    before: Cid | None
    tensors: Tensors = field(default_factory=lambda: NO_TENSORS, compare=False, repr=False)
    cid: Cid | None = field(default=None, compare=False, repr=False)

    def after(self, tensors: Tensors | None = None) -> PrivateState:
        """The state after the next release, with these tensors or else the same.

        ValueError for a state that stands in no file: the next one names its CID.
        """
        if self.cid is None and self != FIRST_PRIVATE_STATE:
            raise ValueError(f"the private state after release {self.release} has no CID: write it before the next one")
        return PrivateState(self.release + 1, self.cid, self.tensors if tensors is None else tensors)


FIRST_PRIVATE_STATE = PrivateState(release=0, before=None)
"""Before the first release; it stands in no file."""


class PrivateStateFile(ArtifactFile[PrivateStateHeader]):
    """A private state's file, read one tensor at a time."""

    KIND = PRIVATE_STATE


def load_private_state(path: Path) -> PrivateState:
    """A whole private state in memory. Raises ArtifactError if the file is none, Unreadable where there is none."""
    with PrivateStateFile(path) as file:
        header, tensors = file.header, dict(file.group(""))
    return PrivateState(header.release, header.before, tensors, cid_of_file(path))


def write_private_state(path: Path, state: PrivateState) -> Cid:
    """Writes a private state that its owner alone can read, whole or not at all, and returns its CID."""
    header = PrivateStateHeader(state.release, state.before)
    write_tensors(path, state.tensors, PRIVATE_STATE.tagged(header), PRIVATE)
    return cid_of_file(path)
