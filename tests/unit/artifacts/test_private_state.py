from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from processor.artifacts.private_state import (
    FIRST_PRIVATE_STATE,
    PRIVATE_STATE,
    PrivateState,
    load_private_state,
    write_private_state,
)
from processor.cid import cid_of, cid_of_file
from processor.errors import ArtifactError, NewerVersion, Unreadable
from processor.tensors import write_tensors

CID = cid_of(b"the state before")


def test_a_state_is_read_back_as_it_was_written_and_knows_its_cid(tmp_path: Path) -> None:
    path, carried = tmp_path / "state", {"sum": np.array([[1.5, 2.5]], np.float32), "count": np.array(3)}
    cid = write_private_state(path, PrivateState(4, CID, carried))
    found = load_private_state(path)
    assert found == PrivateState(4, CID) and found.cid == cid == cid_of_file(path)
    assert {name: array.tobytes() for name, array in found.tensors.items()} == {
        name: array.tobytes() for name, array in carried.items()
    }


def test_only_its_owner_can_read_a_state(tmp_path: Path) -> None:
    write_private_state(tmp_path / "state", FIRST_PRIVATE_STATE.after())
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


def test_a_state_carries_its_tensors_on_unless_there_are_others(tmp_path: Path) -> None:
    write_private_state(tmp_path / "state", PrivateState(1, None, {"sum": np.ones(2, np.float32)}))
    state = load_private_state(tmp_path / "state")
    assert (state.after().release, state.after().before) == (2, state.cid)
    assert state.after().tensors["sum"].tolist() == [1.0, 1.0] and state.after({}).tensors == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "state"}, "is no private-state"),
        ({"release": 0}, "release: should be greater than or equal to 1"),
        ({"before": "ab"}, "before: "),
        ({"more": 1}, "more: is unknown"),
    ],
)
def test_what_is_no_private_state_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    header = {"kind": PRIVATE_STATE.name, "version": 1, "release": 1, "before": None}
    write_tensors(tmp_path / "state", {}, header | change)
    with pytest.raises(ArtifactError, match=said):
        load_private_state(tmp_path / "state")


def test_a_state_that_a_newer_koinon_wrote_is_told_from_one_that_is_no_good(tmp_path: Path) -> None:
    header = {"kind": PRIVATE_STATE.name, "version": 2, "release": 1, "before": None}
    write_tensors(tmp_path / "state", {}, header)
    with pytest.raises(NewerVersion, match="state: this private-state has version 2"):
        load_private_state(tmp_path / "state")


def test_a_state_that_is_not_there_is_never_taken_for_the_first(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        load_private_state(tmp_path / "state")
