"""A model's buffers are made of strangers' numbers, and hold what the plan declares of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from processor.aggregation.declared import bounds, check_declared
from processor.aggregation.facts import check_base
from processor.artifacts.buffers import FLOAT32_MAX, Average, Buffer, Counter, Pooled
from processor.artifacts.model import Model, open_model
from processor.artifacts.plan import LocalWork, Plan
from processor.errors import ArtifactError
from processor.tensors import BLOCK, Array
from tests.unit.aggregation.federation import WITHOUT_EWC, Federation, Named, drawn

MEAN, VARIANCE, STEPS = "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"
DECLARED: dict[str, Buffer] = {
    MEAN: Average("average", least=-100.0, most=100.0),
    VARIANCE: Pooled("pooled", mean=MEAN, least=0.0, most=1000.0),
    STEPS: Counter("counter", least=0, most=10_000),
}
UNDECLARED = replace(WITHOUT_EWC, local=LocalWork(steps=20, epochs=None, batch_size=64))
DECLARING = replace(UNDECLARED, buffers=DECLARED)
BY_EPOCHS = replace(DECLARING, local=LocalWork(steps=None, epochs=2, batch_size=64))


def normalization(mean: Any, variance: Any, steps: Any) -> Named:
    """What a batch normalization keeps, one number per feature; the steps are one number."""
    return {
        MEAN: np.atleast_1d(np.array(mean, np.float32)),
        VARIANCE: np.atleast_1d(np.array(variance, np.float32)),
        STEPS: np.array(steps, np.int64),
    }


def federation_in(folder: Path, buffers: Named) -> Federation:
    return Federation(folder, drawn(0), buffers=buffers)


def combined(base: Named, plan: Plan, *updates: tuple[int, Named]) -> Model:
    """The model that updates of these weights and buffers make."""
    with TemporaryDirectory() as folder:
        federation = federation_in(Path(folder), base)
        accepted = [
            federation.update(client, weight, drawn(client), buffers=buffers, plan=plan)
            for client, (weight, buffers) in enumerate(updates, start=1)
        ]
        return federation.combine(accepted, plan)


def reason(base: Named, plan: Plan, buffers: Named) -> str | None:
    """The reason code with which an update of one sample is rejected."""
    with TemporaryDirectory() as folder:
        federation = federation_in(Path(folder), base)
        try:
            federation.update(1, 1, drawn(1), buffers=buffers, plan=plan)
        except ArtifactError as error:
            return error.code
    return None


@pytest.mark.parametrize("plan", [UNDECLARED, DECLARING], ids=["plan of version 1", "plan that declares them"])
def test_means_average_by_weight_and_counters_take_the_largest(plan: Plan) -> None:
    """The case bn-average."""
    model = combined(normalization(0, 1, 10), plan, (1, normalization(4, 1, 10)), (3, normalization(8, 1, 25)))
    assert model.buffers[MEAN].tolist() == [7.0]
    assert model.buffers[STEPS].tolist() == 25 and model.buffers[STEPS].dtype == np.int64


@pytest.mark.parametrize(
    "hostile",
    [
        normalization(0, -5, 0),
        normalization(0, 1, -3),
        normalization(0, 1, 2**63 - 1),
        normalization(3e38, 1, 0),
    ],
    ids=["negative variance", "negative counter", "largest counter", "huge mean"],
)
def test_hostile_buffers_are_rejected_with_a_reason_of_their_own(hostile: Named) -> None:
    """The case bn-hostile-buffers."""
    base = normalization(0, 1, 0)
    assert reason(base, DECLARING, hostile) == "buffer"
    assert reason(base, UNDECLARED, hostile) is None, "a round of a plan of version 1 is judged by its rules"


def test_a_round_of_a_plan_that_declares_nothing_takes_every_finite_number() -> None:
    updates = [(1, normalization(2, -5, 2**63 - 1)), (3, normalization(6, 1, -3))]
    model = combined(normalization(0, 1, 0), UNDECLARED, *updates)
    assert model.buffers[MEAN].tolist() == [5.0]
    assert model.buffers[VARIANCE].tolist() == [-0.5]
    assert model.buffers[STEPS].tolist() == 2**63 - 1


@pytest.mark.parametrize(
    ("base", "found", "rejected"),
    [
        (100, 100, False),
        (100, 120, False),
        (100, 99, True),
        (100, 121, True),
        (9_990, 10_000, False),
        (9_990, 10_001, True),
    ],
)
def test_a_counter_lies_between_the_base_models_and_the_steps_of_its_round(
    base: int, found: int, rejected: bool
) -> None:
    assert (reason(normalization(0, 1, base), DECLARING, normalization(0, 1, found)) == "buffer") == rejected


def test_the_steps_of_a_round_of_epochs_follow_from_the_samples_that_an_update_claims() -> None:
    base = normalization(0, 1, 0)
    with TemporaryDirectory() as folder:
        federation = federation_in(Path(folder), base)
        federation.update(1, 65, drawn(1), buffers=normalization(0, 1, 3), plan=BY_EPOCHS)
        with pytest.raises(ArtifactError, match=f"'buffer/{STEPS}' counts steps: .* at most 3 more"):
            federation.update(2, 65, drawn(1), buffers=normalization(0, 1, 4), plan=BY_EPOCHS)


def counted(base: int, plan: Plan, *updates: tuple[int, int, int]) -> int:
    """The next model's counter, of updates that claim so many samples, weigh so much and have counted so far."""
    with TemporaryDirectory() as folder:
        federation = federation_in(Path(folder), normalization(0, 1, base))
        accepted = [
            replace(
                federation.update(client, samples, drawn(client), buffers=normalization(0, 1, found), plan=plan),
                weight=weight,
            )
            for client, (samples, weight, found) in enumerate(updates, start=1)
        ]
        return int(federation.combine(accepted, plan).buffers[STEPS])


