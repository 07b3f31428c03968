"""Writes a file of tensors, by ranges of their elements, so that memory follows neither the tensors nor the file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from processor import jcs
from processor.cid import hasher
from processor.errors import ArtifactTooLarge
from processor.files import replacing
from processor.tensors.arrays import Array, Layout, Tensors, blocks
from processor.tensors.form import DTYPES, HEADER_LIMIT, entry_of, head_of, ordered
from processor.types import Cid


def write_tensors(path: Path, tensors: Tensors, header: Mapping[str, Any], mode: int = 0o666) -> None:
    """Writes a file of `tensors` (float32, float64 or int64), with `header` as its metadata; `mode` as for `replacing`.

    Raises ArtifactError for a name, type or shape that the format has no place for.
    """
    layout = {name: (array.dtype, array.shape) for name, array in tensors.items()}
    with TensorWriter(path, header, layout, mode) as writer:
        for name in writer.names:
            writer.write(name, tensors[name])


class TensorWriter:
    """Writes a file tensor by tensor, in the order of `names`, which the format fixes, each whole or by ranges.

    `path` appears when all tensors are written; after an error nothing is left. The bytes are those of `write_tensors`.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], layout: Layout, mode: int = 0o666) -> None:
        self._layout = ordered({name: entry_of(name, dtype, shape) for name, (dtype, shape) in layout.items()})
        self.names = tuple(self._layout)
        self._done = 0
        self._appended = 0
        self._head = head_of(jcs.dumps(dict(header)), self._layout)
        if len(self._head) > HEADER_LIMIT:
            raise ArtifactTooLarge(
                f"{path.name}: a header of {len(self._head)} bytes is over the limit, {HEADER_LIMIT}"
            )
        self._output = replacing(path, mode)
        self._hasher = hasher()
        self._cid: Cid | None = None

    def write(self, name: str, array: Array) -> None:
        """Writes the next tensor; ValueError if it is not the next one or not of its layout."""
        self._expect(name, array)
        if self._appended or array.shape != self._layout[name][1]:
            raise self._unlike(name, array)
        values = np.ascontiguousarray(array).reshape(-1)
        for start, stop in blocks(len(values)):
            self.append(name, values[start:stop])

    def append(self, name: str, values: Array) -> None:
        """Writes the next elements of the tensor `name`, in C order; ValueError for those of another one, of another
        type, or more than it has."""
        self._expect(name, values)
        count = math.prod(self._layout[name][1])
        if values.ndim != 1 or self._appended + len(values) > count:
            raise self._unlike(name, values)
        self._put(values.astype(self._dtype(name), copy=False).tobytes())
        self._appended += len(values)
        if self._appended == count:
            self._done, self._appended = self._done + 1, 0

    @property
    def cid(self) -> Cid:
        """The CID of the finished file, computed while it was written; ValueError before the block has ended."""
        if self._cid is None:
            raise ValueError("the file is not finished: ask for its CID after the `with` block")
        return self._cid

    def _expect(self, name: str, values: Array) -> None:
        if self._done == len(self.names) or name != self.names[self._done]:
            raise ValueError(f"tensor {name!r} is out of order: expected {self.names[self._done :][:1]}")
        if values.dtype.newbyteorder("<") != self._dtype(name):
            raise self._unlike(name, values)

    def _dtype(self, name: str) -> np.dtype[Any]:
        return DTYPES[self._layout[name][0]]

    def _unlike(self, name: str, values: Array) -> ValueError:
        shape = self._layout[name][1]
        written = f", of which {self._appended} elements are written" if self._appended else ""
        return ValueError(
            f"tensor {name!r} is {values.dtype}{values.shape}: its layout says {self._dtype(name)}{shape}{written}"
        )

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._hasher.update(data)

    def __enter__(self) -> Self:
        self._file = self._output.__enter__()
        self._put(len(self._head).to_bytes(8, "little") + self._head)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None and (missing := self.names[self._done :]):
            unfinished = ValueError(f"the tensors {list(missing[:4])} were not written")
            self._output.__exit__(ValueError, unfinished, None)
            raise unfinished
        self._output.__exit__(kind, error, at)
        if error is None:
            self._cid = self._hasher.finalize()
