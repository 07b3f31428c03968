"""The model: parameters, buffers, and the Fisher information by which the next round's training is anchored.

Each model names its parent and its plan, so a chain of rounds can be walked back to the initial model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processor.artifacts.artifact_file import (
    BUFFER,
    BUFFERS,
    FISHER,
    FISHERS,
    FLOATS,
    ArtifactFile,
    check_fisher,
    grouped,
)
from processor.artifacts.canonical import CidField, Fields, RoundNumber
from processor.artifacts.versions import Group, Kind
from processor.errors import ArtifactError
from processor.tensors import Array, Layout, Shape, Tensors, TensorWriter
from processor.types import Cid

PARAMETER = "param/"


@dataclass(frozen=True)
class ModelHeader(Fields):
    """Which round made the model (0 for the initial one), out of which model, under which plan."""

    round: RoundNumber
    parent: CidField | None
    plan: CidField


MODEL = Kind("model", 4 << 30, ModelHeader, groups=(Group(PARAMETER, FLOATS), BUFFERS, FISHERS))


@dataclass(frozen=True)
class Model:
    """A model in memory: float32 (buffers also int64), finite, Fisher information not negative, or empty."""

    header: ModelHeader
    parameters: dict[str, Array]
    buffers: dict[str, Array]
    fisher: dict[str, Array]


class ModelFile(ArtifactFile[ModelHeader]):
    """A model's file, read one tensor at a time; `layout` is what a writer of its successor starts from."""

    KIND = MODEL

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        super().check_layout(layout)
        if not any(name.startswith(PARAMETER) for name in layout):
            raise ArtifactError("a model has at least one parameter, this one has none", code="shape")
        check_fisher(layout, like=PARAMETER)

    @property
    def parameters(self) -> dict[str, Shape]:
        return self.shapes(PARAMETER)

    @property
    def buffers(self) -> dict[str, Shape]:
        return self.shapes(BUFFER)

    @property
    def has_fisher(self) -> bool:
        return bool(self.shapes(FISHER))


def open_model(path: Path) -> ModelFile:
    """Opens a model's file, to be closed; ArtifactError if it is none."""
    return ModelFile(path)


def load_model(path: Path) -> Model:
    """A whole model in memory; ArtifactError if the file is none or holds what a model must not."""
    with open_model(path) as file:
        return Model(file.header, dict(file.group(PARAMETER)), dict(file.group(BUFFER)), dict(file.group(FISHER)))


def write_model(path: Path, header: ModelHeader, parameters: Tensors, buffers: Tensors, fisher: Tensors) -> Cid:
    """Writes a model from tensors in memory (`fisher` may be empty) and returns its CID.

    Raises ArtifactError for what could not be read back.
    """
    return ModelFile.write(path, header, grouped(param=parameters, buffer=buffers, fisher=fisher))


def model_writer(path: Path, header: ModelHeader, layout: Layout) -> TensorWriter:
    """Writes a model tensor by tensor, under full names (`param/...`) in the order of the writer's `names`."""
    return ModelFile.writer(path, header, layout)


def check_fits(found: Layout, expected: Layout) -> None:
    """ArtifactError (code `shape`) that names what is missing, too many or of another shape among the parameters and
    buffers of a model's layout. Its Fisher information is not looked at."""
    for kind, group in (("parameter", PARAMETER), ("buffer", BUFFER)):
        own, given = _shapes(expected, group), _shapes(found, group)
        differ = sorted(name for name in own | given if own.get(name) != given.get(name))
        if differ:
            listed = "; ".join(
                f"{name}: expected {_shape(own, name)}, got {_shape(given, name)}" for name in differ[:3]
            )
            more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
            raise ArtifactError(f"the artifact does not fit the plan's model: {kind} {listed}{more}", code="shape")


def _shapes(layout: Layout, group: str) -> dict[str, Shape]:
    return {name.removeprefix(group): tuple(shape) for name, (_, shape) in layout.items() if name.startswith(group)}


def _shape(shapes: Mapping[str, Shape], name: str) -> str:
    return f"shape {list(shapes[name])}" if name in shapes else "none"
