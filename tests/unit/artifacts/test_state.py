"""A server state comes back as it was written, and holds only what it may."""

from __future__ import annotations

import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from processor.artifacts.model import write_model
from processor.artifacts.state import FIRST_STATE, ServerState, StateFile, load_state, open_state, write_state
from processor.cid import cid_of_file
from processor.errors import ArtifactError, Unreadable
from processor.tensors import BLOCK
from tests.unit.artifacts.examples import BUFFERS, CID, FISHER, MODEL_HEADER, PARAMETERS, STATE

ARRAYS = npst.arrays(np.float32, npst.array_shapes(max_side=3), elements=st.floats(-1e6, 1e6, width=32))
TENSORS = st.dictionaries(
    st.from_regex(r"\A[a-z]{1,5}\Z"), ARRAYS | ARRAYS.map(lambda array: array.astype(np.float64)), max_size=3
)
STATES = st.builds(
    ServerState,
    st.integers(0, 2**32 - 1),
    st.none() | st.just(CID),
    st.none() | st.floats(-1e15, 1e15),
    st.integers(0, 1_000),
    TENSORS,
)


@settings(deadline=None, max_examples=30)
@given(STATES)
def test_a_server_state_that_was_written_is_read(written: ServerState) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        cid = write_state(path, written)
        state = load_state(path)
        assert (state, state.cid) == (written, cid) == (written, cid_of_file(path))
        assert {name: array.tolist() for name, array in state.tensors.items()} == {
            name: array.tolist() for name, array in written.tensors.items()
        }


def test_a_state_that_was_read_is_written_with_the_same_bytes(tmp_path: Path) -> None:
    cid = write_state(tmp_path / "state", STATE)
    assert write_state(tmp_path / "copy", load_state(tmp_path / "state")) == cid


def test_the_tensors_of_a_state_are_read_only_when_they_are_asked_for(tmp_path: Path) -> None:
    write_state(tmp_path / "state", STATE)
    state = load_state(tmp_path / "state")
    assert set(state.tensors) == {"moment"} and "other" not in state.tensors
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(Unreadable, match="was truncated"):
        state.tensors["moment"]
    with pytest.raises(KeyError):
        state.tensors["other"]


def test_a_state_keeps_its_tensors_where_its_file_is_removed(tmp_path: Path) -> None:
    cid = write_state(tmp_path / "state", STATE)
    state = load_state(tmp_path / "state")
    (tmp_path / "state").unlink()
    assert state.tensors["moment"].tolist() == STATE.tensors["moment"].tolist()
    assert write_state(tmp_path / "again", state) == cid


def test_a_states_file_is_closed_once_nobody_has_its_tensors(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    write_state(tmp_path / "state", STATE)
    before = open_files()
    state = load_state(tmp_path / "state")
    following = replace(state.after(4), cid=None)
    del state
    assert open_files() == before + 1 and following.tensors["moment"].shape == (2,)
    del following
    assert open_files() == before


def test_a_state_of_many_tensors_is_copied_with_its_header_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = replace(STATE, tensors={f"tensor{number}": np.ones(1, np.float32) for number in range(2_000)})
    cid = write_state(tmp_path / "state", many)
    opened: list[Path] = []

    def watched(path: Path) -> StateFile:
        opened.append(path)
        return open_state(path)

    monkeypatch.setattr("processor.artifacts.state.open_state", watched)
    assert write_state(tmp_path / "copy", load_state(tmp_path / "state")) == cid
    assert opened == [tmp_path / "state"]


def test_memory_does_not_grow_with_a_states_tensors(tmp_path: Path) -> None:
    large = replace(STATE, tensors={"moment": np.ones(40 * BLOCK, np.float32)})
    cid = write_state(tmp_path / "state", large)
    tracemalloc.start()
    assert write_state(tmp_path / "copy", load_state(tmp_path / "state")) == cid
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < large.tensors["moment"].nbytes / 4


def test_the_first_state_is_followed_by_one_without_a_parent() -> None:
    first = FIRST_STATE.after(1)
    assert (first.round, first.parent, first.best_metric, dict(first.tensors)) == (1, None, None, {})


def test_the_next_state_names_the_file_of_the_one_before() -> None:
    assert replace(STATE, cid=CID).after(STATE.round + 1).parent == CID


@pytest.mark.parametrize("metric", [float("nan"), float("inf"), 1e16])
def test_a_metric_that_is_no_number_is_not_written(tmp_path: Path, metric: float) -> None:
    with pytest.raises(ArtifactError):
        write_state(tmp_path / "state", ServerState(1, None, metric, 0))
    assert not list(tmp_path.iterdir())


def test_a_model_is_no_server_state(tmp_path: Path) -> None:
    write_model(tmp_path / "model", MODEL_HEADER, PARAMETERS, BUFFERS, FISHER)
    with pytest.raises(ArtifactError, match="this is no state: its kind is 'model'"):
        open_state(tmp_path / "model")


def test_a_server_state_is_finite(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="'moment' holds NaN"):
        write_state(tmp_path / "state", replace(STATE, tensors={"moment": np.array([np.nan])}))
