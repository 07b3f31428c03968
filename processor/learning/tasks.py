"""What is learned: how a client's private data is read and checked, and the digits of the demo."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from processor.errors import DatasetError
from processor.learning.registry import make, require_count

DATASET_LIMIT = 2 * 1024**3
"""Most bytes that a data set may take in memory; read from the file's headers before anything is unpacked."""

HELD_OUT = 0.2
"""Share of every class of the digits that is held out for validation."""


@dataclass(frozen=True)
class Dataset:
    """Samples of one party: `features` float32 [n, d], `labels` int64 [n]."""

    features: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


class Task(Protocol):
    """What a plan's task must offer: sizes for the model, and data that is safe to train on."""

    @property
    def name(self) -> str: ...

    @property
    def features(self) -> int: ...

    @property
    def classes(self) -> int: ...

    def load(self, path: Path) -> Dataset:
        """The data set in a file, checked; raises DatasetError that names the file and what to change."""
        ...

    def check(self, dataset: Dataset) -> None:
        """Raises DatasetError for data that is not the task's."""
        ...


@dataclass(frozen=True)
class Classification:
    """Vectors of `features` numbers, each in one of `classes` classes."""

    name: str
    features: int
    classes: int

    def load(self, path: Path) -> Dataset:
        """Reads an uncompressed or compressed `.npz` with exactly the arrays `features` and `labels`.

        Nothing is unpickled, and the sizes are checked before the arrays are unpacked.
        """
        try:
            dataset = _read(path)
            self._check(dataset)
        except ValueError as error:
            raise DatasetError(
                f"cannot use the data set {path}: {error}; expected an .npz file with {self._expected}"
            ) from None
        return dataset

    def check(self, dataset: Dataset) -> None:
        try:
            self._check(dataset)
        except ValueError as error:
            raise DatasetError(f"{error}; expected {self._expected}") from None

    @property
    def _expected(self) -> str:
        return f"features float32 [samples, {self.features}] and labels int64 [samples] from 0 to {self.classes - 1}"

    def _check(self, dataset: Dataset) -> None:
        features, labels = dataset.features, dataset.labels
        if features.ndim != 2 or features.shape[1] != self.features:
            raise ValueError(f"features have shape {list(features.shape)}")
        if labels.shape != features.shape[:1]:
            raise ValueError(f"labels have shape {list(labels.shape)} for {len(features)} rows of features")
        if not len(labels):
            raise ValueError("it holds no samples")
        if not np.isfinite(features).all():
            raise ValueError("features hold a number that is not finite")
        if labels.min() < 0 or labels.max() >= self.classes:
            raise ValueError(f"labels run from {labels.min()} to {labels.max()}")


def save_dataset(path: Path, dataset: Dataset) -> None:
    """Writes a file that `Task.load` reads."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, features=dataset.features, labels=dataset.labels)


def get_task(name: str, arguments: Mapping[str, object]) -> Task:
    """The task that a plan names; raises ConfigurationError for one that is not registered or wrong arguments."""
    return make("task", TASKS, name, arguments)


def _digits() -> Task:
    return Classification("digits", features=64, classes=10)


def _classification(features: object, classes: object) -> Task:
    return Classification(
        "classification",
        require_count("classification: features", features, most=1_000_000),
        require_count("classification: classes", classes, most=10_000),
    )


TASKS: dict[str, Callable[..., Task]] = {"digits": _digits, "classification": _classification}


def digits_partition(clients: int, seed: int) -> tuple[list[Dataset], Dataset]:
    """scikit-learn's handwritten digits as private data: one data set per client, and a held-out validation set.

    Five clients hold two classes each that no other client has; fewer share the ten classes among them; more hold
    two each, and those who hold the same class divide its samples. Features are scaled to 0..1. The same seed gives
    the same split.
    """
    from sklearn.datasets import load_digits  # slow to import, and only the demo needs it

    images, classes = load_digits(return_X_y=True)
    everything = Dataset((images / 16).astype(np.float32), classes.astype(np.int64))
    random = np.random.default_rng(seed)

    require_count("clients of the digits task", clients, most=500)
    dealt = random.permutation(10)[np.arange(max(10, 2 * clients)) % 10]
    holders: dict[int, list[int]] = {}
    for client, hand in enumerate(np.array_split(dealt, clients)):
        for held in hand:
            holders.setdefault(int(held), []).append(client)

    held_out: list[np.ndarray] = []
    shares: list[list[np.ndarray]] = [[] for _ in range(clients)]
    for label in range(10):
        samples = random.permutation(np.flatnonzero(everything.labels == label))
        cut = round(HELD_OUT * len(samples))
        held_out.append(samples[:cut])
        for client, part in zip(holders[label], np.array_split(samples[cut:], len(holders[label])), strict=True):
            shares[client].append(part)

    def pick(parts: list[np.ndarray]) -> Dataset:
        rows = np.sort(np.concatenate(parts))
        return Dataset(everything.features[rows], everything.labels[rows])

    return [pick(parts) for parts in shares], pick(held_out)


def _read(path: Path) -> Dataset:
    """The two arrays of an `.npz`, with the right dtypes; raises ValueError in words."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(entry.removesuffix(".npy") for entry in archive.namelist())
            if found != ["features", "labels"]:
                raise ValueError(f"it holds {', '.join(found) or 'nothing'} instead of features and labels")
            sizes = {}
            for name, dtype in (("features", np.dtype(np.float32)), ("labels", np.dtype(np.int64))):
                with archive.open(f"{name}.npy") as member:
                    sizes[name] = _checked_size(name, member, dtype)
            if sum(sizes.values()) > DATASET_LIMIT:
                raise ValueError(f"it would take {sum(sizes.values())} bytes of memory; the limit is {DATASET_LIMIT}")
            arrays = {}
            for name in sizes:
                with archive.open(f"{name}.npy") as member:
                    arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"it is damaged or not an .npz file ({error})") from None
    except (OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it cannot be read ({error})") from None
    return Dataset(np.ascontiguousarray(arrays["features"]), arrays["labels"])


def _checked_size(name: str, member: IO[bytes], expected: np.dtype) -> int:
    """Bytes that an array takes in memory, by its header; raises ValueError for an array of another type."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"{name} are in an unknown version of the .npy format, {version}")
    if dtype != expected:
        raise ValueError(f"{name} are {dtype}; convert with .astype(numpy.{expected})")
    return math.prod(shape) * dtype.itemsize
