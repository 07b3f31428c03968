"""What an audit says of the server states of rounds that it cannot settle again: no more than it can know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processor.artifacts.plan import Plan
from processor.artifacts.report import Report
from processor.artifacts.state import ServerState, load_state, write_state
from processor.chain.asset import Asset
from processor.protocol.audit.artifacts import Workplace
from processor.protocol.audit.server_state import check_unseen_state
from processor.protocol.audit.verdict import Checks
from processor.protocol.measuring import Measured, Models
from processor.protocol.opened import Identity
from processor.protocol.settlement import conclude
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.tensors import Array
from processor.types import ZERO_ADDRESS
from tests.unit.artifacts.examples import CID, FEDERATION, PLAN, REPORT

BEFORE = ServerState(4, CID, best_metric=0.5, rounds_without_improvement=1, cid=CID)
MOMENT: dict[str, Array] = {"moment": np.array([1.0], np.float32)}
OTHER: dict[str, Array] = {"moment": np.array([2.0], np.float32)}


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    library = Library(LocalStorage(tmp_path / "store"))
    return Workplace(Identity(31337, FEDERATION), library, tmp_path, never, lambda cid, plan: None)


def never(plan: Plan, models: Models, dataset: Path) -> Measured:
    raise AssertionError("states are compared without a model being measured")


def following(
    folder: Path, before: ServerState, tensors: dict[str, Array], without_improvement: int = 0
) -> tuple[Report, ServerState]:
    """The report of the next round, and the state that it names, which holds these tensors."""
    state, stop = conclude(before.after(5, tensors), REPORT.metrics.after, PLAN, folder / "true")
    path = folder / "named"
    named = replace(state, rounds_without_improvement=without_improvement)
    cid = write_state(path, named)
    return replace(REPORT, server_state=cid, stop=stop), load_state(path)


def said(report: Report, named: ServerState | None, before: ServerState, place: Workplace) -> list[str]:
    checks = Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    check_unseen_state(checks, PLAN, report, named, before, place)
    return [violation.subject for violation in checks.violations]


def test_a_state_without_tensors_is_known_to_its_last_byte(place: Workplace) -> None:
    report, named = following(place.directory, BEFORE, {})
    assert said(report, named, BEFORE, place) == said(report, None, BEFORE, place) == []
    assert said(replace(report, server_state=CID), None, BEFORE, place) == ["CID of the server state"]


def test_tensors_that_the_updates_make_are_taken_as_they_are(place: Workplace) -> None:
    for before in (BEFORE, replace(BEFORE, tensors=MOMENT)):
        report, named = following(place.directory, before, OTHER)
        assert said(report, named, before, place) == []
    assert said(report, None, replace(BEFORE, tensors=MOMENT), place) == []


@pytest.mark.parametrize("tensors", [{}, OTHER])
def test_counters_of_the_stopping_rule_follow_whatever_the_tensors(place: Workplace, tensors: dict[str, Array]) -> None:
    before = replace(BEFORE, tensors=tensors)
    report, named = following(place.directory, before, tensors, without_improvement=7)
    assert said(report, named, before, place)[0] == "server state"
    assert "stopping rule" in said(replace(report, stop="patience"), named, before, place)


def test_what_follows_is_the_state_that_the_report_names(place: Workplace) -> None:
    before = replace(BEFORE, tensors=MOMENT)
    report, named = following(place.directory, before, OTHER)
    checks = Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    after = check_unseen_state(checks, PLAN, report, named, before, place)
    assert after is not None and after.cid == report.server_state and after.tensors["moment"] == OTHER["moment"]
    assert check_unseen_state(checks, PLAN, report, None, before, place) is None
