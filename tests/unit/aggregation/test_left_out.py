"""Which update was left out of an average is found by one block of each, and only a match is believed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from processor.aggregation import left_out as module
from processor.aggregation.combine import combine
from processor.aggregation.facts import facts_of
from processor.aggregation.inputs import Accepted
from processor.aggregation.left_out import left_out
from processor.artifacts.model import ModelHeader, open_model, write_model
from processor.artifacts.state import FIRST_STATE
from processor.artifacts.update import UpdateHeader, open_update, write_update
from processor.tensors import Array
from processor.types import Address, Cid
from tests.unit.artifacts.examples import BUFFERS, CID, FEDERATION, FISHER, PARAMETERS, PLAN

HEADER = ModelHeader(round=1, parent=CID, plan=CID)


@dataclass(frozen=True)
class Round:
    """A round of a few updates in a folder."""

    folder: Path
    accepted: tuple[Accepted, ...]

    @staticmethod
    def of(folder: Path, steps: list[float]) -> Round:
        write_model(folder / "base", ModelHeader(round=0, parent=None, plan=CID), PARAMETERS, BUFFERS, {})
        accepted = []
        for number, step in enumerate(steps):
            client = f"0x{number + 1:040x}"
            header = UpdateHeader(31337, FEDERATION, 1, client, CID, samples=10 + number)
            deltas: dict[str, Array] = {name: value * np.float32(step) for name, value in PARAMETERS.items()}
            write_update(folder / client, header, deltas, BUFFERS, FISHER)
            with open_model(folder / "base") as base, open_update(folder / client) as update:
                accepted.append(Accepted(client, folder / client, 10 + number, facts_of(update, base, PLAN)))
        return Round(folder, tuple(accepted))

    def average(self, *without: int) -> Cid:
        others = [one for number, one in enumerate(self.accepted) if number not in without]
        cid, _ = combine(self.folder / "base", FIRST_STATE, others, PLAN, HEADER, self.folder / "released")
        return cid

    def explained(self, cid: Cid) -> Address | None:
        found = left_out(
            base=self.folder / "base",
            released=self.folder / "released",
            cid=cid,
            state=FIRST_STATE,
            accepted=self.accepted,
            plan=PLAN,
            header=HEADER,
            out=self.folder / "without-one",
        )
        assert not (self.folder / "without-one").exists()
        return found


@pytest.mark.parametrize("missing", [0, 2, 3])
def test_the_update_that_was_left_out_is_named(tmp_path: Path, missing: int) -> None:
    round = Round.of(tmp_path, [0.1, 0.05, -0.07, 0.002])
    assert round.explained(round.average(missing)) == round.accepted[missing].client


def test_only_the_averages_that_one_block_allows_are_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    round, made = Round.of(tmp_path, [0.1, 0.05, -0.07, 0.002]), []
    released = round.average(1)

    def counting(*parts: object) -> object:
        made.append(parts)
        return combine(*parts)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "combine", counting)
    assert round.explained(released) == round.accepted[1].client
    assert len(made) == 1
    round.average(0, 1)
    assert round.explained(released) is None
    assert len(made) == 1


def test_an_average_that_is_wrong_in_another_way_is_not_explained(tmp_path: Path) -> None:
    round = Round.of(tmp_path, [0.1, 0.05, -0.07])
    header = ModelHeader(round=1, parent=CID, plan=CID)
    changed = {name: value + np.float32(0.25) for name, value in PARAMETERS.items()}
    assert round.explained(write_model(tmp_path / "released", header, changed, BUFFERS, FISHER)) is None


def test_a_model_of_other_tensors_is_not_explained(tmp_path: Path) -> None:
    round = Round.of(tmp_path, [0.1, 0.05, -0.07])
    other: dict[str, Array] = {"1.weight": np.zeros((7, 3), np.float32)}
    assert round.explained(write_model(tmp_path / "released", HEADER, other, {}, {})) is None


def test_a_model_with_numbers_that_are_not_finite_is_not_explained(tmp_path: Path) -> None:
    round, released = Round.of(tmp_path, [0.1, 0.05, -0.07]), tmp_path / "released"
    write_model(released, HEADER, PARAMETERS, BUFFERS, FISHER)
    weights = PARAMETERS["1.weight"]
    released.write_bytes(released.read_bytes().replace(weights.tobytes(), np.full_like(weights, np.inf).tobytes(), 1))
    assert round.explained(CID) is None


def test_a_block_that_matches_where_the_rest_does_not_is_not_believed(tmp_path: Path) -> None:
    """The weights are those of the average without one, and the buffers are not."""
    round = Round.of(tmp_path, [0.1, 0.05, -0.07])
    round.average(1)
    with open_model(tmp_path / "released") as model:
        parts = [dict(model.group(group)) for group in ("param/", "buffer/", "fisher/")]
    buffers = {name: value + 1 for name, value in parts[1].items()}
    cid = write_model(tmp_path / "changed", HEADER, parts[0], buffers, parts[2])
    (tmp_path / "changed").replace(tmp_path / "released")
    assert round.explained(cid) is None
