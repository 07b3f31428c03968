from __future__ import annotations

import random
import resource
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.artifacts.model import Model, ModelHeader, load_model, write_model
from processor.artifacts.plan import (
    Aggregation,
    Ewc,
    Factory,
    LocalWork,
    Metering,
    Optimizer,
    Plan,
    Privacy,
    Slashing,
    Stopping,
)
from processor.artifacts.update import UpdateHeader, write_update
from processor.cid import cid_of
from processor.learning.aggregation import Accepted, aggregate
from processor.tensors import Array
from processor.types import Cid

Named = dict[str, Array]

PLAN = Plan(
    task=Factory("digits", {}),
    model=Factory("mlp", {"inputs": 2, "hidden": [], "outputs": 3}),
    initialization_seed=0,
    optimizer=Optimizer("sgd", 0.4, 0.0),
    local=LocalWork(steps=8, epochs=None, batch_size=64),
    ewc=Ewc(strength=10.0, decay=0.5, fisher_samples=64, fisher_cap=1000.0),
    privacy=Privacy("none"),
    aggregation=Aggregation("fedavg", max_weight=1000, max_norm=20.0, min_updates=1),
    metering=Metering(tolerance_percent=200, floor_ms=1000),
    slashing=Slashing(rate=0),
    stopping=Stopping(min_rounds=1, max_rounds=10, patience=3, min_improvement=0.01),
    validation="private",
    public_data=True,
)
PLAIN = replace(PLAN, ewc=replace(PLAN.ewc, strength=0.0))
BASE = ModelHeader(round=3, parent=cid_of(b"parent"), plan=cid_of(b"plan"))
NEXT = ModelHeader(round=4, parent=cid_of(b"base"), plan=cid_of(b"plan"))
SHAPES = {"layer1.weight": (3, 2), "layer1.bias": (3,)}


def address(number: int) -> str:
    return to_checksum_address(f"0x{number:040x}")


class Federation:
    """A base model and updates to it in a folder of their own."""

    def __init__(
        self, folder: Path, parameters: Named, fisher: Named | None = None, buffers: Named | None = None
    ) -> None:
        self.folder = folder
        self.base = folder / "base"
        write_model(self.base, BASE, parameters, buffers or {}, fisher or {})

    def update(
        self, client: int, weight: int, delta: Named, fisher: Named | None = None, buffers: Named | None = None
    ) -> Accepted:
        path = self.folder / f"update-{client}"
        header = UpdateHeader(31337, address(2**150), 4, address(client), cid_of(b"base"), samples=max(1, weight))
        write_update(path, header, delta, buffers or {}, fisher or {})
        return Accepted(address(client), path, weight)

    def aggregate(self, accepted: Sequence[Accepted], plan: Plan = PLAIN) -> Model:
        self.cid_of_aggregate(accepted, plan)
        return load_model(self.folder / "next")

    def cid_of_aggregate(self, accepted: Sequence[Accepted], plan: Plan = PLAIN) -> Cid:
        return aggregate(self.base, accepted, plan, NEXT, self.folder / "next")


