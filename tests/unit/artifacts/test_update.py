"""An update comes back as it was written, and only its sender's own, for this round, is taken."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from processor.artifacts.update import check_binding, open_update, write_update
from processor.cid import cid_of
from processor.errors import ArtifactError
from processor.tensors import Array, write_tensors
from tests.unit.artifacts.examples import (
    BUFFERS,
    CLIENTS,
    FISHER,
    PARAMETERS,
    UPDATE_HEADER,
)

HEADER: dict[str, Any] = {"kind": "update", "version": 2} | asdict(UPDATE_HEADER)


def full_names(**groups: dict[str, Array]) -> dict[str, Array]:
    return {f"{group}/{name}": array for group, tensors in groups.items() for name, array in tensors.items()}


GOOD = full_names(delta=PARAMETERS, buffer=BUFFERS, fisher=FISHER)


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
def test_an_update_that_was_written_is_read(parameters: dict[str, Array], with_fisher: bool) -> None:
    fisher = {name: np.abs(array) for name, array in parameters.items()} if with_fisher else {}
    with tempfile.TemporaryDirectory() as folder:
        write_update(Path(folder) / "update", UPDATE_HEADER, parameters, BUFFERS, fisher)
        with open_update(Path(folder) / "update") as update:
            assert update.header == UPDATE_HEADER
            written = full_names(delta=parameters, buffer=BUFFERS, fisher=fisher)
            assert update.layout.keys() == written.keys()
            for name, array in written.items():
                assert update.read(name).tobytes() == array.tobytes()


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
def test_an_update_for_something_else_is_refused_by_name(field: str, value: Any) -> None:
    expected = replace(UPDATE_HEADER, **{field: value})
    with pytest.raises(ArtifactError, match=f"the update's {field} is .*: expected {value}") as refusal:
        check_binding(UPDATE_HEADER, expected)
    assert refusal.value.code == "header"


def test_an_update_may_claim_any_number_of_samples() -> None:
    """What binds an update says nothing of them."""
    check_binding(replace(UPDATE_HEADER, samples=2**53 - 1), UPDATE_HEADER)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (HEADER | {"kind": "model"}, "this is no update: its kind is 'model'"),
        (HEADER | {"version": 1}, "this update has version 1, of contracts before those"),
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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_update_is_not_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ArtifactError, match="'delta/a' holds NaN or infinity"):
        write_update(tmp_path / "update", UPDATE_HEADER, {"a": np.array([value], np.float32)}, {}, {})
    assert not list(tmp_path.iterdir())
