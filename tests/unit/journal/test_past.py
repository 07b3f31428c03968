"""What is remembered of rounds that went by, in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.journal import NamedList, ReadReport
from tests.unit.journal.examples import BASE, CID, KEY, OTHER_KEY, opened

PLAN = "plan"
FIRST = ReadReport("report 3", 3, PLAN, "patience", (BASE, CID))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_a_key_is_that_of_another_round_for_every_number_but_its_own(path: Path) -> None:
    with opened(path) as journal:
        for round, key in [(3, KEY), (3, KEY), (4, OTHER_KEY)]:
            journal.see_key(round, key)
        assert (journal.key_of_another(KEY, 5), journal.key_of_another(KEY, 3)) == (3, None)
        assert journal.key_of_another(b"\3" * 32, 5) is None
    with opened(path) as journal:
        assert journal.rounds_with_known_keys() == {3, 4}


def test_what_reports_said_outlives_the_daemon_until_a_reorganization_may_have_undone_it(path: Path) -> None:
    later = ReadReport("report 4", 4, PLAN, "max_rounds", ())
    with opened(path) as journal:
        journal.keep_report(later, [])
        journal.keep_report(FIRST, [])
    with opened(path) as journal:
        assert journal.read_reports() == {FIRST.cid: FIRST, later.cid: later}
        first = journal.stopped(PLAN)
        assert first is not None and (first.cid, first.stop) == ("report 3", "patience")
        assert journal.stopped("another plan") is None
        journal.forget_reports(4)
        assert set(journal.read_reports()) == {FIRST.cid}
        journal.forget_reports(1)
        assert journal.stopped(PLAN) is None


def test_lists_are_named_until_they_are_read_the_latest_round_first(path: Path) -> None:
    lists = [NamedList(BASE, 1, b"\1" * 20), NamedList(CID, 2, b"\2" * 20)]
    with opened(path) as journal:
        journal.keep_report(FIRST, lists)
        assert journal.named_lists() == lists[::-1]
        journal.done_with_list(CID)
        assert journal.named_lists() == lists[:1]
