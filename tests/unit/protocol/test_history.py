"""What files and reports say of rounds is what the record chains, and each gives the other back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from processor.artifacts.round import ROUND as ROUNDS
from processor.chain.commitments import NO_RECORD, digest_of, next_record, outcome_of
from processor.cid import cid_of
from processor.errors import ArtifactError
from processor.protocol.history import (
    Published,
    ReportHistory,
    digest_of_file,
    digest_of_report,
    file_of_report,
    link_of_file,
    link_of_finished,
    link_of_report,
    record_of_file,
    report_history,
)
from tests.unit.artifacts.examples import ROUND
from tests.unit.protocol.histories import History, secret_of

LETTERS = "AFAFFAAF"


@pytest.fixture
def history() -> History:
    return History.of(LETTERS)


def test_record_of_a_file_is_what_the_contract_chains() -> None:
    digest = digest_of(ROUND.chain_id, ROUND.federation, ROUND.opening.value(), ROUND.submitted)
    assert digest_of_file(ROUND) == digest
    assert ROUND.outcome is not None
    word = outcome_of(ROUND.outcome.value())
    before = bytes.fromhex(ROUND.record_before)
    assert record_of_file(ROUND) == next_record(before, ROUND.round, digest, 2, 977 + 812, word)
    abandoned = replace(ROUND, outcome=None)
    assert record_of_file(abandoned) == next_record(before, ROUND.round, digest, 2, 977 + 812, bytes(32))


def test_every_part_of_a_file_changes_its_record() -> None:
    assert ROUND.outcome is not None
    changed = [
        replace(ROUND, record_before="45" * 32),
        replace(ROUND, updates=ROUND.updates[::-1]),
        replace(ROUND, opening=replace(ROUND.opening, pool="1")),
        replace(ROUND, chain_id=1),
        replace(ROUND, outcome=None),
        replace(ROUND, outcome=replace(ROUND.outcome, secret="00" * 32)),
        replace(ROUND, outcome=replace(ROUND.outcome, credited_ms=811)),
        replace(ROUND, outcome=replace(ROUND.outcome, adjustments=())),
    ]
    assert len({record_of_file(file) for file in [ROUND, *changed]}) == len(changed) + 1


def test_a_report_gives_back_the_file_of_its_round(history: History) -> None:
    for name, report in history.reports.items():
        file = history.files[report.round - 1]
        assert file_of_report(report, name, secret_of(report.round)) == file
        assert digest_of_report(report) == digest_of_file(file)
        assert link_of_report(report, name, secret_of(report.round)) == link_of_file(file)


def test_reports_name_the_last_two_finalized_rounds_and_all_that_were_abandoned_between(history: History) -> None:
    named = {
        report.round: (
            [one.round for one in report.abandoned],
            [(one.round, [lost.round for lost in one.abandoned]) for one in report.before],
        )
        for report in history.reports.values()
    }
    assert named == {
        2: ([1], []),
        4: ([3], [(2, [1])]),
        5: ([], [(4, [3]), (2, [1])]),
        8: ([6, 7], [(5, []), (4, [3])]),
    }


def test_what_a_report_names_leads_to_the_record_before_its_round(history: History) -> None:
    for report in history.reports.values():
        known = ReportHistory(report.before, report.abandoned)
        assert known.record().hex() == report.record_before
        for one in report.before:
            assert link_of_finished(one) == link_of_file(history.files[one.round - 1])
            assert link_of_finished(one).record().hex() == one.record


def test_lists_are_named_by_the_cids_of_their_files(history: History) -> None:
    _, report = history.report(8)
    assert [one.list for one in report.abandoned] == [cid_of(ROUNDS.encode(file)) for file in history.files[5:7]]


def test_before_the_first_report_there_is_nothing_but_abandoned_rounds() -> None:
    history = History.of("AA")
    known = report_history(None, reversed(history.files))
    assert known.before == ()
    assert [one.round for one in known.abandoned] == [1, 2]
    assert known.record() == history.record
    assert report_history(None, ()).record() == NO_RECORD


def test_a_round_that_is_missing_leads_elsewhere() -> None:
    history = History.of("FAA")
    name, report = history.report(1)
    last = Published(report, name, secret_of(1))
    assert report_history(last, history.files[1:]).record() == history.record
    assert report_history(last, history.files[2:]).record() != history.record


def test_a_finalized_round_is_no_abandoned_one(history: History) -> None:
    with pytest.raises(ArtifactError, match="round 2 was finalized: a report lists those that were abandoned"):
        report_history(None, history.files[:2])


def test_of_more_rounds_than_a_report_names_the_latest_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.protocol.history.MAX_ABANDONED", 2)
    assert [one.round for one in report_history(None, History.of("AAAA").files).abandoned] == [3, 4]
