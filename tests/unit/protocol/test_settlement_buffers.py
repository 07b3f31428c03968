"""Buffers are numbers of strangers: from version 2 of a plan on a settlement holds them to what the plan declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processor.aggregation.declared import with_counters_cut
from processor.artifacts.buffers import Average, Buffer, Counter, Pooled
from processor.artifacts.model import load_model, write_model
from processor.artifacts.plan import Plan
from processor.artifacts.state import FIRST_STATE
from processor.artifacts.update import write_update
from processor.privacy.sealing import generate_key_pair, seal_file
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.settlement import Settlement, conclude, settle, state_at
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.tensors import Array
from processor.types import Submitted
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, FISHER, MODEL_HEADER, OPENING, PARAMETERS, PLAN

KEYS = generate_key_pair()
SAMPLES = 10
BASE: dict[str, Array] = {
    "bn.running_mean": np.array([1.0], np.float32),
    "bn.running_var": np.array([1.0], np.float32),
    "bn.num_batches_tracked": np.array(10, np.int64),
}
DECLARED: Mapping[str, Buffer] = {
    "bn.running_mean": Average("average", -1_000.0, 1_000.0),
    "bn.running_var": Pooled("pooled", "bn.running_mean", 0.0, 1_000.0),
    "bn.num_batches_tracked": Counter("counter", 0, 10**9),
}
HOSTILE: dict[str, Array] = {
    "bn.running_var": np.array([-5.0], np.float32),
    "bn.running_mean": np.array([3e38], np.float32),
    "bn.num_batches_tracked": np.array(2**63 - 1, np.int64),
}
NEGATIVE = {"bn.num_batches_tracked": np.array(-3, np.int64)}
OLD = replace(PLAN, aggregation=replace(PLAN.aggregation, min_updates=1))
NEW = replace(OLD, buffers=DECLARED)


@contextmanager
def settled(
    folder: Path,
    plan: Plan,
    *buffers: dict[str, Array],
    samples: tuple[int, int] = (SAMPLES, SAMPLES),
    base: dict[str, Array] = BASE,
) -> Iterator[Settlement]:
    """A round in which each client sends the base model's buffers but for these."""
    library = Library(LocalStorage(folder / "store"))
    write_model(folder / "base", MODEL_HEADER, PARAMETERS, base, {})
    opening = replace(OPENING, base_model=library.storage.put(folder / "base"))
    round = OpenedRound(Identity(31337, FEDERATION), opening, plan)
    submitted = []
    for client, changed, count in zip(CLIENTS, buffers, samples, strict=True):
        plain, sealed = folder / "plain", folder / f"{client}.sealed"
        write_update(plain, round.update_header(client, count), PARAMETERS, base | changed, FISHER)
        seal_file(plain, sealed, KEYS.public)
        submitted.append(Submitted(client, library.storage.put(sealed), 1_000))
    with settle(round, submitted, KEYS.secret, FIRST_STATE, None, library, folder / "work") as settlement:
        yield settlement


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_an_update_outside_what_is_declared_is_rejected_and_costs_its_client(tmp_path: Path, name: str) -> None:
    with settled(tmp_path, NEW, {}, {name: HOSTILE[name]}) as settlement:
        assert [update.reason for update in settlement.updates] == [None, "buffer"]
        assert [update.slash_rate for update in settlement.updates] == [0, PLAN.slashing.rate]
        assert load_model(settlement.model_path).buffers == BASE


def test_a_counter_below_the_base_models_is_rejected(tmp_path: Path) -> None:
    with settled(tmp_path, NEW, {}, NEGATIVE) as settlement:
        assert [update.reason for update in settlement.updates] == [None, "buffer"]


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_a_counter_may_be_ahead_by_the_steps_of_the_round(tmp_path: Path, ahead: int) -> None:
    steps = NEW.local.steps_of(SAMPLES)
    assert steps == 1
    counted = {"bn.num_batches_tracked": np.array(10 + ahead, np.int64)}
    with settled(tmp_path, NEW, {}, counted) as settlement:
        assert [update.reason for update in settlement.updates] == [None, None if ahead <= steps else "buffer"]


def test_samples_that_nobody_has_lift_a_counter_by_the_plans_heaviest_weight_alone(tmp_path: Path) -> None:
    plan = replace(NEW, aggregation=replace(NEW.aggregation, max_weight=640))
    assert plan.local.steps_of(640) == 10
    hostile = {"bn.num_batches_tracked": np.array(10**9, np.int64)}
    with settled(tmp_path, plan, {}, hostile, samples=(SAMPLES, 2**53 - 1)) as settlement:
        assert [update.reason for update in settlement.updates] == [None, None]
        counter = load_model(settlement.model_path).buffers["bn.num_batches_tracked"]
    assert counter == 10 + 10
    following = {"bn.num_batches_tracked": counter + np.int64(1)}
    base = BASE | {"bn.num_batches_tracked": counter}
    with settled(tmp_path, plan, following, following, base=base) as settlement:
        assert [update.reason for update in settlement.updates] == [None, None]


def test_a_counter_that_has_reached_its_most_still_lets_rounds_settle(tmp_path: Path) -> None:
    full = replace(NEW, buffers={**DECLARED, "bn.num_batches_tracked": Counter("counter", 0, 10)})
    trained = BASE | {"bn.num_batches_tracked": np.array(11, np.int64)}
    with settled(tmp_path, full, trained, with_counters_cut(trained, BASE, full, SAMPLES)) as settlement:
        assert [update.reason for update in settlement.updates] == ["buffer", None]
        assert load_model(settlement.model_path).buffers["bn.num_batches_tracked"] == 10


def test_a_round_of_a_plan_of_version_1_is_settled_as_it_was(tmp_path: Path) -> None:
    with settled(tmp_path, OLD, {}, {"bn.running_var": HOSTILE["bn.running_var"]}) as settlement:
        assert [update.reason for update in settlement.updates] == [None, None]
        assert load_model(settlement.model_path).buffers["bn.running_var"] == np.float32(-2.0)


def test_a_state_goes_from_one_round_to_the_next_by_its_cid(tmp_path: Path) -> None:
    library = Library(LocalStorage(tmp_path / "store"))
    with settled(tmp_path, NEW, {}, {}) as settlement:
        state, decision = conclude(settlement.state, 0.5, NEW, tmp_path / "state")
    assert (state.round, state.parent, state.best_metric, decision) == (OPENING.round, None, 0.5, None)
    assert library.storage.put(tmp_path / "state") == state.cid
    read = state_at(state.cid, library, tmp_path / "read")
    assert (read, read.cid) == (state, state.cid)
    assert state_at(None, library, tmp_path / "none") == FIRST_STATE
