"""A round is settled by its plan's version: what is learned of updates later changes no earlier round."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processor.artifacts.model import write_model
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.state import FIRST_STATE
from processor.artifacts.update import NEWEST_UNDER_PLAN, UPDATE, UpdateFile, UpdateHeader, open_update
from processor.artifacts.versions import Kind, Older
from processor.privacy.sealing import generate_key_pair, seal_file
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.settlement import settle
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.tensors import Array, write_tensors
from processor.types import Submitted
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, FISHER, MODEL_HEADER, OPENING, PARAMETERS
from tests.unit.protocol.test_settlement_buffers import BASE, NEW, OLD

KEYS = generate_key_pair()


@dataclass(frozen=True)
class UpdateHeader3(UpdateHeader):
    """What a later version of an update may say."""

    note: str


def _up(header: UpdateHeader) -> UpdateHeader3:
    return UpdateHeader3(**{field.name: getattr(header, field.name) for field in fields(UpdateHeader)}, note="")


def _down(header: UpdateHeader3) -> UpdateHeader | None:
    if header.note:
        return None
    return UpdateHeader(**{field.name: getattr(header, field.name) for field in fields(UpdateHeader)})


LATER = Kind(
    "update",
    UPDATE.limit,
    UpdateHeader3,
    version=3,
    older=(Older(UpdateHeader, up=_up, down=_down),),
    groups=UPDATE.groups,
)


def reasons(folder: Path, plan: Plan, version: int, deltas: dict[str, Array] = PARAMETERS) -> list[str | None]:
    """Why the updates of a round are rejected; the second is of this version."""
    library = Library(LocalStorage(folder / "store"))
    write_model(folder / "base", MODEL_HEADER, PARAMETERS, BASE, {})
    opening = replace(OPENING, base_model=library.storage.put(folder / "base"))
    round = OpenedRound(Identity(31337, FEDERATION), opening, plan)
    submitted = []
    for client, number, delta in zip(CLIENTS, (2, version), (PARAMETERS, deltas), strict=True):
        header = LATER.tagged(_up(round.update_header(client, 10)))
        if number == 3:
            header |= {"version": 3, "note": "of a later version"}
        groups = {"delta": delta, "buffer": BASE, "fisher": FISHER}
        tensors = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
        write_tensors(folder / "plain", tensors, header)
        seal_file(folder / "plain", folder / "sealed", KEYS.public)
        submitted.append(Submitted(client, library.storage.put(folder / "sealed"), 1_000))
    with settle(round, submitted, KEYS.secret, FIRST_STATE, None, library, folder / "work") as settlement:
        return [update.reason for update in settlement.updates]


@pytest.fixture(params=[False, True], ids=["unknown", "known"])
def later(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this program knows version 3 of updates."""
    if request.param:
        monkeypatch.setattr(UpdateFile, "KIND", LATER)
    return bool(request.param)


@pytest.mark.parametrize("plan", [OLD, NEW], ids=["plan of version 1", "plan of version 2"])
def test_an_update_of_a_version_above_the_plans_is_malformed_whether_or_not_it_is_known(
    tmp_path: Path, plan: Plan, later: bool
) -> None:
    assert reasons(tmp_path, plan, 2) == [None, None]
    assert reasons(tmp_path, plan, 3) == [None, "malformed"]
    if later:
        with open_update(tmp_path / "plain") as update:
            assert update.version == 3


@pytest.mark.usefixtures("later")
def test_that_it_is_malformed_comes_before_whatever_else_is_wrong_with_it(tmp_path: Path) -> None:
    wide: Any = {name: array.astype(np.float64) for name, array in PARAMETERS.items()}
    assert reasons(tmp_path, NEW, 2, wide) == [None, "dtype"]
    assert reasons(tmp_path, NEW, 3, wide) == [None, "malformed"]


def test_every_version_of_a_plan_says_which_updates_it_allows() -> None:
    assert NEWEST_UNDER_PLAN.keys() == PLAN.schemas.keys()
    assert set(NEWEST_UNDER_PLAN.values()) <= set(range(UPDATE.oldest, UPDATE.version + 1))
    assert NEWEST_UNDER_PLAN[PLAN.version] == UPDATE.version, "a new version of updates needs a new one of plans"
