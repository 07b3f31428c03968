"""An update enters a model only if all its numbers do: what its bytes say is gathered once, as it arrives."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from processor.aggregation.facts import Facts, check_base, facts_of
from processor.artifacts.model import ModelFile, open_model, write_model
from processor.artifacts.plan import Plan
from processor.artifacts.update import open_update, write_update
from processor.errors import ArtifactError
from processor.tensors import BLOCK, Array, write_tensors
from tests.unit.aggregation.federation import WITH_EWC, WITHOUT_EWC
from tests.unit.artifacts.examples import BUFFERS, FISHER, MODEL_HEADER, PARAMETERS, UPDATE_HEADER
from tests.unit.tensors.folding import folded_in_memory

HEADER: dict[str, Any] = {"kind": "update", "version": 2} | asdict(UPDATE_HEADER)
LARGEST = float(np.finfo(np.float32).max)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[ModelFile]:
    write_model(tmp_path / "base", MODEL_HEADER, PARAMETERS, BUFFERS, {})
    with open_model(tmp_path / "base") as model:
        yield model


def full_names(**groups: dict[str, Array]) -> dict[str, Array]:
    return {f"{group}/{name}": array for group, tensors in groups.items() for name, array in tensors.items()}


GOOD = full_names(delta=PARAMETERS, buffer=BUFFERS, fisher=FISHER)


def without(name: str) -> dict[str, Array]:
    return {other: array for other, array in GOOD.items() if other != name}


def norm_of(tensors: dict[str, Array]) -> float:
    """The L2 norm over all tensors, each one's squares and then their sums folded with all numbers in memory."""
    sums = [folded_in_memory(np.square(tensors[name].reshape(-1).astype(np.float64))) for name in sorted(tensors)]
    return math.sqrt(folded_in_memory(np.array(sums)))


def facts(path: Path, base: ModelFile, plan: Plan = WITH_EWC) -> Facts:
    with open_update(path) as update:
        return facts_of(update, base, plan)


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Za-z0-9_.]{1,10}\Z"),
        npst.arrays(np.float32, npst.array_shapes(max_side=3), elements=st.floats(-1e6, 1e6, width=32)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_an_update_that_was_written_is_accepted_with_its_norms(parameters: dict[str, Array], with_fisher: bool) -> None:
    fisher = {name: np.abs(array) for name, array in parameters.items()} if with_fisher else {}
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "base", MODEL_HEADER, parameters, BUFFERS, {})
        write_update(Path(folder) / "update", UPDATE_HEADER, parameters, BUFFERS, fisher)
        with open_model(Path(folder) / "base") as base:
            found = facts(Path(folder) / "update", base, WITH_EWC if with_fisher else WITHOUT_EWC)
    assert found == Facts(norm_of(parameters), norm_of(fisher) if with_fisher else None)


