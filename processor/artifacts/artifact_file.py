"""What model, update and server state share: a file of tensors in named groups, with a typed header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from processor.artifacts.canonical import Fields, read, tagged, untagged
from processor.errors import ArtifactError
from processor.tensors import Array, Layout, Shape, TensorFile, Tensors, TensorWriter, all_finite

FISHER = "fisher/"
BUFFER = "buffer/"
FLOAT = np.dtype(np.float32)

Header = TypeVar("Header", bound=Fields)


class ArtifactFile(Generic[Header]):
    """An artifact's file, checked whole when it is opened and read one tensor at a time.

    Opening raises ArtifactError, or ArtifactTooLarge over the limit of its kind. Reading a tensor raises ArtifactError
    with code `not_finite` for NaN or infinity, `negative_fisher` for Fisher information below zero.
    """

    KIND: ClassVar[str]
    LIMIT: ClassVar[int]
    HEADER: ClassVar[type[Fields]]

    header: Header

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = TensorFile(path, self.LIMIT)
        try:
            with naming(path):
                self.header = self._check_header(self._file.header)
                self.check_layout(self.layout)
        except ArtifactError:
            self.close()
            raise

    @classmethod
    def _check_header(cls, header: object) -> Header:
        return read(cls.HEADER, cls.KIND, untagged(header, cls.KIND, cls.HEADER.VERSION))  # type: ignore[return-value]

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """ArtifactError if these are not the tensors of such an artifact."""
        raise NotImplementedError

    @classmethod
    def writer(cls, path: Path, header: Header, layout: Layout) -> TensorWriter:
        """Writes such a file tensor by tensor, refusing what could not be read back."""
        cls._check_header(tagged(cls.KIND, header))
        cls.check_layout(layout)
        return _CheckedWriter(path, tagged(cls.KIND, header), layout)

    @classmethod
    def write(cls, path: Path, header: Header, tensors: Tensors) -> None:
        """Writes such a file from tensors in memory."""
        with cls.writer(path, header, {name: (array.dtype, array.shape) for name, array in tensors.items()}) as writer:
            for name in writer.names:
                writer.write(name, tensors[name])

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
    def write(self, name: str, array: Array) -> None:
        check_values(name, array)
        super().write(name, array)


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


def check_groups(kind: str, layout: Layout, groups: tuple[str, ...]) -> None:
    """ArtifactError for a tensor outside `groups`, or of another type than its group may have.

    Everything is float32; buffers may be int64, as counters are.
    """
    for name, (dtype, _) in layout.items():
        if not name.startswith(groups):
            raise ArtifactError(f"tensor {name!r} is in no group of {kind}: expected one of {', '.join(groups)}")
        if np.dtype(dtype) != FLOAT and not name.startswith(BUFFER):
            raise ArtifactError(f"tensor {name!r} is {np.dtype(dtype)}: expected float32", code="dtype")
        if np.dtype(dtype) == np.float64:
            raise ArtifactError(f"buffer {name!r} is float64: expected float32 or int64", code="dtype")


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
