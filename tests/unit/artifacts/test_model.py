"""A model comes back as it was written, and holds only what it may."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from processor.artifacts.artifact_file import BUFFER, FISHERS
from processor.artifacts.model import (
    MODEL,
    PARAMETER,
    ModelHeader,
    check_fits,
    load_model,
    model_writer,
    open_model,
    write_model,
)
from processor.cid import cid_of_file
from processor.errors import ArtifactError, ArtifactTooLarge
from processor.tensors import Array, Layout, write_tensors
from tests.unit.artifacts.examples import BUFFERS, CID, FISHER, MODEL_HEADER, PARAMETERS

HEADER: dict[str, Any] = {"kind": "model", "version": 1} | asdict(MODEL_HEADER)
WEIGHT: Array = np.ones((2, 3), np.float32)

NAMES = st.from_regex(r"\A[A-Za-z0-9_.]{1,10}\Z")
ARRAYS = npst.arrays(np.float32, npst.array_shapes(max_side=3), elements=st.floats(-1e6, 1e6, width=32))
CIDS = st.sampled_from([CID])


@settings(deadline=None, max_examples=50)
@given(
    st.builds(ModelHeader, st.integers(0, 2**32 - 1), st.none() | CIDS, CIDS),
    st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=4),
    st.dictionaries(NAMES, ARRAYS, max_size=2),
    st.booleans(),
)
def test_a_model_that_was_written_is_read(
    header: ModelHeader, parameters: dict[str, Array], buffers: dict[str, Array], with_fisher: bool
) -> None:
    fisher = {name: np.abs(array) for name, array in parameters.items()} if with_fisher else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        cid = write_model(path, header, parameters, buffers, fisher)
        assert cid == cid_of_file(path)
        model = load_model(path)
    assert model.header == header
    for written, read in ((parameters, model.parameters), (buffers, model.buffers), (fisher, model.fisher)):
        assert written.keys() == read.keys()
        assert all(written[name].tobytes() == read[name].tobytes() for name in written)


def test_an_open_model_gives_shapes_and_one_tensor_at_a_time(tmp_path: Path) -> None:
    write_model(tmp_path / "model", MODEL_HEADER, PARAMETERS, BUFFERS, FISHER)
    with open_model(tmp_path / "model") as model:
        assert model.header == MODEL_HEADER
        assert model.parameters == {"1.weight": (2, 3), "1.bias": (2,)}
        assert model.buffers == {"2.running_mean": (1,), "2.num_batches_tracked": ()}
        assert model.has_fisher
        np.testing.assert_array_equal(model.read(PARAMETER + "1.weight"), PARAMETERS["1.weight"])
        np.testing.assert_array_equal(model.read(BUFFER + "2.num_batches_tracked"), 11)
        np.testing.assert_array_equal(model.read(FISHERS.prefix + "1.bias"), FISHER["1.bias"])
        assert model.group(FISHERS.prefix).keys() == FISHER.keys()


def test_a_model_without_fisher_says_so(tmp_path: Path) -> None:
    write_model(tmp_path / "model", MODEL_HEADER, PARAMETERS, {}, {})
    with open_model(tmp_path / "model") as model:
        assert not model.has_fisher


def test_a_model_written_tensor_by_tensor_has_the_same_cid(tmp_path: Path) -> None:
    cid = write_model(tmp_path / "base", MODEL_HEADER, PARAMETERS, BUFFERS, FISHER)
    with (
        open_model(tmp_path / "base") as base,
        model_writer(tmp_path / "copy", MODEL_HEADER, base.layout) as writer,
    ):
        for name in writer.names:
            writer.write(name, base.read(name))
    assert cid_of_file(tmp_path / "copy") == cid


@pytest.mark.parametrize(
    ("tensors", "code", "reason"),
    [
        ({}, "shape", "has at least one parameter, this one has none"),
        ({"buffer/a": WEIGHT}, "shape", "has at least one parameter, this one has none"),
        ({"a": WEIGHT}, "malformed", "'a' is in no group of a model: expected one of param/, buffer/, fisher/"),
        ({"delta/a": WEIGHT}, "malformed", "'delta/a' is in no group of a model"),
        ({"param/a": WEIGHT.astype(np.float64)}, "dtype", "'param/a' is float64: expected float32"),
        ({"param/a": WEIGHT.astype(np.int64)}, "dtype", "'param/a' is int64: expected float32"),
        ({"param/a": WEIGHT, "fisher/a": WEIGHT.astype(np.int64)}, "dtype", "'fisher/a' is int64"),
        (
            {"param/a": WEIGHT, "buffer/a": WEIGHT.astype(np.float64)},
            "dtype",
            "'buffer/a' is float64: expected float32",
        ),
        ({"param/a": WEIGHT, "param/b": WEIGHT, "fisher/a": WEIGHT}, "shape", "'fisher/b' is missing"),
        ({"param/a": WEIGHT, "fisher/a": WEIGHT, "fisher/b": WEIGHT}, "shape", "'fisher/b' is not expected"),
        ({"param/a": WEIGHT, "fisher/a": WEIGHT.T}, "shape", r"shape \[3, 2\]: expected \[2, 3\]"),
        ({"param/a": WEIGHT * np.nan}, "not_finite", "'param/a' holds NaN or infinity"),
        ({"param/a": WEIGHT, "buffer/a": WEIGHT * np.inf}, "not_finite", "'buffer/a' holds NaN or infinity"),
        ({"param/a": WEIGHT, "fisher/a": WEIGHT * np.nan}, "not_finite", "'fisher/a' holds NaN or infinity"),
        (
            {"param/a": WEIGHT, "fisher/a": -WEIGHT},
            "negative_fisher",
            "'fisher/a' is Fisher information and holds a neg",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_model_is_neither_written_nor_read(
    tmp_path: Path, tensors: Mapping[str, Array], code: str, reason: str
) -> None:
    groups: dict[str, dict[str, Array]] = {"param": {}, "buffer": {}, "fisher": {}}
    write_tensors(tmp_path / "hostile", tensors, HEADER)
    with pytest.raises(ArtifactError, match=reason) as refusal:
        load_model(tmp_path / "hostile")
    assert refusal.value.code == code
    assert str(refusal.value).startswith("hostile: ")
    for name, array in tensors.items():
        group, _, rest = name.partition("/")
        if group not in groups:
            return
        groups[group][rest] = array
    with pytest.raises(ArtifactError, match=reason):
        write_model(tmp_path / "model", MODEL_HEADER, groups["param"], groups["buffer"], groups["fisher"])
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({}, "this is no model: its kind is None"),
        (HEADER | {"kind": "update"}, "this is no model: its kind is 'update'"),
        (HEADER | {"version": 2}, "this model has version 2"),
        (HEADER | {"extra": 1}, "extra: is unknown"),
        ({name: HEADER[name] for name in HEADER if name != "plan"}, "plan: is missing"),
        (HEADER | {"round": -1}, "round: should be greater than or equal to 0"),
        (HEADER | {"round": "1"}, "round: should be a valid integer"),
        (HEADER | {"round": 2**32}, "round: should be less than or equal to 4294967295"),
        (HEADER | {"parent": "Qm"}, "parent: 'Qm' is not a CIDv0"),
        (HEADER | {"plan": None}, "plan: should be a valid string"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_model_with_another_header_is_refused(tmp_path: Path, header: dict[str, Any], reason: str) -> None:
    write_tensors(tmp_path / "hostile", {"param/a": WEIGHT}, header)
    with pytest.raises(ArtifactError, match=reason) as refusal:
        open_model(tmp_path / "hostile")
    assert str(refusal.value).startswith("hostile: ")


def test_a_header_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="plan: 'x' is not a CIDv0"):
        write_model(tmp_path / "model", ModelHeader(0, None, "x"), PARAMETERS, {}, {})
    assert not list(tmp_path.iterdir())


def test_a_model_over_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as sparse:
        sparse.truncate(MODEL.limit + 1)
    with pytest.raises(ArtifactTooLarge, match="over the limit"):
        open_model(tmp_path / "large")


OWN: Layout = {"param/weight": (np.dtype(np.float32), (2, 3)), "buffer/mean": (np.dtype(np.float32), (3,))}


def test_a_model_fits_another_with_the_same_parameters_and_buffers_whatever_its_fisher_information() -> None:
    check_fits({**OWN, "fisher/weight": (np.dtype(np.float32), (2, 3))}, OWN)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({**OWN, "param/weight": (np.dtype(np.float32), (3, 2))}, "parameter weight: expected shape [2, 3], got shape"),
        ({**OWN, "param/bias": (np.dtype(np.float32), (3,))}, "parameter bias: expected none, got shape [3]"),
        ({"param/weight": OWN["param/weight"]}, "buffer mean: expected shape [3], got none"),
        (
            {**OWN, **{f"param/{each}": (np.dtype(np.float32), ()) for each in "abcde"}},
            "parameter a: expected none, got shape []; b: expected none, got shape []; c: expected none, got shape [] "
            "and 2 more",
        ),
    ],
)
def test_a_model_that_does_not_fit_another_is_told_what_differs(found: Layout, words: str) -> None:
    with pytest.raises(ArtifactError, match=re.escape(f"the artifact does not fit the plan's model: {words}")) as said:
        check_fits(found, OWN)
    assert said.value.code == "shape"
