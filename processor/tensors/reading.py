"""Reads a file of tensors, by ranges of their elements, so that memory follows neither the tensors nor the file."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from processor import jcs
from processor.errors import ArtifactError, ArtifactTooLarge, Unreadable
from processor.tensors.arrays import Array, Shape
from processor.tensors.form import DTYPES, HEADER_LIMIT, head_of, ordered, parse_head, placed


class TensorFile:
    """A file of tensors, checked whole when it is opened and read by tensors or ranges of them, by any thread.

    `header` is the metadata's value, `names` the tensors in file order. Opening raises ArtifactError for every file
    that `write_tensors` would not have written (code `dtype` for a tensor of another type), ArtifactTooLarge over
    `limit` bytes. Raises Unreadable where there is no file that may be read, or it is cut while it is; other errors of
    the system, as of too many open files, go through as they are.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
            raise Unreadable(f"{path}: cannot be read: {error.strerror}") from error
        try:
            self._open(limit)
        except BaseException as error:
            self._file.close()
            if isinstance(error, ArtifactError):
                error.args = (f"{path.name}: {error}",)
            raise

    def _open(self, limit: int | None) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if limit is not None and size > limit:
            raise ArtifactTooLarge(f"is {size} bytes long, over the limit of {limit}")
        if size < 8:
            raise ArtifactError(f"is truncated: {size} bytes cannot hold a header")
        length = int.from_bytes(self._bytes(8, at=0), "little")
        if length > HEADER_LIMIT:
            raise ArtifactError(f"says that its header has {length} bytes: at most {HEADER_LIMIT} are allowed")
        if length > size - 8:
            raise ArtifactError(f"is truncated: its header should have {length} bytes, {size - 8} are left")
        head = self._bytes(length, at=8)
        metadata, layout = parse_head(head)
        self.header: dict[str, Any] = metadata
        if list(layout) != list(ordered(layout)) or head != head_of(jcs.dumps(metadata), layout):
            raise ArtifactError("has a header in another form than safetensors writes (order, spelling or padding)")
        self._places = placed(tuple(layout.items()))
        end = 8 + length + self._places.end
        if size != end:
            what = "is truncated" if size < end else "has bytes after its last tensor"
            raise ArtifactError(f"{what}: expected {end} bytes, found {size}")
        self._start = 8 + length

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._places.layout)

    @property
    def layout(self) -> dict[str, tuple[np.dtype[Any], Shape]]:
        """Type and shape of every tensor, as `TensorWriter` takes them."""
        return {name: (DTYPES[code], shape) for name, (code, shape) in self._places.layout.items()}

    def shape(self, name: str) -> Shape:
        return self._places.layout[name][1]

    def dtype(self, name: str) -> np.dtype[Any]:
        return DTYPES[self._places.layout[name][0]]

    def count(self, name: str) -> int:
        """How many elements a tensor has."""
        return math.prod(self.shape(name))

    def read(self, name: str) -> Array:
        """One tensor, in memory of its own."""
        return self.read_range(name, 0, self.count(name)).reshape(self.shape(name))

    def read_range(self, name: str, start: int, stop: int, into: Array | None = None) -> Array:
        """The elements `start` to `stop` (not included) of a tensor in C order, in one dimension.

        They are in memory of their own, or at the beginning of `into`, which is of the tensor's type, in one dimension
        and long enough. ValueError for a range or an array that does not fit.
        """
        count, dtype = self.count(name), self.dtype(name)
        if not 0 <= start <= stop <= count:
            raise ValueError(f"tensor {name!r} has {count} elements: there is no range {start} to {stop}")
        if into is None:
            into = np.empty(stop - start, dtype)
        elif into.ndim != 1 or into.dtype != dtype or len(into) < stop - start or not into.flags.c_contiguous:
            raise ValueError(f"tensor {name!r} is {dtype}: {into.dtype}{into.shape} holds no {stop - start} of it")
        values = into[: stop - start]
        self._fill(values.view(np.uint8).data, self._start + self._places.offsets[name] + start * dtype.itemsize)
        return values

    def _bytes(self, count: int, at: int) -> bytes:
        memory = bytearray(count)
        self._fill(memoryview(memory), at)
        return bytes(memory)

    def _fill(self, memory: memoryview, offset: int) -> None:
        done = 0
        while done < len(memory):
            count = os.preadv(self._file.fileno(), [memory[done:]], offset + done)
            if count == 0:
                raise Unreadable(f"{self.path}: was truncated while it was read")
            done += count

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