def drawn(seed: int, scale: float = 1.0, shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> Named:
    rng = np.random.default_rng(seed)
    return {name: (rng.normal(size=shape) * scale).astype(np.float32) for name, shape in shapes.items()}


def positive(seed: int) -> Named:
    return {name: array**2 for name, array in drawn(seed).items()}


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def grid(seed: int, divisor: int = 64) -> Named:
    """Small fractions from plain integer arithmetic: the golden CID must not lean on a random generator's stream."""
    fractions = {name: np.arange(np.prod(shape)).reshape(shape) for name, shape in SHAPES.items()}
    return {name: ((array * 37 + seed * 11) % 101 / divisor).astype(np.float32) for name, array in fractions.items()}


def golden(folder: Path) -> Cid:
    def mean(n: int) -> Named:
        return {"mean": np.array([n / 3, -n], np.float32)}

    federation = Federation(folder, grid(1), fisher=grid(2), buffers=mean(9))
    accepted = [federation.update(n, 100 + 7 * n, grid(n, -50 - n), grid(3 * n, 97), mean(n)) for n in range(1, 6)]
    return federation.cid_of_aggregate(accepted, replace(PLAN, ewc=replace(PLAN.ewc, fisher_cap=1.5)))


def test_the_same_updates_have_the_same_bytes_for_ever(folder: Path) -> None:
    assert golden(folder) == "QmUxkQBVGtrtSjtEthsntUKtVpofD7pCKkxnxj9aDSvuQF"


def test_the_aggregate_names_its_round_its_parent_and_its_plan(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    assert federation.aggregate([federation.update(1, 1, drawn(1))]).header == NEXT


def test_a_single_update_is_added_to_the_base_whatever_its_weight(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    model = federation.aggregate([federation.update(7, 999_999_999, drawn(1))])
    for name, base in drawn(0).items():
        expected = (base.astype(np.float64) + drawn(1)[name].astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(model.parameters[name], expected)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=5), st.floats(0.01, 10), st.floats(0, 0.99))
def test_the_aggregate_is_the_formula(weights: list[int], cap: float, decay: float) -> None:
    plan = replace(PLAN, ewc=replace(PLAN.ewc, fisher_cap=cap, decay=decay))
    total = sum(weights)
    with TemporaryDirectory() as name:
        federation = Federation(Path(name), drawn(0), fisher=positive(1), buffers=drawn(2))
        model = federation.aggregate(
            [
                federation.update(n, weight, drawn(10 + n), positive(20 + n), drawn(30 + n))
                for n, weight in enumerate(weights, start=1)
            ],
            plan,
        )

    def mean(arrays: list[Array]) -> Array:
        return np.sum([w * a.astype(float) for w, a in zip(weights, arrays, strict=True)], axis=0) / total

    def capped(fisher: Named) -> Named:
        length = np.sqrt(sum((array.astype(float) ** 2).sum() for array in fisher.values()))
        return {key: array * min(1.0, cap / length) for key, array in fisher.items()}

    clients = range(1, len(weights) + 1)
    for key in SHAPES:
        fisher = decay * positive(1)[key] + mean([capped(positive(20 + n))[key] for n in clients])
        np.testing.assert_allclose(model.fisher[key], fisher, rtol=1e-6)
        np.testing.assert_allclose(
            model.buffers[key], mean([drawn(30 + n)[key] for n in clients]), rtol=1e-5, atol=1e-6
        )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=5), st.sampled_from([1e-6, 1.0, 1e6]))
def test_parameters_are_the_formula_to_the_last_bit_one_element_at_a_time(weights: list[int], scale: float) -> None:
    with TemporaryDirectory() as name:
        federation = Federation(Path(name), drawn(0))
        model = federation.aggregate(
            [federation.update(n, weight, drawn(n, scale)) for n, weight in enumerate(weights, start=1)]
        )
    for key, shape in SHAPES.items():
        for position in np.ndindex(*shape):
            total = 0.0
            for n, weight in enumerate(weights, start=1):
                total += float(drawn(n, scale)[key][position]) * weight
            expected = np.float32(float(drawn(0)[key][position]) + total / sum(weights))
            assert model.parameters[key][position] == expected


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_in_which_updates_are_given_does_not_matter(shuffler: random.Random) -> None:
    with TemporaryDirectory() as name:
        federation = Federation(Path(name), drawn(0))
        accepted = [federation.update(n**9, n, drawn(n, scale=10.0**n), positive(n)) for n in range(1, 8)]
        expected = federation.cid_of_aggregate(accepted, PLAN)
        shuffler.shuffle(accepted)
        assert federation.cid_of_aggregate(accepted, PLAN) == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_client_that_splits_into_two_gains_nothing(first: int, second: int, other: int) -> None:
    with TemporaryDirectory() as name:
        federation = Federation(Path(name), drawn(0))
        rest = federation.update(3, other, drawn(3), positive(3))
        whole = federation.aggregate([federation.update(1, first + second, drawn(1), positive(1)), rest], PLAN)
        halves = [federation.update(n, weight, drawn(1), positive(1)) for n, weight in ((1, first), (2, second))]
        split = federation.aggregate([*halves, rest], PLAN)
    for key in SHAPES:
        np.testing.assert_allclose(split.parameters[key], whole.parameters[key], rtol=3e-7, atol=1e-9)
        np.testing.assert_allclose(split.fisher[key], whole.fisher[key], rtol=3e-7)


