"""The server state: what the organization carries from one round to the next besides the model.

Its CID stands in the round's report, so that an audit walks the same path; clients never fetch it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processor.artifacts.artifact_file import ArtifactFile
from processor.artifacts.canonical import CidField, Count, Fields, Metric, RoundNumber
from processor.cid import cid_of_file
from processor.tensors import Array, Layout, Tensors
from processor.types import Cid

STATE_LIMIT = 8 << 30
NO_TENSORS: Mapping[str, Array] = {}


@dataclass(frozen=True)
class StateHeader(Fields):
    """The round after which this is the state, the state before, and where the stopping rule stands.

    `best_metric` is None before the first evaluation; `rounds_without_improvement` counts since then.
    """

    round: RoundNumber
    parent: CidField | None
    best_metric: Metric | None
    rounds_without_improvement: Count


@dataclass(frozen=True)
class State:
    """A server state in memory."""

    header: StateHeader
    tensors: dict[str, Array]


class StateFile(ArtifactFile[StateHeader]):
    """A server state's file, read one tensor at a time. Its tensors are the aggregation rule's own, of any type."""

    KIND = "state"
    LIMIT = STATE_LIMIT
    HEADER = StateHeader

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """Every layout will do: which tensors a rule carries is for the rule to say."""


def open_state(path: Path) -> StateFile:
    """Opens a server state's file, to be closed; ArtifactError if it is none."""
    return StateFile(path)


def load_state(path: Path) -> State:
    """A whole server state in memory; ArtifactError if the file is none."""
    with open_state(path) as file:
        return State(file.header, dict(file.group("")))


def write_state(path: Path, header: StateHeader, tensors: Tensors = NO_TENSORS) -> Cid:
    """Writes a server state and returns its CID."""
    StateFile.write(path, header, tensors)
    return cid_of_file(path)