def test_samples_that_nobody_has_lift_a_counter_by_their_weight_alone_and_the_next_round_goes_on() -> None:
    heaviest = DECLARING.aggregation.max_weight
    hostile, honest = (2**53 - 1, heaviest, 10_000), (65, 65, 103)
    counter = counted(100, BY_EPOCHS, honest, hostile)
    assert counter == 100 + BY_EPOCHS.local.steps_of(heaviest)
    assert counted(counter, BY_EPOCHS, (65, 65, counter + BY_EPOCHS.local.steps_of(65))) == counter + 3


def test_a_plan_that_declares_nothing_takes_the_largest_counter_whatever_it_weighs() -> None:
    undeclared = replace(BY_EPOCHS, buffers=None)
    assert counted(100, undeclared, (65, 65, 103), (2**53 - 1, 1, 2**63 - 1)) == 2**63 - 1


@given(
    base=st.integers(-(2**63), 2**63 - 1),
    updates=st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 2**64)), min_size=1, max_size=3),
    epochs=st.integers(1, 100),
)
@settings(max_examples=25, deadline=None)
def test_a_counter_is_the_largest_within_the_steps_of_each_weight(
    base: int, updates: list[tuple[int, int]], epochs: int
) -> None:
    plan = replace(
        DECLARING,
        local=LocalWork(steps=None, epochs=epochs, batch_size=1),
        buffers=DECLARED | {STEPS: Counter("counter", least=-(2**63), most=2**63 - 1)},
    )
    samples = 2**53 - 1
    claims = [(samples, weight, min(base + ahead % (epochs * samples), 2**63 - 1)) for weight, ahead in updates]
    expected = max(min(found, base + plan.local.steps_of(weight)) for _, weight, found in claims)
    assert counted(base, plan, *claims) == expected


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(1, 10**6))
@settings(max_examples=25, deadline=None)
def test_counters_are_compared_without_overflow(base: int, found: int, steps: int) -> None:
    plan = replace(
        DECLARING,
        local=LocalWork(steps=steps, epochs=None, batch_size=1),
        buffers=DECLARED | {STEPS: Counter("counter", least=-(2**63), most=2**63 - 1)},
    )
    expected = None if base <= found <= base + steps else "buffer"
    assert reason(normalization(0, 1, base), plan, normalization(0, 1, found)) == expected


@pytest.mark.parametrize(("mean", "variance"), [(100.0, 1000.0), (-100.0, 0.0)])
def test_what_a_plan_declares_includes_its_bounds(mean: float, variance: float) -> None:
    base = normalization(0, 1, 0)
    assert reason(base, DECLARING, normalization(mean, variance, 0)) is None
    beyond = np.nextafter(np.float32(mean), np.float32(math.copysign(np.inf, mean)))
    assert reason(base, DECLARING, normalization(beyond, variance, 0)) == "buffer"


def test_the_last_block_of_a_large_buffer_is_looked_at_as_well() -> None:
    values = np.zeros(2 * BLOCK + 1, np.float32)
    outside = values.copy()
    outside[-1] = 101
    plan = replace(UNDECLARED, buffers={"table": Average("average", least=-100.0, most=100.0)})
    assert reason({"table": values}, plan, {"table": values}) is None
    assert reason({"table": values}, plan, {"table": outside}) == "buffer"


def test_variances_that_pool_are_those_of_all_samples_together() -> None:
    rng = np.random.default_rng(5)
    samples = [rng.normal(center, 2, size=(count, 3)) for center, count in ((-4, 30), (0, 50), (9, 20))]
    updates = [(len(own), normalization(own.mean(axis=0), own.var(axis=0), 0)) for own in samples]
    model = combined(normalization([0] * 3, [1] * 3, 0), DECLARING, *updates)
    together = np.concatenate(samples)
    np.testing.assert_allclose(model.buffers[MEAN], together.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.buffers[VARIANCE], together.var(axis=0), rtol=1e-5)


