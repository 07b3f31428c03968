"""Named arrays: their norms, and the file that holds them.

The file is safetensors, restricted so that the same content has the same bytes: one metadata key, `koinon`, whose value
is canonical JSON; tensors in the order in which the safetensors library itself lays them out, without gaps. It is read
and written one tensor at a time, so memory follows the largest tensor and not the file.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from processor import jcs
from processor.errors import ArtifactError, ArtifactTooLarge
from processor.files import replacing

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]
Shape = tuple[int, ...]
Layout = Mapping[str, tuple[npt.DTypeLike, Shape]]

HEADER_LIMIT = 1 << 20
METADATA = "__metadata__"
KEY = "koinon"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,255}")

# In the order in which safetensors lays tensors out (widest first, names by code point within one type).
DTYPES: dict[str, np.dtype[Any]] = {"I64": np.dtype("<i8"), "F64": np.dtype("<f8"), "F32": np.dtype("<f4")}
CODES: dict[np.dtype[Any], str] = {dtype: code for code, dtype in DTYPES.items()}
ORDER = list(DTYPES)


def all_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite."""
    return bool(np.isfinite(array).all())


def positive_zero(array: Array) -> Array:
    """The array with every -0 made +0, so that equal values have equal bytes."""
    return np.asarray(array + array.dtype.type(0))


def squared_norm(tensors: Tensors) -> float:
    """The squared L2 norm over all tensors, in float64, the same bits on every processor.

    Tensors are visited by name; each one's squares, then the tensors' sums, are folded by halving with elementwise
    additions: BLAS and `np.sum` choose an order of their own. Reads one tensor at a time, so `tensors` may be lazy.
    """
    sums = [_fold(np.square(tensors[name].astype(np.float64).ravel())) for name in sorted(tensors)]
    return _fold(np.array(sums, dtype=np.float64))


def norm(tensors: Tensors) -> float:
    """The L2 norm over all tensors, in float64."""
    return math.sqrt(squared_norm(tensors))


def _fold(values: npt.NDArray[np.float64]) -> float:
    length = len(values)
    while length > 1:
        half = (length + 1) // 2
        values[: length - half] += values[half:length]
        length = half
    return float(values[0]) if length else 0.0


def write_tensors(path: Path, tensors: Tensors, header: Mapping[str, Any], mode: int = 0o666) -> None:
    """Writes a file of `tensors` (float32, float64 or int64), with `header` as its metadata; `mode` as for `replacing`.

    Raises ArtifactError for a name, type or shape that the format has no place for.
    """
    layout = {name: (array.dtype, array.shape) for name, array in tensors.items()}
    with TensorWriter(path, header, layout, mode) as writer:
        for name in writer.names:
            writer.write(name, tensors[name])


class TensorWriter:
    """Writes a file tensor by tensor, in the order of `names`, which the format fixes.

    `path` appears when all tensors are written; after an error nothing is left. The bytes are those of `write_tensors`.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], layout: Layout, mode: int = 0o666) -> None:
        self._layout = _ordered({name: _entry(name, dtype, shape) for name, (dtype, shape) in layout.items()})
        self.names = tuple(self._layout)
        self._written = 0
        self._head = _head(jcs.dumps(dict(header)), self._layout)
        if len(self._head) > HEADER_LIMIT:
            raise ArtifactTooLarge(
                f"{path.name}: a header of {len(self._head)} bytes is over the limit, {HEADER_LIMIT}"
            )
        self._output = replacing(path, mode)

    def write(self, name: str, array: Array) -> None:
        """Writes the next tensor; ValueError if it is not the next one or not of its layout."""
        if self._written == len(self.names) or name != self.names[self._written]:
            raise ValueError(f"tensor {name!r} is out of order: expected {self.names[self._written :][:1]}")
        code, shape = self._layout[name]
        if array.dtype.newbyteorder("<") != DTYPES[code] or array.shape != shape:
            raise ValueError(f"tensor {name!r} is {array.dtype}{array.shape}: its layout says {DTYPES[code]}{shape}")
        self._file.write(np.ascontiguousarray(array, dtype=DTYPES[code]).data)
        self._written += 1

    def __enter__(self) -> Self:
        self._file = self._output.__enter__()
        self._file.write(len(self._head).to_bytes(8, "little") + self._head)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None and (missing := self.names[self._written :]):
            unfinished = ValueError(f"the tensors {list(missing[:4])} were not written")
            self._output.__exit__(ValueError, unfinished, None)
            raise unfinished
        self._output.__exit__(kind, error, at)


class TensorFile:
    """A file of tensors, checked whole when it is opened and read one tensor at a time.

    `header` is the metadata's value, `names` the tensors in file order. Opening raises ArtifactError for every file
    that `write_tensors` would not have written (code `dtype` for a tensor of another type), ArtifactTooLarge over
    `limit` bytes.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            self._open(limit)
        except ArtifactError as error:
            self._file.close()
            error.args = (f"{path.name}: {error}",)
            raise

    def _open(self, limit: int | None) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if limit is not None and size > limit:
            raise ArtifactTooLarge(f"is {size} bytes long, over the limit of {limit}")
        if size < 8:
            raise ArtifactError(f"is truncated: {size} bytes cannot hold a header")
        length = int.from_bytes(self._file.read(8), "little")
        if length > HEADER_LIMIT:
            raise ArtifactError(f"says that its header has {length} bytes: at most {HEADER_LIMIT} are allowed")
        if length > size - 8:
            raise ArtifactError(f"is truncated: its header should have {length} bytes, {size - 8} are left")
        head = self._file.read(length)
        metadata, layout, self._offsets = _parse_head(head)
        self.header: dict[str, Any] = metadata
        self._layout = layout
        if list(layout) != list(_ordered(layout)) or head != _head(jcs.dumps(metadata), layout):
            raise ArtifactError("has a header in another form than safetensors writes (order, spelling or padding)")
        end = 8 + length + self._offsets.pop("")
        if size != end:
            what = "is truncated" if size < end else "has bytes after its last tensor"
            raise ArtifactError(f"{what}: expected {end} bytes, found {size}")
        self._start = 8 + length

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._layout)

    @property
    def layout(self) -> dict[str, tuple[np.dtype[Any], Shape]]:
        """Type and shape of every tensor, as `TensorWriter` takes them."""
        return {name: (DTYPES[code], shape) for name, (code, shape) in self._layout.items()}

    def shape(self, name: str) -> Shape:
        return self._layout[name][1]

    def dtype(self, name: str) -> np.dtype[Any]:
        return DTYPES[self._layout[name][0]]

    def read(self, name: str) -> Array:
        """One tensor, in memory of its own."""
        shape = self.shape(name)
        self._file.seek(self._start + self._offsets[name])
        array = np.fromfile(self._file, dtype=self.dtype(name), count=math.prod(shape))
        if array.size != math.prod(shape):
            raise ArtifactError(f"{self.path.name}: was truncated while it was read")
        return array.reshape(shape)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


