"""A client looks once what each report says of its own update, and says so where it is not what it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from processor import jcs
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.report import REPORT as REPORTS
from processor.artifacts.report import Report
from processor.daemons.own_reports import EVERY, OwnReports
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.metrics import Metrics
from processor.storage import LocalStorage, put_bytes
from processor.storage.library import Library
from processor.types import Cid, Phase, Release, RoundView
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, OPENING, PLAN, REPORT
from tests.unit.protocol.views import client_view, round_view

LINE = REPORT.updates[1]
BLOCK_NUMBER = 7


class Counted(Metrics):
    """Metrics that remember how reports came out."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[str] = []

    def reported(self, outcome: str) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def metrics() -> Counted:
    return Counted()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(LocalStorage(tmp_path / "store"))


@pytest.fixture
def reports(tmp_path: Path, library: Library, metrics: Counted) -> Iterator[OwnReports]:
    """Those of a client whose update of the report's round was seen on chain."""
    with Journal(tmp_path / "journal.sqlite", 31337, FEDERATION, CLIENTS[0]) as journal:
        path = updates_folder(tmp_path) / LINE.update
        saved = SavedUpdate(
            *(OPENING.round, OPENING.sealing_key, OPENING.base_model, LINE.update, path),
            compute_ms=LINE.claimed_ms,
            samples=LINE.weight,
            ends_at=OPENING.aggregation_deadline,
        )
        journal.save_update(saved)
        journal.see_update(saved, BLOCK_NUMBER, LINE.claimed_ms)
        yield OwnReports(CLIENTS[0], library, journal, metrics, structlog.get_logger())


@pytest.fixture
def publish(library: Library) -> Callable[..., RoundView]:
    """The latest round, whose report is this one, as the client sees it."""

    def published(report: Report = REPORT) -> RoundView:
        named = replace(report, opening=replace(report.opening, plan=library.publish(PLANS, PLAN)))
        return showing(library.publish(REPORTS, named))

    return published


def showing(report: Cid) -> RoundView:
    client = client_view(update=LINE.update, compute_ms=LINE.credited_ms)
    return round_view(OPENING.round, phase=Phase.FINALIZED, released=Release(REPORT.model, report), client=client)


def weighing(weight: int) -> Report:
    return replace(REPORT, updates=(REPORT.updates[0], replace(LINE, weight=weight)))


def events(reports: OwnReports, view: RoundView) -> list[str]:
    with capture_logs() as logs:
        reports.look(view)
    return [entry["event"] for entry in logs]


def test_a_report_that_says_what_the_client_knows_is_counted_once(
    reports: OwnReports, metrics: Counted, publish: Callable[..., RoundView]
) -> None:
    view = publish()
    assert events(reports, view) + events(reports, view) == []
    assert metrics.outcomes == ["accepted"]


def test_a_report_with_another_weight_than_the_clients_samples_differs(
    reports: OwnReports, metrics: Counted, publish: Callable[..., RoundView]
) -> None:
    assert events(reports, publish(weighing(LINE.weight - 1))) == ["the report differs from what we know"]
    assert metrics.outcomes == ["differs"]


def test_a_report_that_nobody_serves_is_asked_for_again_later(
    reports: OwnReports, metrics: Counted, monkeypatch: pytest.MonkeyPatch, publish: Callable[..., RoundView]
) -> None:
    now = [1000.0]
    monkeypatch.setattr("processor.daemons.own_reports.time.monotonic", lambda: now[0])
    assert events(reports, showing(LINE.update)) == ["the report cannot be had yet"]
    view = publish()
    assert events(reports, view) == [] and metrics.outcomes == []
    now[0] += EVERY
    assert events(reports, view) == [] and metrics.outcomes == ["accepted"]


def test_a_report_that_is_none_counts_as_one_that_differs(
    reports: OwnReports, metrics: Counted, library: Library
) -> None:
    assert events(reports, showing(put_bytes(library.storage, b"meow"))) == ["the report cannot be used"]
    assert metrics.outcomes == ["differs"]


def test_a_report_of_a_newer_version_is_said_to_be_that_and_does_not_differ(
    reports: OwnReports, metrics: Counted, library: Library
) -> None:
    newer = put_bytes(library.storage, jcs.dumps({"kind": "report", "version": REPORTS.version + 1}))
    with capture_logs() as logs:
        reports.look(showing(newer))
        reports.look(showing(newer))
    assert [entry["event"] for entry in logs] == ["the report cannot be read by this version"]
    assert "update Koinon" in logs[0]["error"]
    assert metrics.outcomes == []