def test_variances_that_average_leave_out_how_far_the_means_lie_apart() -> None:
    averaged = replace(DECLARING, buffers=DECLARED | {VARIANCE: Average("average", least=0.0, most=1000.0)})
    updates = [(1, normalization(-4, 2, 0)), (1, normalization(4, 2, 0))]
    base = normalization(0, 1, 0)
    assert combined(base, averaged, *updates).buffers[VARIANCE].tolist() == [2.0]
    assert combined(base, DECLARING, *updates).buffers[VARIANCE].tolist() == [18.0]


def test_pooling_goes_over_blocks_as_over_the_whole() -> None:
    count = BLOCK + 3
    rng = np.random.default_rng(6)
    buffers = [normalization(rng.normal(size=count), rng.random(count), 0) for _ in range(3)]
    base = normalization(np.zeros(count), np.ones(count), 0)
    model = combined(base, DECLARING, *zip((1, 2, 4), buffers, strict=True))
    weights = np.array([1, 2, 4])[:, None]
    means = np.array([own[MEAN] for own in buffers], np.float64)
    variances = np.array([own[VARIANCE] for own in buffers], np.float64)
    center = (means * weights).sum(axis=0) / 7
    expected = ((variances + (means - center) ** 2) * weights).sum(axis=0) / 7
    np.testing.assert_allclose(model.buffers[VARIANCE], expected, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0, 50, width=32),
    st.lists(
        st.tuples(st.integers(1, 1000), st.floats(-60, 60, width=32), st.floats(0, 60, width=32)),
        min_size=1,
        max_size=4,
    ),
)
def test_the_next_model_keeps_to_what_the_plan_declares(most: float, updates: list[tuple[int, float, float]]) -> None:
    """Pooling may lead out; whoever starts from the model and leaves its buffers alone is not rejected for it."""
    declared: dict[str, Buffer] = {
        MEAN: Average("average", least=-most / 3, most=most / 3),
        VARIANCE: Pooled("pooled", mean=MEAN, least=0.0, most=most),
        STEPS: DECLARED[STEPS],
    }
    plan = replace(DECLARING, buffers=declared)
    base = normalization(0, 0, 0)
    inside = [
        (weight, normalization(mean, variance, 0))
        for weight, mean, variance in updates
        if reason(base, plan, normalization(mean, variance, 0)) is None
    ]
    assume(inside)
    model = combined(base, plan, *inside)
    assert reason(base, plan, model.buffers) is None


@given(st.floats(-FLOAT32_MAX, FLOAT32_MAX), st.floats(-FLOAT32_MAX, FLOAT32_MAX))
def test_bounds_are_the_outermost_float32_numbers_inside(one: float, other: float) -> None:
    least, most = sorted((one, other))
    low, high = (np.float32(bound) for bound in bounds(Average("average", least=least, most=most)))
    assert float(np.nextafter(low, np.float32(-np.inf))) < least <= float(low)
    assert float(high) <= most < float(np.nextafter(high, np.float32(np.inf)))


LAYOUT: dict[str, tuple[Any, tuple[int, ...]]] = {
    "param/w": (np.float32, (3, 2)),
    f"buffer/{MEAN}": (np.float32, (2,)),
    f"buffer/{VARIANCE}": (np.float32, (2,)),
    f"buffer/{STEPS}": (np.int64, ()),
}


def test_a_plan_that_declares_every_buffer_as_what_it_is_fits() -> None:
    check_declared(DECLARING, LAYOUT)
    check_declared(UNDECLARED, LAYOUT)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (LAYOUT | {"buffer/other": (np.float32, (1,))}, "does not declare the model's buffer 'other'"),
        (LAYOUT | {f"buffer/{STEPS}": (np.float32, ())}, "as counter, and it is of float32"),
        (LAYOUT | {f"buffer/{MEAN}": (np.int64, (2,))}, "as average, and it is of int64"),
        (LAYOUT | {f"buffer/{MEAN}": (np.float32, (1,))}, "pools the model's buffer .* expected a buffer of the shape"),
        ({name: kind for name, kind in LAYOUT.items() if name != f"buffer/{MEAN}"}, "pools the model's buffer"),
    ],
)
def test_a_plan_that_does_not_fit_the_buffers_of_a_model_is_refused(layout: Any, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        check_declared(DECLARING, layout)


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def test_a_base_model_outside_what_its_plan_declares_is_nobodys_update_to_blame(folder: Path) -> None:
    federation = federation_in(folder, normalization(0, -1, 0))
    with open_model(federation.base) as base:
        check_base(base, UNDECLARED)
        with pytest.raises(ArtifactError, match=f"^base: tensor 'buffer/{VARIANCE}' holds -1.0: expected 0.0 to 1000"):
            check_base(base, DECLARING)


def test_a_buffer_that_the_plan_leaves_out_is_a_mistake_of_the_caller(folder: Path) -> None:
    other: dict[str, Array] = {"other": np.zeros(1, np.float32)}
    with pytest.raises(ValueError, match="does not declare 'buffer/other'"):
        federation_in(folder, other).update(1, 1, drawn(1), buffers=other, plan=DECLARING)