@pytest.mark.parametrize(
    ("tensors", "code", "reason"),
    [
        ({}, "shape", "'delta/1.bias' is missing"),
        (without("delta/1.weight"), "shape", "'delta/1.weight' is missing"),
        (without("buffer/2.running_mean"), "shape", "'buffer/2.running_mean' is missing"),
        (without("fisher/1.bias"), "shape", "'fisher/1.bias' is missing"),
        (GOOD | {"delta/9": np.ones(1, np.float32)}, "shape", "'delta/9' is not expected"),
        (GOOD | {"buffer/9": np.ones(1, np.float32)}, "shape", "'buffer/9' is not expected"),
        (GOOD | {"param/9": np.ones(1, np.float32)}, "malformed", "in no group of an update: expected one of delta/"),
        (GOOD | {"delta/1.bias": np.ones((2, 1), np.float32)}, "shape", r"shape \[2, 1\]: expected \[2\]"),
        (GOOD | {"delta/1.bias": np.ones(2, np.int64)}, "dtype", "'delta/1.bias' is int64: expected float32"),
        (GOOD | {"delta/1.bias": np.ones(2, np.float64)}, "dtype", "'delta/1.bias' is float64: expected float32"),
        (GOOD | {"buffer/2.running_mean": np.ones(1, np.int64)}, "dtype", "is int64: expected float32"),
        (GOOD | {"buffer/2.num_batches_tracked": np.array(1, np.float32)}, "dtype", "is float32: expected int64"),
        (GOOD | {"delta/1.bias": np.array([1, np.nan], np.float32)}, "not_finite", "'delta/1.bias' holds NaN"),
        (GOOD | {"delta/1.bias": np.array([-np.inf, 0], np.float32)}, "not_finite", "'delta/1.bias' holds NaN"),
        (GOOD | {"buffer/2.running_mean": np.array([np.inf], np.float32)}, "not_finite", "running_mean' holds NaN"),
        (GOOD | {"fisher/1.bias": np.array([np.inf, 0], np.float32)}, "not_finite", "'fisher/1.bias' holds NaN"),
        (GOOD | {"fisher/1.bias": np.array([0, -1e-30], np.float32)}, "negative_fisher", "holds a negative number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_update_that_does_not_fit_is_refused_with_its_reason_code(
    tmp_path: Path, base: ModelFile, tensors: dict[str, Array], code: str, reason: str
) -> None:
    write_tensors(tmp_path / "update", tensors, HEADER)
    with pytest.raises(ArtifactError, match=reason) as refusal:
        facts(tmp_path / "update", base)
    assert refusal.value.code == code


def test_fisher_information_that_the_plan_does_not_ask_for_is_refused(tmp_path: Path, base: ModelFile) -> None:
    write_update(tmp_path / "update", UPDATE_HEADER, PARAMETERS, BUFFERS, FISHER)
    with pytest.raises(ArtifactError, match="'fisher/1.bias' is not expected") as refusal:
        facts(tmp_path / "update", base, WITHOUT_EWC)
    assert refusal.value.code == "shape"


def test_a_finite_delta_that_leads_out_of_float32_is_refused(tmp_path: Path) -> None:
    large = {"a": np.array([LARGEST], np.float32)}
    write_model(tmp_path / "base", MODEL_HEADER, large, {}, {})
    with open_model(tmp_path / "base") as base:
        write_update(tmp_path / "back", UPDATE_HEADER, {"a": -large["a"]}, {}, {})
        facts(tmp_path / "back", base, WITHOUT_EWC)
        write_update(tmp_path / "out", UPDATE_HEADER, large, {}, {})
        with pytest.raises(ArtifactError, match="'delta/a' leads out of what float32 holds") as refusal:
            facts(tmp_path / "out", base, WITHOUT_EWC)
        assert refusal.value.code == "not_finite"


def large(**changed: Array) -> dict[str, Array]:
    """A tensor of three blocks and its Fisher information, as full names or changed."""
    ones = np.ones(2 * BLOCK + 1, np.float32)
    return {"delta/a": ones, "fisher/a": ones} | {name.replace("_", "/"): array for name, array in changed.items()}


def with_values(values: dict[int, float]) -> Array:
    array = np.ones(2 * BLOCK + 1, np.float32)
    array[list(values)] = list(values.values())
    return array


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        (large(fisher_a=with_values({0: -1.0, 2 * BLOCK: np.nan})), "not_finite"),
        (large(delta_a=with_values({BLOCK: LARGEST}), fisher_a=with_values({0: -1.0})), "not_finite"),
        (large(fisher_a=with_values({2 * BLOCK: -1.0})), "negative_fisher"),
        (large(delta_a=with_values({2 * BLOCK: np.inf})), "not_finite"),
    ],
    ids=[
        "NaN after a negative number",
        "too large before a negative number",
        "the last is negative",
        "the last is inf",
    ],
)
def test_the_first_tensor_with_a_mistake_gives_the_reason_in_whichever_block_it_lies(
    tmp_path: Path, tensors: dict[str, Array], code: str
) -> None:
    write_model(tmp_path / "base", MODEL_HEADER, {"a": np.full(2 * BLOCK + 1, LARGEST, np.float32)}, {}, {})
    write_tensors(tmp_path / "update", tensors, HEADER)
    with open_model(tmp_path / "base") as base, pytest.raises(ArtifactError, match="^update: tensor") as refusal:
        facts(tmp_path / "update", base)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({"param/1.bias": np.array([np.nan, 0], np.float32)}, "not_finite"),
        ({"fisher/1.bias": np.array([-1, 0], np.float32)}, "negative_fisher"),
        ({}, None),
    ],
)
def test_what_is_wrong_with_the_base_model_is_found_before_any_update(
    tmp_path: Path, tensors: dict[str, Array], code: str | None
) -> None:
    header = {"kind": "model", "version": 1} | asdict(MODEL_HEADER)
    good = full_names(param=PARAMETERS, buffer=BUFFERS, fisher=FISHER)
    write_tensors(tmp_path / "base", good | tensors, header)
    with open_model(tmp_path / "base") as base:
        if code is None:
            check_base(base, WITH_EWC)
            return
        with pytest.raises(ArtifactError, match="^base: tensor") as refusal:
            check_base(base, WITH_EWC)
    assert refusal.value.code == code
