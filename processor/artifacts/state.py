"""The server state: what the organization carries from one round to the next as well as the model.

Its CID stands in the round's report, so that an audit walks the same path; clients never fetch it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from processor.artifacts.artifact_file import ArtifactFile
from processor.artifacts.canonical import CidField, Count, Fields, Metric, RoundNumber
from processor.artifacts.versions import Group, Kind
from processor.cid import cid_of_file
from processor.tensors import Array, Tensors, blocks
from processor.types import Cid

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


ANY = Group("", ("float32", "float64", "int64"))
"""Which tensors a rule carries is for the rule to say."""
STATE = Kind("state", 8 << 30, StateHeader, groups=(ANY,))


@dataclass(frozen=True)
class ServerState:
    """The server state after `round`: its header's fields, the rule's named tensors, and the CID of its file.

    The tensors may be lazy, as those of `load_state`. `cid` is None while the state stands in no file yet. Two states
    are equal where their headers are.
    """

    round: int
    parent: Cid | None
    best_metric: float | None
    rounds_without_improvement: int
    tensors: Tensors = field(default_factory=lambda: NO_TENSORS, compare=False, repr=False)
    cid: Cid | None = field(default=None, compare=False, repr=False)

    @property
    def header(self) -> StateHeader:
        return StateHeader(self.round, self.parent, self.best_metric, self.rounds_without_improvement)

    def after(self, round: int, tensors: Tensors | None = None) -> ServerState:
        """The state after `round`, with these tensors or else the same, and not measured yet.

        ValueError for a state that stands in no file: the next one names its CID.
        """
        if self.cid is None and self != FIRST_STATE:
            raise ValueError(f"the server state after round {self.round} has no CID: write it before the next round")
        return ServerState(
            round=round,
            parent=self.cid,
            best_metric=self.best_metric,
            rounds_without_improvement=self.rounds_without_improvement,
            tensors=self.tensors if tensors is None else tensors,
        )


FIRST_STATE = ServerState(round=0, parent=None, best_metric=None, rounds_without_improvement=0)
"""Before the first round; it stands in no file."""


class StateFile(ArtifactFile[StateHeader]):
    """A server state's file, read one tensor at a time. Its tensors are the aggregation rule's own, of any type."""

    KIND = STATE


class _Tensors(Mapping[str, Array]):
    """A state file's tensors; each is read when it is asked for. The file is open for as long as anybody has them."""

    def __init__(self, file: StateFile) -> None:
        self.file = file
        self.layout = file.layout
        weakref.finalize(self, file.close)

    def __getitem__(self, name: str) -> Array:
        if name not in self.layout:
            raise KeyError(name)
        return self.file.read(name)

    def __contains__(self, name: object) -> bool:
        return name in self.layout  # Mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __len__(self) -> int:
        return len(self.layout)


def open_state(path: Path) -> StateFile:
    """Opens a server state's file, to be closed; ArtifactError if it is none."""
    return StateFile(path)


def load_state(path: Path) -> ServerState:
    """The server state in a file, whose tensors are read from there when they are asked for.

    The file stays open until nobody has the tensors any more: whoever removes or replaces it changes nothing of them.
    Raises ArtifactError if the file is none, Unreadable where it cannot be read.
    """
    tensors = _Tensors(open_state(path))
    header = tensors.file.header
    return ServerState(
        round=header.round,
        parent=header.parent,
        best_metric=header.best_metric,
        rounds_without_improvement=header.rounds_without_improvement,
        tensors=tensors,
        cid=cid_of_file(path),
    )


def write_state(path: Path, state: ServerState) -> Cid:
    """Writes a server state and returns its CID. Those tensors that `load_state` gave are copied block by block."""
    if not isinstance(state.tensors, _Tensors):
        return StateFile.write(path, state.header, state.tensors)
    file, layout = state.tensors.file, state.tensors.layout
    with StateFile.writer(path, state.header, layout) as writer:
        for name in writer.names:
            for start, stop in blocks(file.count(name)):
                writer.append(name, file.read_range(name, start, stop))
    return writer.cid
