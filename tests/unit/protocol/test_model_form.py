"""Nothing larger is fetched than a plan makes a model, and nothing of another form is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.artifacts.model import ModelHeader, write_model
from processor.artifacts.plan import PLAN, Factory, Plan
from processor.artifacts.state import ServerState, write_state
from processor.cid import cid_of
from processor.errors import ArtifactError, ArtifactTooLarge
from processor.protocol.model_form import ModelForm, fetch_model, form_of, forms_by
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.tensors import Array, Layout
from processor.types import Cid
from tests.in_process import InProcess
from tests.unit.artifacts.examples import PLAN as PLANNED

Shapes = Mapping[str, tuple[int, ...]]
CID = cid_of(b"another")
SHAPES = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8})?", fullmatch=True),
    st.lists(st.integers(1, 5), max_size=3).map(tuple),
    min_size=1,
    max_size=6,
)
ROUNDS = st.integers(0, 2**32 - 1)


def layout(shapes: Shapes) -> Layout:
    return {f"param/{name}": (np.dtype(np.float32), shape) for name, shape in shapes.items()}


def ones(shapes: Shapes) -> dict[str, Array]:
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


@settings(max_examples=40)
@given(shapes=SHAPES, round=ROUNDS, parent=st.sampled_from([None, CID]), fisher=st.booleans())
def test_no_model_of_a_plan_is_larger_than_its_form_and_the_largest_is_as_large(
    tmp_path_factory: pytest.TempPathFactory, shapes: Any, round: int, parent: Cid | None, fisher: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "model of a form"
    most = form_of(PLANNED, layout(shapes)).model_bytes
    write_model(path, ModelHeader(round, parent, CID), ones(shapes), {}, ones(shapes) if fisher else {})
    assert path.stat().st_size <= most
    write_model(path, ModelHeader(2**32 - 1, CID, CID), ones(shapes), {}, ones(shapes))
    assert path.stat().st_size == most


@given(round=ROUNDS, best=st.none() | st.floats(-1e15, 1e15), waited=st.integers(0, 2**53 - 1))
def test_no_server_state_of_a_plan_is_larger_than_its_form(
    tmp_path_factory: pytest.TempPathFactory, round: int, best: float | None, waited: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "state of a form"
    write_state(path, ServerState(round, CID, best, waited))
    assert path.stat().st_size <= form_of(PLANNED, {}).state_bytes


class Published:
    """A storage that has one model."""

    def __init__(self, folder: Path, shapes: Shapes) -> None:
        storage = LocalStorage(folder / "store")
        write_model(folder / "model", ModelHeader(1, CID, CID), ones(shapes), {}, {})
        self.cid = storage.put(folder / "model")
        self.library = Library(storage)


SMALL, LARGE = {"weight": (3, 2)}, {"weight": (300, 200)}


def test_a_model_above_what_its_plan_makes_is_not_fetched(tmp_path: Path) -> None:
    published, form = Published(tmp_path, LARGE), form_of(PLANNED, layout(SMALL))
    with pytest.raises(ArtifactTooLarge, match=f"a model of its plan has at most {form.model_bytes} bytes"):
        fetch_model(published.library, published.cid, tmp_path / "fetched", form)
    assert not (tmp_path / "fetched").exists()


def test_a_limit_of_the_reader_below_the_plan_s_is_kept_to(tmp_path: Path) -> None:
    published = Published(tmp_path, SMALL)
    with pytest.raises(ArtifactTooLarge, match="expected at most 10"):
        fetch_model(published.library, published.cid, tmp_path / "fetched", form_of(PLANNED, layout(SMALL)), most=10)


def test_a_model_of_the_size_but_not_of_the_form_of_its_plan_is_refused_by_its_tensors(tmp_path: Path) -> None:
    published = Published(tmp_path, {"weight": (2, 3)})
    with pytest.raises(ArtifactError, match=r"parameter weight: expected shape \[3, 2\], got shape \[2, 3\]"):
        fetch_model(published.library, published.cid, tmp_path / "fetched", form_of(PLANNED, layout(SMALL)))


def plan(model: Factory) -> tuple[Cid, Plan]:
    planned = replace(PLANNED, model=model)
    return cid_of(PLAN.encode(planned)), planned


def test_a_worker_tells_the_form_of_each_plan_once(tmp_path: Path) -> None:
    worker = InProcess()
    forms = forms_by(worker, tmp_path / "inspect")
    found = [forms(*plan(Factory("mlp", {"inputs": 64, "hidden": [wide], "outputs": 10}))) for wide in (7, 9, 7)]
    assert [None if form is None else form.layout["param/layer1.weight"][1] for form in found] == [
        (7, 64),
        (9, 64),
        (7, 64),
    ]
    assert found[0] is found[2]


def test_the_form_of_a_model_that_this_program_does_not_know_is_not_known(tmp_path: Path) -> None:
    forms = forms_by(InProcess(), tmp_path / "inspect")
    assert forms(*plan(Factory("somebody_else_s", {}))) is None


def test_without_a_form_any_model_is_fetched(tmp_path: Path) -> None:
    published = Published(tmp_path, LARGE)
    fetch_model(published.library, published.cid, tmp_path / "fetched", None)
    assert (tmp_path / "fetched").exists()


def test_a_form_has_no_room_for_tensors_of_a_state() -> None:
    assert ModelForm(layout(SMALL), state={}).state_bytes < 1000
