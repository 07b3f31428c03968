"""From what state names the audit reads its way through reports and lists, and says of each that fails why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from processor.artifacts.report import REPORT, AbandonedRound, Report
from processor.artifacts.round import ROUND
from processor.cid import cid_of
from processor.protocol.history import digest_of_file
from processor.protocol.walk.claims import Claims, walk
from processor.protocol.walk.kept import Kept
from processor.protocol.walk.sources import Sources
from processor.storage import LocalStorage, put_bytes
from processor.storage.library import Library
from processor.types import Cid
from tests.unit.artifacts.examples import FEDERATION
from tests.unit.protocol.histories import CHAIN_ID, History, cid

LETTERS = "AFAFFAAF"


class CountingStorage(LocalStorage):
    asked: list[Cid]

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        self.asked.append(cid)
        super().get(cid, to, limit, seconds)


@pytest.fixture
def storage(tmp_path: Path) -> CountingStorage:
    storage = CountingStorage(tmp_path / "store")
    storage.asked = []
    return storage


def published(history: History, storage: LocalStorage) -> History:
    for report in history.reports.values():
        put_bytes(storage, REPORT.encode(report))
    for file in history.files:
        if file.outcome is None:
            put_bytes(storage, ROUND.encode(file))
    return history


def read(history: History, storage: LocalStorage, kept: Kept | None = None) -> Sources:
    state, claims = history.state(), Claims(CHAIN_ID, FEDERATION)
    claims.add_state(state)
    library = Library(storage) if kept is None else Library(storage, kept.artifact)
    sources = Sources(state, library, claims)
    sources.read(() if kept is None else kept.rounds())
    return sources


def unproved(sources: Sources) -> list[int]:
    steps = walk(sources.start, sources.claims, sources.missing)
    return [step.round for step in reversed(steps) if not step.proved]


def test_everything_is_read_once_from_what_state_names(storage: CountingStorage) -> None:
    history = published(History.of(LETTERS), storage)
    sources = read(history, storage)
    assert (sources.missing, sources.broken, unproved(sources)) == ({}, [], [])
    assert len(storage.asked) == len(set(storage.asked)) == len(LETTERS)
    lost = [file for file in history.files if file.outcome is None]
    assert sources.listed == {cid_of(ROUND.encode(file)): digest_of_file(file) for file in lost}


def test_what_nobody_serves_is_missing_and_not_broken(storage: CountingStorage) -> None:
    history = published(History.of(LETTERS), storage)
    name, _ = history.report(5)
    listed = cid_of(ROUND.encode(history.files[6]))
    for artifact in (name, listed):
        (storage.directory / artifact).unlink()
    sources = read(history, storage)
    assert set(sources.missing) == {name, listed}
    assert sources.broken == []
    assert unproved(sources) == [5, 7]


def test_what_is_no_report_or_list_is_broken_and_named_with_its_round(storage: CountingStorage) -> None:
    history = published(History.of(LETTERS), storage)
    name, _ = history.report(5)
    listed = cid_of(ROUND.encode(history.files[6]))
    for artifact in (name, listed):
        path = storage.directory / artifact
        path.write_bytes(path.read_bytes()[:-1] + b" ")
    sources = read(history, storage)
    assert {(one.round, one.subject) for one in sources.broken} == {(5, f"report {name}"), (7, f"list {listed}")}
    assert unproved(sources) == [5, 7]


def test_what_a_newer_version_wrote_is_missing_and_not_broken(storage: CountingStorage) -> None:
    newer_report = put_bytes(storage, b'{"kind":"report","version":99}')
    newer_list = put_bytes(storage, b'{"kind":"round","version":99}')

    def names_them(report: Report) -> Report:
        before = tuple(replace(one, report=newer_report) if one.round == 3 else one for one in report.before)
        abandoned = tuple(replace(one, list=newer_list) for one in report.abandoned)
        return replace(report, before=before, abandoned=abandoned)

    sources = read(published(History.of("FAFAF", {5: names_them}), storage), storage)
    assert sources.broken == []
    assert {(one.round, one.subject) for one in sources.newer} == {
        (3, f"report {newer_report}"),
        (4, f"list {newer_list}"),
    }
    assert all("update Koinon" in sources.missing[cid] for cid in (newer_report, newer_list))


def test_kept_artifacts_are_taken_where_nobody_serves_them(storage: CountingStorage, tmp_path: Path) -> None:
    history = published(History.of(LETTERS), storage)
    name, report = history.report(8)
    (storage.directory / name).unlink()
    assert unproved(read(history, storage)) == list(range(1, 9))
    kept = Kept(tmp_path / "kept", CHAIN_ID, FEDERATION)
    kept.keep_artifact(name, REPORT.encode(report))
    assert unproved(read(history, storage, kept)) == []


def test_reports_that_lead_round_in_circles_or_on_without_end_are_not_followed(storage: CountingStorage) -> None:
    def endless(report: Report) -> Report:
        many = tuple(
            AbandonedRound(round, "ab" * 20, update_count=1, claimed_ms=1, list=cid("list", round))
            for round in range(10, 200)
        )
        return replace(report, abandoned=many)

    history = published(History.of("FF", {2: endless}), storage)
    read(history, storage)
    assert len(storage.asked) <= 3 * 2 + 1


def test_a_report_of_a_later_round_than_the_one_it_is_named_for_is_broken(storage: CountingStorage) -> None:
    later = replace(History.of("FFF").report(3)[1], versions={"koinon": "another"})
    name = put_bytes(storage, REPORT.encode(later))

    def misled(report: Report) -> Report:
        return replace(report, before=(replace(report.before[0], report=name),))

    history = published(History.of("FF", {2: misled}), storage)
    (broken,) = read(history, storage).broken
    assert (broken.round, broken.subject) == (1, f"report {name}")
    assert "it is of round 3, and a report of round 1 or before is expected there" in broken.why
