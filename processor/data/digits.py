"""scikit-learn's handwritten digits as the private data of clients: what the demo learns."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from processor.artifacts.dataset import Dataset
from processor.errors import ConfigurationError

HELD_OUT = 0.2
"""Share of every class that is held out for validation."""

MOST_CLIENTS = 500


def digits_partition(clients: int, seed: int) -> tuple[list[Dataset], Dataset]:
    """One data set per client, and a held-out validation set.

    Five clients hold two classes each that no other client has; fewer share the ten classes among them; more hold
    two each, and those who hold the same class divide its samples. Features are scaled to 0..1. The same seed gives
    the same split. Raises ConfigurationError for more clients than the digits can serve.
    """
    if not 1 <= clients <= MOST_CLIENTS:
        raise ConfigurationError(
            f"clients of the digits task must be an integer from 1 to {MOST_CLIENTS}, not {clients}"
        )
    images, classes = load_digits(return_X_y=True)
    everything = Dataset((images / 16).astype(np.float32), classes.astype(np.int64))
    random = np.random.default_rng(seed)

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
