from __future__ import annotations

import errno
import os
import random
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.aggregation.combine import combine
from processor.aggregation.facts import facts_of
from processor.aggregation.inputs import opened
from processor.artifacts.model import open_model
from processor.artifacts.state import ServerState
from processor.artifacts.update import open_update
from processor.cid import cid_of, cid_of_file
from processor.errors import MachineError
from processor.tensors import BLOCK, Array
from processor.types import Cid
from tests.unit.aggregation.federation import NEXT, SHAPES, WITH_EWC, WITHOUT_EWC, Federation, Named, drawn, positive


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
    return federation.cid_of_combined(accepted, replace(WITH_EWC, ewc=replace(WITH_EWC.ewc, fisher_cap=1.5)))


def test_the_same_updates_have_the_same_bytes_for_ever(folder: Path) -> None:
    assert golden(folder) == "QmUxkQBVGtrtSjtEthsntUKtVpofD7pCKkxnxj9aDSvuQF"


def test_the_model_names_its_round_its_parent_and_its_plan(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    assert federation.combine([federation.update(1, 1, drawn(1))]).header == NEXT


def test_a_single_update_is_added_to_the_base_whatever_its_weight(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    model = federation.combine([federation.update(7, 999_999_999, drawn(1))])
    for name, base in drawn(0).items():
        expected = (base.astype(np.float64) + drawn(1)[name].astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(model.parameters[name], expected)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=5), st.floats(0.01, 10), st.floats(0, 0.99))
def test_the_aggregate_is_the_formula(weights: list[int], cap: float, decay: float) -> None:
    plan = replace(WITH_EWC, ewc=replace(WITH_EWC.ewc, fisher_cap=cap, decay=decay))
    total = sum(weights)
    with TemporaryDirectory() as name:
        federation = Federation(Path(name), drawn(0), fisher=positive(1), buffers=drawn(2))
        model = federation.combine(
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
        model = federation.combine(
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
        expected = federation.cid_of_combined(accepted, WITH_EWC)
        shuffler.shuffle(accepted)
        assert federation.cid_of_combined(accepted, WITH_EWC) == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_client_that_splits_into_two_gains_nothing(first: int, second: int, other: int) -> None:
    with TemporaryDirectory() as name:
        federation = Federation(Path(name), drawn(0))
        rest = federation.update(3, other, drawn(3), positive(3))
        whole = federation.combine([federation.update(1, first + second, drawn(1), positive(1)), rest], WITH_EWC)
        halves = [federation.update(n, weight, drawn(1), positive(1)) for n, weight in ((1, first), (2, second))]
        split = federation.combine([*halves, rest], WITH_EWC)
    for key in SHAPES:
        np.testing.assert_allclose(split.parameters[key], whole.parameters[key], rtol=3e-7, atol=1e-9)
        np.testing.assert_allclose(split.fisher[key], whole.fisher[key], rtol=3e-7)


def test_equal_numbers_have_equal_bytes_so_zero_has_no_sign(folder: Path) -> None:
    minus = {name: np.full(shape, -0.0, np.float32) for name, shape in SHAPES.items()}
    federation = Federation(folder, minus, buffers=minus)
    model = federation.combine([federation.update(1, 5, minus, minus, minus)], WITH_EWC)
    for array in (*model.parameters.values(), *model.buffers.values(), *model.fisher.values()):
        assert not np.signbit(array).any()


def test_without_ewc_the_model_carries_no_fisher_information(folder: Path) -> None:
    federation = Federation(folder, drawn(0), fisher=positive(1))
    assert federation.combine([federation.update(1, 5, drawn(1))], WITHOUT_EWC).fisher == {}


def test_the_first_fisher_information_is_the_mean_of_the_updates(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    model = federation.combine([federation.update(1, 5, drawn(1), positive(1))], WITH_EWC)
    for name, array in positive(1).items():
        np.testing.assert_array_equal(model.fisher[name], array)


def test_a_hostile_fisher_cannot_pin_the_model(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    huge = {name: np.full(shape, 3e38, np.float32) for name, shape in SHAPES.items()}
    plan = replace(WITH_EWC, ewc=replace(WITH_EWC.ewc, fisher_cap=0.75))
    model = federation.combine([federation.update(1, 5, drawn(1), huge)], plan)
    length = np.sqrt(sum((array.astype(float) ** 2).sum() for array in model.fisher.values()))
    assert length == pytest.approx(0.75, rel=1e-6)


def test_counters_take_the_largest(folder: Path) -> None:
    def counters(*values: int) -> Named:
        return {"batches": np.array(values, dtype=np.int64)}

    federation = Federation(folder, drawn(0), buffers=counters(4, 4))
    accepted = [
        federation.update(n, n, drawn(n), buffers=counters(*values)) for n, values in ((1, (9, 2**62)), (2, (5, 6)))
    ]
    model = federation.combine(accepted)
    assert model.buffers["batches"].tolist() == [9, 2**62] and model.buffers["batches"].dtype == np.int64


@pytest.mark.parametrize("weights", [[], [0], [5, -1]])
def test_no_updates_or_no_weight_is_a_mistake_of_the_caller(folder: Path, weights: list[int]) -> None:
    federation = Federation(folder, drawn(0))
    accepted = [federation.update(n, weight, drawn(n)) for n, weight in enumerate(weights, start=1)]
    with (
        pytest.raises(ValueError, match="at least one update, and weights of at least 1"),
        opened(accepted, WITHOUT_EWC),
    ):
        pass


@pytest.mark.parametrize("clients", [0, 2])
def test_with_too_few_updates_the_base_model_stays_byte_by_byte(folder: Path, clients: int) -> None:
    federation = Federation(folder, drawn(0))
    accepted = [federation.update(n, 1, drawn(n)) for n in range(1, clients + 1)]
    plan = replace(WITHOUT_EWC, aggregation=replace(WITHOUT_EWC.aggregation, min_updates=3))
    assert federation.cid_of_combined(accepted, plan) == cid_of_file(federation.base)
    assert (folder / "next").read_bytes() == federation.base.read_bytes()


def test_the_base_model_stays_also_where_files_cannot_be_linked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    federation = Federation(folder, drawn(0))
    assert federation.cid_of_combined([]) == cid_of_file(federation.base)
    assert (folder / "next").read_bytes() == federation.base.read_bytes()


@pytest.mark.parametrize("clients", [0, 1])
def test_the_next_state_follows_the_last_and_keeps_the_tensors_of_the_rule(folder: Path, clients: int) -> None:
    federation = Federation(folder, drawn(0))
    accepted = [federation.update(n, 1, drawn(n)) for n in range(1, clients + 1)]
    moments = {"moment": np.array([1.5])}
    before = ServerState(3, cid_of(b"older"), best_metric=0.5, rounds_without_improvement=2, tensors=moments)
    before = replace(before, cid=cid_of(b"before"))
    _, after = combine(federation.base, before, accepted, WITHOUT_EWC, NEXT, folder / "next")
    assert (after.round, after.parent, after.cid) == (NEXT.round, cid_of(b"before"), None)
    assert (after.best_metric, after.rounds_without_improvement) == (0.5, 2)
    assert dict(after.tensors) == moments


def test_fisher_information_of_which_no_norm_is_known_is_not_averaged(folder: Path) -> None:
    federation = Federation(folder, drawn(0))
    update = federation.update(1, 1, drawn(1), positive(1))
    unknown = replace(update, facts=replace(update.facts, fisher_norm=None))
    with pytest.raises(ValueError, match="do not say how large it is"):
        federation.combine([unknown], WITH_EWC)


def peak(work: Callable[[], object]) -> int:
    """The most bytes that Python had at once on account of this work."""
    tracemalloc.start()
    work()
    measured = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return measured


@pytest.fixture
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many threads have a block at the same moment is chance, where there are several."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


@pytest.mark.usefixtures("one_processor")
def test_memory_does_not_grow_with_the_number_of_clients(folder: Path) -> None:
    shapes = {"a": (512, 256), "b": (512, 256), "c": (512, 256)}
    federation = Federation(folder, drawn(0, shapes=shapes))
    accepted = [federation.update(n, n, drawn(n, shapes=shapes)) for n in range(1, 33)]

    def combining(clients: int) -> int:
        return peak(lambda: federation.cid_of_combined(accepted[:clients]))

    combining(2)
    tensor = 512 * 256 * 8
    assert combining(32) - combining(4) < tensor / 2
    assert combining(32) < 5 * tensor


@pytest.mark.usefixtures("one_processor")
def test_memory_does_not_grow_with_the_number_of_tensors_of_each_client(folder: Path) -> None:
    shapes = {f"layer{n}.weight": (1,) for n in range(300)}
    federation = Federation(folder, drawn(0, shapes=shapes))
    accepted = [federation.update(n, n, drawn(n, shapes=shapes)) for n in range(1, 33)]

    def combining(clients: int) -> int:
        return peak(lambda: federation.cid_of_combined(accepted[:clients]))

    combining(2)
    assert (combining(32) - combining(2)) / (30 * len(shapes)) < 50, "bytes for each tensor of each client"


@pytest.mark.parametrize("processors", [1, 2, 64])
def test_memory_does_not_grow_with_the_tensors(folder: Path, monkeypatch: pytest.MonkeyPatch, processors: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    tensor = 120 * BLOCK + 1
    shapes: dict[str, tuple[int, ...]] = {"a": (tensor,)}
    federation = Federation(folder, drawn(0, shapes=shapes))
    deltas = drawn(1, shapes=shapes)
    accepted = [federation.update(n, n, deltas) for n in (1, 2)]
    with open_model(federation.base) as base, open_update(accepted[0].update) as update:
        assert peak(lambda: facts_of(update, base, WITHOUT_EWC)) < tensor * 4 / 2
    assert peak(lambda: federation.cid_of_combined(accepted)) < tensor * 4 / 2


def test_a_machine_that_may_not_open_all_updates_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    federation = Federation(folder, drawn(0))
    accepted = [federation.update(1, 1, drawn(1))]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (32, 64))
    with pytest.raises(MachineError, match=r"may open 64 files, and the round needs 65 at once: .*`ulimit -Hn`"):
        federation.combine(accepted)


@pytest.mark.parametrize("limits", [(64, 65), (64, 1024), (64, resource.RLIM_INFINITY)])
def test_the_limit_of_open_files_is_raised_to_what_a_round_needs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int]
) -> None:
    federation = Federation(folder, drawn(0))
    raised: list[object] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, new: raised.append(new))
    federation.combine([federation.update(1, 1, drawn(1))])
    assert raised == [(65 if limits[1] == 65 else 257, limits[1])]


def test_a_round_may_have_more_updates_than_the_usual_limit_of_open_files(folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    federation = Federation(folder, drawn(0))
    accepted = [federation.update(n, 1, drawn(1)) for n in range(1, 301)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
        model = federation.combine(accepted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    np.testing.assert_allclose(
        model.parameters["layer1.bias"], drawn(0)["layer1.bias"] + drawn(1)["layer1.bias"], rtol=1e-5
    )
