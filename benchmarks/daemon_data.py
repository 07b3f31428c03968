"""What the daemons of the benchmark learn: scikit-learn's digits, and MNIST from a folder next to the checkout."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from processor.artifacts.dataset import Dataset
from processor.data.digits import digits_partition

MNIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


@dataclass(frozen=True)
class Subject:
    """A data set with the plan's tables that suit it; everything of it is one client's."""

    name: str
    data: Dataset
    validation: Dataset
    task: dict[str, Any]
    model: dict[str, Any]
    learning_rate: float


def digits() -> Subject:
    (data,), validation = digits_partition(1, seed=0)
    return Subject("digits", data, validation, {"name": "digits", "arguments": {}}, _mlp(64), 0.1)


def mnist() -> Subject | None:
    """All of MNIST, 60,000 and 10,000 samples of 784 numbers; None where its files are not there."""
    if not MNIST.is_dir():
        return None
    task = {"name": "classification", "arguments": {"features": 784, "classes": 10}}
    return Subject("mnist", _mnist("train"), _mnist("t10k"), task, _mlp(784), 0.05)


def _mlp(inputs: int) -> dict[str, Any]:
    return {"name": "mlp", "arguments": {"inputs": inputs, "hidden": [400], "outputs": 10}}


def _mnist(part: str) -> Dataset:
    images, labels = _idx(f"{part}-images-idx3-ubyte.gz", 16), _idx(f"{part}-labels-idx1-ubyte.gz", 8)
    return Dataset(images.reshape(len(labels), -1).astype(np.float32) / 255, labels.astype(np.int64))


def _idx(name: str, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress((MNIST / name).read_bytes()), np.uint8, offset=header)
