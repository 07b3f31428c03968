"""Data sets as numpy's `.npz` files: nothing is unpickled, and nothing unpacked before its size is known."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from processor.artifacts.dataset import Dataset
from processor.errors import DatasetError
from processor.words import reason

DATASET_LIMIT = 2 * 1024**3
"""Most bytes that a data set may take in memory; read from the file's headers before anything is unpacked."""

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def read_npz(path: Path, features: np.dtype = FLOAT32, labels: np.dtype = INT64) -> Dataset:
    """The data set in an uncompressed or compressed `.npz` with exactly the arrays `features` and `labels`, of these
    types.

    Raises DatasetError in words that complete "cannot use the data set ...:".
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(entry.removesuffix(".npy") for entry in archive.namelist())
            if found != ["features", "labels"]:
                raise DatasetError(f"it holds {', '.join(found) or 'nothing'} instead of features and labels")
            sizes = {}
            for name, dtype in (("features", features), ("labels", labels)):
                with archive.open(f"{name}.npy") as member:
                    sizes[name] = _checked_size(name, member, dtype)
            if sum(sizes.values()) > DATASET_LIMIT:
                raise DatasetError(f"it would take {sum(sizes.values())} bytes of memory; the limit is {DATASET_LIMIT}")
            arrays = {}
            for name in sizes:
                with archive.open(f"{name}.npy") as member:
                    arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    except FileNotFoundError:
        raise DatasetError("there is no such file") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DatasetError(f"it is damaged or not an .npz file ({error})") from None
    except OSError as error:
        raise DatasetError(f"it cannot be read ({reason(error)})") from None
    except (NotImplementedError, RuntimeError) as error:
        raise DatasetError(f"it cannot be read ({error})") from None
    except ValueError as error:
        raise DatasetError(str(error)) from None
    return Dataset(np.ascontiguousarray(arrays["features"]), np.ascontiguousarray(arrays["labels"]))


def save_npz(path: Path, dataset: Dataset) -> None:
    """Writes a file that `read_npz` reads."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, features=dataset.features, labels=dataset.labels)


def _checked_size(name: str, member: IO[bytes], expected: np.dtype) -> int:
    """Bytes that an array takes in memory, by its header; raises DatasetError for an array of another type."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise DatasetError(f"{name} are in an unknown version of the .npy format, {version}")
    if dtype != expected:
        raise DatasetError(f"{name} are {dtype}; convert with .astype(numpy.{expected})")
    return math.prod(shape) * dtype.itemsize
