"""The digits as private data: dealt once, each client with classes of its own, and a share held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.artifacts.dataset import Dataset
from processor.data.digits import digits_partition
from processor.errors import ConfigurationError


def rows(dataset: Dataset) -> list[bytes]:
    return [row.tobytes() for row in dataset.features]


@settings(max_examples=20, deadline=None)
@given(clients=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_every_digit_is_dealt_once(clients: int, seed: int) -> None:
    shares, validation = digits_partition(clients, seed)
    assert len(shares) == clients and all(len(share) for share in shares)
    dealt = sorted(row for share in [*shares, validation] for row in rows(share))
    assert dealt == sorted(
        row for share in [*digits_partition(1, 0)[0], digits_partition(1, 0)[1]] for row in rows(share)
    )


@pytest.mark.parametrize("clients", [1, 2, 3, 4, 5, 6, 13, 40])
def test_clients_hold_two_classes_or_share_all_ten(clients: int) -> None:
    held = [set(share.labels.tolist()) for share in digits_partition(clients, seed=3)[0]]
    assert set.union(*held) == set(range(10))
    if clients <= 5:
        sizes = sorted(len(classes) for classes in held)
        assert sum(sizes) == 10 and sizes[-1] - sizes[0] <= 1
    else:
        assert {len(classes) for classes in held} == {2}


def test_a_fifth_of_every_class_is_held_out() -> None:
    shares, validation = digits_partition(5, seed=0)
    total = np.bincount(np.concatenate([validation.labels, *(share.labels for share in shares)]))
    assert np.array_equal(np.bincount(validation.labels), np.round(total * 0.2))


def test_the_seed_decides_the_partition() -> None:
    first, again, other = (digits_partition(5, seed) for seed in (1, 1, 2))
    assert [rows(share) for share in first[0]] == [rows(share) for share in again[0]]
    assert rows(first[1]) != rows(other[1])


@pytest.mark.parametrize("clients", [0, -1, 501])
def test_more_clients_than_digits_can_serve_are_refused(clients: int) -> None:
    with pytest.raises(ConfigurationError, match="clients of the digits task must be an integer from 1 to 500"):
        digits_partition(clients, seed=0)
