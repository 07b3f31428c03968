"""What model, update and server state share: a file of tensors in named groups, with a typed header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from processor.artifacts.canonical import Fields
from processor.artifacts.versions import Group, Kind
from processor.errors import ArtifactError
from processor.tensors import Array, Layout, Shape, TensorFile, Tensors, TensorWriter, all_finite
from processor.types import Cid

FISHER = "fisher/"
BUFFER = "buffer/"
FLOATS, NUMBERS = ("float32",), ("float32", "int64")
BUFFERS, FISHERS = Group(BUFFER, NUMBERS), Group(FISHER, FLOATS)

Header = TypeVar("Header", bound=Fields)


class ArtifactFile(Generic[Header]):
    """An artifact's file, whose form is checked whole when it is opened, and its values as they are read.

    Opening raises ArtifactError, or ArtifactTooLarge over the limit of its kind. One of a version above `newest`, if
    that is given, is malformed, whatever else it is. Reading a tensor raises ArtifactError with code `not_finite` for
    NaN or infinity, `negative_fisher` for Fisher information below zero. Ranges come as they are: whoever reads a file
    by ranges does so once, and looks at the values along the way.

    `version` is the one that the header named.
    """

    KIND: ClassVar[Kind[Any]]

    header: Header
    version: int

    def __init__(self, path: Path, newest: int | None = None) -> None:
        self.path = path
        self._file = TensorFile(path, self.KIND.limit)
        try:
            with naming(path):
                self.header = self.KIND.value_of(self._file.header)
                self.version = self.KIND.version_of(self.header)
                if newest is not None and self.version > newest:
                    raise ArtifactError(
                        f"this {self.KIND.name} has version {self.version}: expected at most {newest} here"
                    )
                self.check_layout(self.layout)
        except BaseException:
            self.close()
            raise

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """ArtifactError if these are not the tensors of such an artifact; each has to be in a group of its kind."""
        check_groups(cls.KIND, layout)

    @classmethod
    def writer(cls, path: Path, header: Header, layout: Layout) -> TensorWriter:
        """Writes such a file tensor by tensor or by ranges, refusing what could not be read back."""
        tagged = cls.KIND.tagged(header)
        cls.KIND.value_of(tagged)
        cls.check_layout(layout)
        return _CheckedWriter(path, tagged, layout)

    @classmethod
    def write(cls, path: Path, header: Header, tensors: Tensors) -> Cid:
        """Writes such a file from tensors in memory and returns its CID."""
        with cls.writer(path, header, {name: (array.dtype, array.shape) for name, array in tensors.items()}) as writer:
            for name in writer.names:
                writer.write(name, tensors[name])
        return writer.cid

    @property
    def layout(self) -> dict[str, tuple[np.dtype[Any], Shape]]:
        """Type and shape of every tensor by its full name, in the order of the file."""
        return self._file.layout

    def read(self, name: str) -> Array:
        """The tensor of this full name."""
        array = self._file.read(name)
        with naming(self.path):
            check_values(name, array)
        return array

    def count(self, name: str) -> int:
        """How many elements the tensor of this full name has."""
        return self._file.count(name)

    def read_range(self, name: str, start: int, stop: int, into: Array | None = None) -> Array:
        """Elements of the tensor of this full name, as `TensorFile.read_range` gives them, their values unchecked."""
        return self._file.read_range(name, start, stop, into)

    def group(self, group: str) -> Tensors:
        """The tensors whose names start with `group`, by the rest of their names; each is read when it is asked for."""
        return _Group(self.read, {name.removeprefix(group): name for name in self.layout if name.startswith(group)})

    def shapes(self, group: str) -> dict[str, Shape]:
        return {name.removeprefix(group): shape for name, (_, shape) in self.layout.items() if name.startswith(group)}

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _CheckedWriter(TensorWriter):
    def append(self, name: str, values: Array) -> None:
        check_values(name, values)
        super().append(name, values)


class _Group(Mapping[str, Array]):
    def __init__(self, read_tensor: Callable[[str], Array], names: dict[str, str]) -> None:
        self._read = read_tensor
        self._names = names

    def __getitem__(self, name: str) -> Array:
        return self._read(self._names[name])

    def __contains__(self, name: object) -> bool:
        return name in self._names  # Mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the file's name before the text of an ArtifactError about it."""
    try:
        yield
    except ArtifactError as error:
        error.args = (f"{path.name}: {error}",)
        raise


def grouped(**groups: Tensors) -> dict[str, Array]:
    """Tensors of several groups under their full names."""
    return {f"{group}/{name}": array for group, tensors in groups.items() for name, array in tensors.items()}


def check_groups(kind: Kind[Any], layout: Layout) -> None:
    """ArtifactError for a tensor outside the kind's groups, or (code `dtype`) of a type that its group may not have."""
    for name, (dtype, _) in layout.items():
        group = next((group for group in kind.groups if name.startswith(group.prefix)), None)
        if group is None:
            prefixes = ", ".join(group.prefix for group in kind.groups)
            article = "an" if kind.name[0] in "aeiou" else "a"
            raise ArtifactError(f"tensor {name!r} is in no group of {article} {kind.name}: expected one of {prefixes}")
        if np.dtype(dtype).name not in group.types:
            raise ArtifactError(
                f"tensor {name!r} is {np.dtype(dtype)}: expected {' or '.join(group.types)}", code="dtype"
            )


def check_fisher(layout: Layout, like: str) -> None:
    """ArtifactError (code `shape`) unless the Fisher information is absent, or has the tensors of the group `like`."""
    fisher = {name.removeprefix(FISHER): shape for name, (_, shape) in layout.items() if name.startswith(FISHER)}
    others = {name.removeprefix(like): shape for name, (_, shape) in layout.items() if name.startswith(like)}
    if fisher:
        check_shapes(FISHER, fisher, others)


def check_shapes(group: str, found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> None:
    """ArtifactError (code `shape`) that names the first tensor that is missing, too many or of another shape."""
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            raise ArtifactError(f"tensor {group + name!r} is missing", code="shape")
        if name not in expected:
            raise ArtifactError(f"tensor {group + name!r} is not expected", code="shape")
        if found[name] != expected[name]:
            raise ArtifactError(
                f"tensor {group + name!r} has shape {list(found[name])}: expected {list(expected[name])}", code="shape"
            )


def check_values(name: str, array: Array) -> None:
    """ArtifactError for NaN or infinity (code `not_finite`) and Fisher information below zero (`negative_fisher`)."""
    if not all_finite(array):
        raise ArtifactError(f"tensor {name!r} holds NaN or infinity", code="not_finite")
    if name.startswith(FISHER) and (array < 0).any():
        raise ArtifactError(
            f"tensor {name!r} is Fisher information and holds a negative number", code="negative_fisher"
        )