def test_equal_numbers_have_equal_bytes_so_zero_has_no_sign(folder: Path) -> None:
    minus = {name: np.full(shape, -0.0, np.float32) for name, shape in SHAPES.items()}
    federation = Federation(folder, minus, buffers=minus)
    model = federation.aggregate([federation.update(1, 5, minus, minus, minus)], PLAN)
    for array in (*model.parameters.values(), *model.buffers.values(), *model.fisher.values()):
        assert not np.signbit(array).any()


def test_without_ewc_the_model_carries_no_fisher_information(folder: Path) -> None:
    federation = Federation(folder, drawn(0), fisher=positive(1))
    assert federation.aggregate([federation.update(1, 5, drawn(1))], PLAIN).fisher == {}


def test_the_first_fisher_information_is_the_mean_of_the_updates(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    model = federation.aggregate([federation.update(1, 5, drawn(1), positive(1))], PLAN)
    for name, array in positive(1).items():
        np.testing.assert_array_equal(model.fisher[name], array)


def test_a_hostile_fisher_cannot_pin_the_model(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    huge = {name: np.full(shape, 3e38, np.float32) for name, shape in SHAPES.items()}
    plan = replace(PLAN, ewc=replace(PLAN.ewc, fisher_cap=0.75))
    model = federation.aggregate([federation.update(1, 5, drawn(1), huge)], plan)
    length = np.sqrt(sum((array.astype(float) ** 2).sum() for array in model.fisher.values()))
    assert length == pytest.approx(0.75, rel=1e-6)


def test_counters_take_the_largest(folder: Path) -> None:
    def counters(*values: int) -> Named:
        return {"batches": np.array(values, dtype=np.int64)}

    federation = Federation(folder, drawn(0), buffers=counters(4, 4))
    accepted = [
        federation.update(n, n, drawn(n), buffers=counters(*values)) for n, values in ((1, (9, 2**62)), (2, (5, 6)))
    ]
    model = federation.aggregate(accepted)
    assert model.buffers["batches"].tolist() == [9, 2**62] and model.buffers["batches"].dtype == np.int64


@pytest.mark.parametrize("weights", [[], [0], [5, -1]])
def test_no_updates_or_no_weight_is_a_mistake_of_the_caller(folder: Path, weights: list[int]) -> None:
    federation = Federation(folder, drawn(0))
    accepted = [federation.update(n, weight, drawn(n)) for n, weight in enumerate(weights, start=1)]
    with pytest.raises(ValueError, match="at least one update, and weights of at least 1"):
        federation.cid_of_aggregate(accepted)


def test_memory_does_not_grow_with_the_number_of_clients(folder: Path) -> None:
    shapes = {"a": (512, 256), "b": (512, 256), "c": (512, 256)}
    federation = Federation(folder, drawn(0, shapes=shapes))
    accepted = [federation.update(n, n, drawn(n, shapes=shapes)) for n in range(1, 33)]

    def peak(clients: int) -> int:
        tracemalloc.start()
        federation.cid_of_aggregate(accepted[:clients])
        measured = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return measured

    peak(2)
    tensor = 512 * 256 * 8
    assert peak(32) - peak(4) < tensor / 2
    assert peak(32) < 5 * tensor


def test_a_round_may_have_more_updates_than_the_usual_limit_of_open_files(folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    federation = Federation(folder, drawn(0))
    accepted = [federation.update(n, 1, drawn(1)) for n in range(1, 301)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
        model = federation.aggregate(accepted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    np.testing.assert_allclose(
        model.parameters["layer1.bias"], drawn(0)["layer1.bias"] + drawn(1)["layer1.bias"], rtol=1e-5
    )
