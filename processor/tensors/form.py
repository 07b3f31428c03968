"""The form of a file of tensors: safetensors, restricted so that the same content has the same bytes.

There is one metadata key, `koinon`, whose value is canonical JSON; tensors are in the order in which the safetensors
library itself lays them out, without gaps.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from processor import jcs
from processor.errors import ArtifactError
from processor.tensors.arrays import Layout, Shape

HEADER_LIMIT = 1 << 20
METADATA_VALUES = 4096
METADATA = "__metadata__"
KEY = "koinon"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,255}")

# In the order in which safetensors lays tensors out (widest first, names by code point within one type).
DTYPES: dict[str, np.dtype[Any]] = {"I64": np.dtype("<i8"), "F64": np.dtype("<f8"), "F32": np.dtype("<f4")}
CODES: dict[np.dtype[Any], str] = {dtype: code for code, dtype in DTYPES.items()}
ORDER = list(DTYPES)

Entry = tuple[str, Shape]
"""A tensor's type, by its key in `DTYPES`, and its shape."""


def entry_of(name: str, dtype: npt.DTypeLike, shape: Shape) -> Entry:
    """ArtifactError for a name, type (code `dtype`) or shape that the format has no place for."""
    if not NAME.fullmatch(name):
        raise ArtifactError(
            f"tensor name {name[:64]!r} is not allowed: expected letters, digits and _ . / -, at most 256"
        )
    code = CODES.get(np.dtype(dtype).newbyteorder("<"))
    if code is None:
        raise ArtifactError(f"tensor {name!r} has type {np.dtype(dtype)}: expected one of {_types()}", code="dtype")
    if len(shape) > 8 or any(extent < 1 for extent in shape):
        found = str(list(shape[:9]))[:64]
        raise ArtifactError(f"tensor {name!r} has shape {found}: expected at most 8 extents, each at least 1")
    return code, shape


def _types() -> str:
    return ", ".join(str(dtype.name) for dtype in DTYPES.values())


def size_of(entry: Entry) -> int:
    """Bytes."""
    code, shape = entry
    return DTYPES[code].itemsize * math.prod(shape)


def ordered(layout: Mapping[str, Entry]) -> dict[str, Entry]:
    """The tensors in the order in which safetensors lays them out."""
    return dict(sorted(layout.items(), key=lambda item: (ORDER.index(item[1][0]), item[0])))


def head_of(metadata: bytes, layout: Mapping[str, Entry]) -> bytes:
    """The header as the safetensors library writes it: compact JSON, padded with spaces to a multiple of 8 bytes."""
    head: dict[str, Any] = {METADATA: {KEY: metadata.decode()}}
    end = 0
    for name, entry in layout.items():
        code, shape = entry
        start, end = end, end + size_of(entry)
        head[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def file_size(metadata: bytes, layout: Layout) -> int:
    """Bytes of a file of tensors with this metadata and this layout. Raises as `entry_of`."""
    entries = ordered({name: entry_of(name, dtype, shape) for name, (dtype, shape) in layout.items()})
    return 8 + len(head_of(metadata, entries)) + sum(map(size_of, entries.values()))


@dataclass(frozen=True, eq=False)
class Places:
    """A layout by name, where each tensor starts in the data, and where the data ends."""

    layout: Mapping[str, Entry]
    offsets: Mapping[str, int]
    end: int


_IN_USE: WeakValueDictionary[tuple[tuple[str, Entry], ...], Places] = WeakValueDictionary()
_LOOKING = Lock()


def placed(layout: tuple[tuple[str, Entry], ...]) -> Places:
    """Where the tensors of such a layout are.

    Files with the same tensors share the answer for as long as one of them is in use: a round may have a thousand of
    them open, and a header of a stranger is gone with its file.
    """
    with _LOOKING:
        places = _IN_USE.get(layout)
        if places is None:
            offsets, end = {}, 0
            for name, entry in layout:
                offsets[name] = end
                end += size_of(entry)
            places = _IN_USE[layout] = Places(dict(layout), offsets, end)
    return places


def parse_head(head: bytes) -> tuple[dict[str, Any], dict[str, Entry]]:
    """Metadata and layout; ArtifactError where tensors do not lie one after the other."""
    value = jcs.parse(head, HEADER_LIMIT // 4)
    if not isinstance(value, dict):
        raise ArtifactError("has a header that is no JSON object")
    metadata = value.pop(METADATA, None)
    if not isinstance(metadata, dict) or list(metadata) != [KEY] or not isinstance(metadata[KEY], str):
        raise ArtifactError(f"has other metadata than exactly one key, {KEY!r}, with canonical JSON as its value")
    try:
        header = jcs.loads(metadata[KEY].encode(), METADATA_VALUES)
    except (ArtifactError, UnicodeEncodeError) as error:
        raise ArtifactError(f"has metadata that {error}") from error
    if not isinstance(header, dict):
        raise ArtifactError("has metadata that is no JSON object")
    layout: dict[str, Entry] = {}
    end = 0
    for name, tensor in value.items():
        layout[name] = _parse_entry(name, tensor)
        start, end = end, end + size_of(layout[name])
        if tensor["data_offsets"] != [start, end]:
            found = str(tensor["data_offsets"])[:64]
            raise ArtifactError(
                f"tensor {name!r} lies at {found}: expected [{start}, {end}], without overlaps, gaps or too few bytes"
            )
    return header, layout


def _parse_entry(name: str, tensor: Any) -> Entry:
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise ArtifactError(f"tensor {name[:64]!r} is not described by exactly dtype, shape and data_offsets")
    code, shape = tensor["dtype"], tensor["shape"]
    if not isinstance(shape, list) or not all(type(extent) is int for extent in shape):
        raise ArtifactError(f"tensor {name[:64]!r} has a shape that is no list of integers")
    if code not in ORDER:
        raise ArtifactError(f"tensor {name[:64]!r} has type {str(code)[:64]}: expected one of {_types()}", code="dtype")
    return entry_of(name, DTYPES[code], tuple(shape))
