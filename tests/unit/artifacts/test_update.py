"""An update is averaged only if it is its sender's own, for this round, and fits the base model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from processor.artifacts.model import ModelFile, open_model, write_model
from processor.artifacts.update import UpdateHeader, check_update, open_update, write_update
from processor.cid import cid_of
from processor.errors import ArtifactError
from processor.tensors import Array, write_tensors
from tests.unit.artifacts.examples import (
    BUFFERS,
    CLIENTS,
    FISHER,
    MODEL_HEADER,
    PARAMETERS,
    UPDATE_HEADER,
)

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


def check(path: Path, base: ModelFile, wants_fisher: bool = True, expected: UpdateHeader = UPDATE_HEADER) -> None:
    with open_update(path) as update:
        check_update(update, expected, base, wants_fisher)


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
def test_an_update_that_was_written_is_read_and_accepted(parameters: dict[str, Array], wants_fisher: bool) -> None:
    fisher = {name: np.abs(array) for name, array in parameters.items()} if wants_fisher else {}
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "base", MODEL_HEADER, parameters, BUFFERS, {})
        write_update(Path(folder) / "update", UPDATE_HEADER, parameters, BUFFERS, fisher)
        with open_model(Path(folder) / "base") as base, open_update(Path(folder) / "update") as update:
            check_update(update, UPDATE_HEADER, base, wants_fisher)
            assert update.header == UPDATE_HEADER
            assert update.has_fisher == wants_fisher
            for name, array in parameters.items():
                assert update.delta(name).tobytes() == array.tobytes()
            for name, array in BUFFERS.items():
                assert update.buffer(name).tobytes() == array.tobytes()
            for name, array in fisher.items():
                assert update.fisher(name).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", 1),
        ("federation", CLIENTS[0]),
        ("round", 4),
        ("client", CLIENTS[1]),
        ("base_model", cid_of(b"another base")),
    ],
)
def test_an_update_for_something_else_is_refused_by_name(
    tmp_path: Path, base: ModelFile, field: str, value: Any
) -> None:
    write_update(tmp_path / "update", UPDATE_HEADER, PARAMETERS, BUFFERS, FISHER)
    expected = replace(UPDATE_HEADER, **{field: value})
    with pytest.raises(ArtifactError, match=f"the update's {field} is .*: expected {value}") as refusal:
        check(tmp_path / "update", base, expected=expected)
    assert refusal.value.code == "header"


def test_an_update_may_claim_any_number_of_samples(tmp_path: Path, base: ModelFile) -> None:
    """What binds an update says nothing of them."""
    write_update(tmp_path / "update", replace(UPDATE_HEADER, samples=2**53 - 1), PARAMETERS, BUFFERS, FISHER)
    check(tmp_path / "update", base, expected=UPDATE_HEADER)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (HEADER | {"kind": "model"}, "this is no update: its kind is 'model'"),
        (HEADER | {"version": 1}, "this update has version 1: this program reads version 2"),
        (HEADER | {"epochs": 5}, "epochs: is unknown"),
        (HEADER | {"samples": 0}, "samples: should be greater than or equal to 1"),
        (HEADER | {"samples": "250"}, "samples: should be a valid integer"),
        ({name: HEADER[name] for name in HEADER if name != "samples"}, "samples: is missing"),
        ({name: HEADER[name] for name in HEADER if name != "client"}, "client: is missing"),
        (HEADER | {"chain_id": "31337"}, "chain_id: should be a valid integer"),
        (HEADER | {"chain_id": 0}, "chain_id: should be greater than or equal to 1"),
        (HEADER | {"client": CLIENTS[0].lower()}, "client: expected an address with an EIP-55 checksum"),
        (HEADER | {"client": "0x"}, "client: expected an address with an EIP-55 checksum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_update_with_a_malformed_header_is_refused(tmp_path: Path, header: dict[str, Any], reason: str) -> None:
    write_tensors(tmp_path / "update", GOOD, header)
    with pytest.raises(ArtifactError, match=reason) as refusal:
        open_update(tmp_path / "update")
    assert refusal.value.code == "malformed"


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
        check(tmp_path / "update", base)
    assert refusal.value.code == code


def test_fisher_information_that_the_plan_does_not_ask_for_is_refused(tmp_path: Path, base: ModelFile) -> None:
    write_update(tmp_path / "update", UPDATE_HEADER, PARAMETERS, BUFFERS, FISHER)
    with pytest.raises(ArtifactError, match="'fisher/1.bias' is not expected") as refusal:
        check(tmp_path / "update", base, wants_fisher=False)
    assert refusal.value.code == "shape"


def test_a_finite_delta_that_leads_out_of_float32_is_refused(tmp_path: Path) -> None:
    large = {"a": np.array([LARGEST], np.float32)}
    write_model(tmp_path / "base", MODEL_HEADER, large, {}, {})
    with open_model(tmp_path / "base") as base:
        write_update(tmp_path / "back", UPDATE_HEADER, {"a": -large["a"]}, {}, {})
        check(tmp_path / "back", base, wants_fisher=False)
        write_update(tmp_path / "out", UPDATE_HEADER, large, {}, {})
        with pytest.raises(ArtifactError, match="'delta/a' leads out of what float32 holds") as refusal:
            check(tmp_path / "out", base, wants_fisher=False)
        assert refusal.value.code == "not_finite"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_update_is_not_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ArtifactError, match="'delta/a' holds NaN or infinity"):
        write_update(tmp_path / "update", UPDATE_HEADER, {"a": np.array([value], np.float32)}, {}, {})
    assert not list(tmp_path.iterdir())