_Entry = tuple[str, Shape]


def _entry(name: str, dtype: npt.DTypeLike, shape: Shape) -> _Entry:
    if not NAME.fullmatch(name):
        raise ArtifactError(
            f"tensor name {name[:64]!r} is not allowed: expected letters, digits and _ . / -, at most 256"
        )
    code = CODES.get(np.dtype(dtype).newbyteorder("<"))
    if code is None:
        raise ArtifactError(f"tensor {name!r} has type {np.dtype(dtype)}: expected one of {_types()}", code="dtype")
    if len(shape) > 8 or any(extent < 1 for extent in shape):
        raise ArtifactError(f"tensor {name!r} has shape {list(shape)}: expected at most 8 extents, each at least 1")
    return code, shape


def _types() -> str:
    return ", ".join(str(dtype.name) for dtype in DTYPES.values())


def _size(entry: _Entry) -> int:
    code, shape = entry
    return DTYPES[code].itemsize * math.prod(shape)


def _ordered(layout: Mapping[str, _Entry]) -> dict[str, _Entry]:
    return dict(sorted(layout.items(), key=lambda item: (ORDER.index(item[1][0]), item[0])))


def _head(metadata: bytes, layout: Mapping[str, _Entry]) -> bytes:
    """The header as the safetensors library writes it: compact JSON, padded with spaces to a multiple of 8 bytes."""
    head: dict[str, Any] = {METADATA: {KEY: metadata.decode()}}
    end = 0
    for name, entry in layout.items():
        code, shape = entry
        start, end = end, end + _size(entry)
        head[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _parse_head(head: bytes) -> tuple[dict[str, Any], dict[str, _Entry], dict[str, int]]:
    """Metadata, layout, and where each tensor starts in the data; the start of "" is where the data ends."""
    value = jcs.parse(head)
    if not isinstance(value, dict):
        raise ArtifactError("has a header that is no JSON object")
    metadata = value.pop(METADATA, None)
    if not isinstance(metadata, dict) or list(metadata) != [KEY] or not isinstance(metadata[KEY], str):
        raise ArtifactError(f"has other metadata than exactly one key, {KEY!r}, with canonical JSON as its value")
    try:
        header = jcs.loads(metadata[KEY].encode())
    except (ArtifactError, UnicodeEncodeError) as error:
        raise ArtifactError(f"has metadata that {error}") from error
    if not isinstance(header, dict):
        raise ArtifactError("has metadata that is no JSON object")
    layout: dict[str, _Entry] = {}
    offsets = {"": 0}
    for name, tensor in value.items():
        layout[name] = _parse_entry(name, tensor)
        start, end = offsets[""], offsets[""] + _size(layout[name])
        if tensor["data_offsets"] != [start, end]:
            found = str(tensor["data_offsets"])[:64]
            raise ArtifactError(
                f"tensor {name!r} lies at {found}: expected [{start}, {end}], without overlaps, gaps or too few bytes"
            )
        offsets |= {name: start, "": end}
    return header, layout, offsets


def _parse_entry(name: str, tensor: Any) -> _Entry:
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise ArtifactError(f"tensor {name[:64]!r} is not described by exactly dtype, shape and data_offsets")
    code, shape = tensor["dtype"], tensor["shape"]
    if not isinstance(shape, list) or not all(type(extent) is int for extent in shape):
        raise ArtifactError(f"tensor {name[:64]!r} has a shape that is no list of integers")
    if code not in ORDER:
        raise ArtifactError(f"tensor {name[:64]!r} has type {str(code)[:64]}: expected one of {_types()}", code="dtype")
    return _entry(name, DTYPES[code], tuple(shape))
