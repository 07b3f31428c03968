"""A journal is opened for its own wallet alone, whole, and of a version that this program reads."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from processor.errors import JournalBusy, JournalDamaged, JournalError
from processor.journal import Journal, SavedUpdate
from tests.unit.journal.examples import CLIENT, FEDERATION, KEY, SECRET, broadcast, opened


@pytest.mark.parametrize(
    "other", [{"chain_id": 1}, {"federation": CLIENT}, {"address": FEDERATION}], ids=["chain", "federation", "wallet"]
)
def test_anothers_journal_is_refused(path: Path, other: dict) -> None:
    opened(path).close()
    with pytest.raises(JournalError, match="belongs to"):
        opened(path, **other)


def test_a_file_that_is_no_journal_is_damaged(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("a letter\n" * 100)
    with pytest.raises(JournalDamaged, match="cannot be used"):
        opened(path)


def test_a_journal_with_a_page_overwritten_is_damaged(update: SavedUpdate, path: Path) -> None:
    with opened(path) as journal:
        for round in range(200):
            journal.save_update(replace(update, round=round))
    content = bytearray(path.read_bytes())
    content[2 * 4096 : 6 * 4096] = b"\xff" * (4 * 4096)
    path.write_bytes(content)
    with pytest.raises(JournalDamaged):
        opened(path)


def test_a_journal_that_another_process_holds_is_busy_and_not_damaged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(path).close()
    monkeypatch.setattr("processor.journal.database.PATIENCE", 0.1)
    with opened(path) as journal, sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalBusy, match="locked"):
            journal.keep_metered(1, KEY, 1)
        other.execute("ROLLBACK")
        journal.keep_metered(1, KEY, 1)


def test_a_full_disk_is_waited_out(update: SavedUpdate, path: Path) -> None:
    with opened(path) as journal:
        journal._database.execute("PRAGMA max_page_count = 1")  # SQLite's own full disk
        with pytest.raises(JournalBusy, match="free some space"):
            for round in range(1000):
                journal.save_update(replace(update, round=round))
        with pytest.raises(JournalBusy):
            for nonce in range(1000):
                journal.record_intent("submit", 3, nonce, broadcast(f"0x{nonce}"))
        journal._database.execute("PRAGMA max_page_count = 100000")
        journal.record_intent("submit", 3, 7, broadcast("0xee"))


@pytest.mark.parametrize(
    ("version", "advice"),
    [
        (1, "finish there .claim, leave, withdraw. with the version of Koinon that wrote it"),
        (2, "finish there .claim, leave, withdraw. with the version of Koinon that wrote it"),
        (6, "this program reads up to 5: update Koinon"),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_journal_of_another_version_is_refused_with_advice(
    path: Path, version: int, advice: str, read_only: bool
) -> None:
    opened(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=f"has version {version}, .*{advice}") as refused:
        opened(path, read_only=read_only)
    assert "state" not in str(refused.value).replace(str(path), "")
    assert path.read_bytes() == before


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be used"):
        opened(tmp_path)


def test_every_file_of_a_journal_is_its_owners_alone(journal: Journal, path: Path) -> None:
    journal.save_secret(SECRET)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_second_process_reads_while_the_first_writes(journal: Journal, path: Path) -> None:
    with opened(path) as reader:
        journal.save_secret(SECRET)
        assert reader.secret_for(KEY) == SECRET


def test_a_reader_writes_nothing_and_makes_nothing(path: Path) -> None:
    with opened(path, read_only=True) as reader:
        assert reader.intents() == [] and not path.parent.exists()
        with pytest.raises(JournalError, match="readonly"):
            reader.save_secret(SECRET)
    with opened(path) as journal:
        journal.save_secret(SECRET)
    with opened(path, read_only=True) as reader:
        assert reader.secret_for(KEY) == SECRET
        with pytest.raises(JournalError, match="readonly"):
            reader.broadcast_secret(KEY)


def test_a_reader_finds_nothing_in_a_journal_that_was_only_begun(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with opened(path, read_only=True) as reader:
        assert reader.intents() == []
    assert path.read_bytes() == b""


def test_an_update_that_is_not_in_the_folder_of_updates_is_not_saved(
    journal: Journal, update: SavedUpdate, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="where saved updates are"):
        journal.save_update(replace(update, path=tmp_path / update.cid))
