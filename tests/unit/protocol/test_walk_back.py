"""The walk from state through every source: logs are asked for only where something is missing without them, and what
came is told by round."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from processor.artifacts.report import REPORT
from processor.artifacts.round import ROUND, RoundFile
from processor.protocol.walk import Walk, walk_back
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import Phase, Release
from tests.unit.artifacts.examples import CLIENTS
from tests.unit.protocol.histories import History
from tests.unit.protocol.views import round_view


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(LocalStorage(tmp_path / "store"))


def published(library: Library, letters: str, *without: int) -> History:
    """A history, with its reports but for those of some rounds, and with the lists of abandoned rounds, in storage."""
    history = History.of(letters)
    for report in history.reports.values():
        if report.round not in without:
            library.publish(REPORT, report)
    for file in history.files:
        if file.outcome is None:
            library.publish(ROUND, file)
    return history


def test_reports_alone_prove_every_round_and_no_log_is_read(library: Library) -> None:
    history = published(library, "FAFF")

    def unwanted() -> list[RoundFile]:
        raise AssertionError("nobody should need the logs")

    found = walk_back(history.state(), library, logged=unwanted)
    assert (list(found.steps), found.proved, found.broken) == ([1, 2, 3, 4], True, ())
    assert list(found.files) == history.files
    assert {line.client for one in found.lists for line in one.updates} == set(CLIENTS)


def test_where_two_reports_in_a_row_are_gone_the_logs_are_asked_and_prove_the_rest(library: Library) -> None:
    history = published(library, "FFFFF", 3, 4)
    alone = walk_back(history.state(), library)
    assert [step.round for step in alone.steps.values() if not step.proved] == unproved_of(alone) != []
    asked: list[int] = []

    def logged() -> list[RoundFile]:
        asked.append(1)
        return history.files

    found = walk_back(history.state(), library, logged=logged)
    assert (found.proved, asked) == (True, [1])
    assert list(found.files) == history.files


def test_rounds_that_somebody_kept_are_as_good_as_logs(library: Library) -> None:
    history = published(library, "FFFF", 1, 2, 3)
    found = walk_back(history.state(), library, kept=history.files)
    assert found.proved
    assert found.report_of(4) == history.report(4)
    assert found.report_of(3) == (history.report(3)[0], None)


def test_before_the_first_round_there_is_nothing_to_walk_over(library: Library) -> None:
    nothing = Release(None, None)
    view = round_view(round=0, phase=Phase.NONE, base=nothing, released=nothing)
    start = replace(History.of("F").state(), view=view, record=bytes(32), latest=nothing, adjustments=())
    found = walk_back(start, library)
    assert (found.steps, found.proved, found.files, found.lists) == ({}, True, (), ())


def unproved_of(found: Walk) -> list[int]:
    return [number for number, step in found.steps.items() if step.because is not None]
