"""A client cuts its own counters to what settles, and nothing else of its buffers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processor.aggregation.declared import check_bounds, check_counted, with_counters_cut
from processor.artifacts.buffers import Average, Counter
from processor.artifacts.plan import LocalWork
from processor.tensors import Array
from tests.unit.aggregation.federation import WITHOUT_EWC

MOST = 2**53 - 1
COUNTER = Counter("counter", 0, 100)
DECLARING = replace(
    WITHOUT_EWC,
    local=LocalWork(steps=None, epochs=1, batch_size=4),
    aggregation=replace(WITHOUT_EWC.aggregation, max_weight=20),
    buffers={"mean": Average("average", -1.0, 1.0), "count": COUNTER},
)


def count_of(found: int, base: int, samples: int) -> Array:
    return with_counters_cut({"count": np.array(found)}, {"count": np.array(base)}, DECLARING, samples)["count"]


def test_a_counter_stands_still_at_the_most_that_is_declared() -> None:
    assert (count_of(103, 98, 20), count_of(105, 100, 20)) == (100, 100)


def test_a_counter_is_ahead_by_the_steps_of_the_samples_that_weigh() -> None:
    assert [count_of(10 + ahead, 10, 1_000) for ahead in (0, 5, 6, 250)] == [10, 15, 15, 15]
    assert count_of(13, 10, 8) == 12


def test_a_counter_keeps_its_type_and_shape() -> None:
    assert (count_of(1, 0, 4).dtype, count_of(1, 0, 4).shape) == (np.int64, ())


def test_other_buffers_are_sent_as_they_are() -> None:
    buffers: dict[str, Array] = {"mean": np.array([7.0], np.float32), "count": np.array([1000])}
    base: dict[str, Array] = {"mean": np.array([0.0], np.float32), "count": np.array([0])}
    assert with_counters_cut(buffers, base, DECLARING, 4)["mean"] is buffers["mean"]
    assert with_counters_cut(buffers, base, replace(DECLARING, buffers=None), 4) == buffers


@given(st.data(), st.integers(1, MOST), st.integers(1, MOST), st.integers(-MOST, MOST), st.integers(-MOST, MOST))
def test_what_was_cut_is_accepted(data: st.DataObject, samples: int, max_weight: int, one: int, other: int) -> None:
    declared = Counter("counter", min(one, other), max(one, other))
    plan = replace(
        DECLARING, aggregation=replace(DECLARING.aggregation, max_weight=max_weight), buffers={"count": declared}
    )
    base = np.array(data.draw(st.integers(declared.least, declared.most)))
    found = np.array(data.draw(st.integers(int(base), 2**63 - 1)))
    cut = with_counters_cut({"count": found}, {"count": base}, plan, samples)["count"]
    check_bounds("buffer/count", cut, declared)
    check_counted("buffer/count", cut, base, plan.local.steps_of(min(samples, max_weight)))
