"""A journal of an earlier version is brought forward: nothing is lost on the way, and nothing spent returns."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import stat
import string
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import JournalBusy, JournalError
from processor.journal import Intent, SavedSecret, SavedUpdate, updates_folder
from processor.journal.copies import copy_path
from processor.journal.database import Database
from processor.journal.format import Format
from processor.journal.migration import migrate
from processor.journal.schema import JOURNAL
from tests.unit.journal.children import in_a_child
from tests.unit.journal.examples import BASE, CID, CLIENT, FEDERATION, KEY, OTHER_KEY, opened, update_of
from tests.unit.journal.landed import brought_forward, make_version_3, rows_in, write_version_3, write_version_4

NOW = JOURNAL.version
PARTS = ("migration", "copies", "format", "schema")
MIGRATING = tuple(f"/processor/{name}.py" for name in ("files", *(f"journal/{each}" for each in PARTS)))
UPDATES_OF_VERSION_3 = st.lists(
    st.tuples(st.integers(1, 2**60), st.binary(min_size=32, max_size=32), st.text(string.ascii_letters, min_size=1)),
    unique_by=lambda update: update[:2],
)


@pytest.fixture
def old(path: Path) -> Path:
    write_version_3(path)
    return path


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.journal.database.PATIENCE", 0.1)


@contextmanager
def open_elsewhere(path: Path) -> Iterator[sqlite3.Connection]:
    """The journal as a daemon of an earlier version has it open, between two of its cycles."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("SELECT * FROM identity").fetchall()
        yield other


@pytest.mark.parametrize("write", [write_version_3, write_version_4])
def test_everything_is_the_same_and_of_an_update_the_files_name_is_kept(
    path: Path, write: Callable[[Path], None]
) -> None:
    write(path)
    version, before = rows_in(path)
    opened(path).close()
    assert rows_in(path) == (NOW, brought_forward(before))
    assert rows_in(copy_path(path, version)) == (-version, before)


def test_intents_updates_secrets_and_metered_time_are_those_that_were_written(old: Path) -> None:
    with opened(old) as journal:
        assert journal.open_intents() == [Intent(2, "submitted", 3, 1, None, None, None, None, final=False)]
        [form] = journal.broadcasts(journal.open_intents()[0])
        assert (form.tx_hash, form.encrypted) == ("0xbb", b"signed")
        assert journal.update_for(3, KEY, BASE) == update_of(old.parent)
        seen = SavedUpdate(
            2, OTHER_KEY, BASE, BASE, updates_folder(old.parent) / BASE, 900, 360, 3000, 800, 12, True, True
        )
        assert journal.updates() == [seen, update_of(old.parent)]
        assert (journal.metered_ms(2, OTHER_KEY), journal.metered_ms(3, KEY)) == (900, 1200)
        assert journal.secret_for(KEY) == SavedSecret(KEY, 3, BASE, CID, b"encrypted", broadcast=True)
        assert journal.blocks() == [(18, "0x18"), (17, "0x17")]


def test_a_state_folder_that_was_moved_has_its_updates_where_it_is_now(old: Path, tmp_path: Path) -> None:
    moved = old.parent.rename(tmp_path / "moved")
    for _ in range(2):
        with opened(moved / old.name) as journal:
            assert journal.update_for(3, KEY, BASE) == update_of(moved)
        moved = moved.rename(tmp_path / "moved again")


@given(UPDATES_OF_VERSION_3, st.sampled_from(["", "relative/", "/", "/a/../b c/"]))
def test_every_update_is_the_same_but_for_the_folder_of_its_file(
    updates: list[tuple[int, bytes, str]], folder: str
) -> None:
    rows: list[tuple[object, ...]] = [
        (round, key, BASE, CID, folder + name, 1, 2, 3, None, None, 0, 1) for round, key, name in updates
    ]
    with closing(sqlite3.connect(":memory:")) as database:
        make_version_3(database, {"updates": rows})
        JOURNAL.bring_forward(database)
        found = database.execute("SELECT * FROM updates ORDER BY rowid").fetchall()
    assert found == brought_forward({"updates": rows})["updates"]


def test_what_a_killed_daemon_wrote_last_is_part_of_it(old: Path, tmp_path: Path) -> None:
    killed = tmp_path / "killed" / old.name
    killed.parent.mkdir()
    with open_elsewhere(old) as other:
        other.execute("UPDATE metered SET ms = 5000 WHERE round = 3")
        for part in ("", "-wal"):
            shutil.copy(old.with_name(old.name + part), killed.with_name(killed.name + part))
    with opened(killed) as journal:
        assert journal.metered_ms(3, KEY) == 5000
    assert (3, KEY, 5000) in rows_in(copy_path(killed, 3))[1]["metered"]


# ------------------------------------------------------------------------------------------------------------ the copy


def test_every_journal_that_was_put_back_has_a_copy_of_its_own(old: Path) -> None:
    copies = []
    for spent in range(3):
        old.unlink()
        write_version_3(old, {"metered": [(3, KEY, spent)]})
        opened(old).close()
        copies.append(rows_in(copy_path(old, 3, spent + 1)))
    assert [(version, tables["metered"]) for version, tables in copies] == [(-3, [(3, KEY, n)]) for n in range(3)]
    kept = [old.name, *(f"{old.name}.version-3{number}" for number in ("", ".2", ".3"))]
    assert sorted(file.name for file in old.parent.iterdir()) == kept
    assert {stat.S_IMODE(file.stat().st_mode) for file in old.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("number", [1, 2])
def test_no_copy_of_a_later_time_is_opened_either(old: Path, number: int) -> None:
    for spent in range(2):
        old.unlink()
        write_version_3(old, {"metered": [(3, KEY, spent)]})
        opened(old).close()
    copy_path(old, 3, number).replace(old)
    with pytest.raises(JournalError, match="is the copy that was kept of version 3"):
        opened(old)


def test_a_copy_is_kept_for_its_owner_alone_that_says_it_is_none(old: Path) -> None:
    _, before = rows_in(old)
    opened(old).close()
    copy = copy_path(old, 3)
    assert sorted(file.name for file in old.parent.iterdir()) == [old.name, copy.name]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert rows_in(copy) == (-3, before)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_copy_that_is_put_in_the_journals_place_is_refused(old: Path, read_only: bool) -> None:
    opened(old).close()
    copy_path(old, 3).replace(old)
    before = old.read_bytes()
    with pytest.raises(JournalError, match="is the copy that was kept of version 3"):
        opened(old, read_only=read_only)
    assert old.read_bytes() == before


def test_a_journal_that_is_lost_later_does_not_come_back_from_the_copy(old: Path) -> None:
    opened(old).close()
    copy = copy_path(old, 3).read_bytes()
    old.unlink()
    with opened(old) as journal:
        assert journal.intents() == [] and journal.metered_ms(3, KEY) == 0
    assert copy_path(old, 3).read_bytes() == copy


def test_a_program_of_the_version_before_refuses_what_was_brought_forward(old: Path) -> None:
    """It reads a file of version 3, and begins one where the version is 0."""
    opened(old).close()
    assert rows_in(old)[0] not in (0, 3) and rows_in(copy_path(old, 3))[0] not in (0, 3)


def test_somebody_elses_journal_is_not_brought_forward(old: Path) -> None:
    before = rows_in(old)
    with pytest.raises(JournalError, match="belongs to"):
        opened(old, address=FEDERATION)
    assert rows_in(old) == before and not copy_path(old, 3).exists()


# -------------------------------------------------------------------------------------------------- other programs


@pytest.mark.usefixtures("no_patience")
def test_a_journal_that_a_daemon_of_the_version_before_has_open_stays_as_it_is(old: Path) -> None:
    before = rows_in(old)
    with open_elsewhere(old) as other:
        with pytest.raises(JournalBusy, match=f"has version 3 and is brought to version {NOW} once no other program"):
            opened(old)
        other.execute("INSERT INTO metered VALUES (4, ?, 1)", (KEY,))
    assert rows_in(old)[0] == 3 and rows_in(old)[1]["updates"] == before[1]["updates"]
    with opened(old) as journal:
        assert journal.metered_ms(4, KEY) == 1


def test_who_only_reads_sees_what_a_daemon_of_the_version_before_has_open(old: Path) -> None:
    with open_elsewhere(old) as other:
        other.execute("INSERT INTO metered VALUES (4, ?, 1)", (KEY,))
        before = rows_in(old)
        with opened(old, read_only=True) as reader:
            assert reader.update_for(3, KEY, BASE) == update_of(old.parent)
            assert reader.metered_ms(4, KEY) == 1
            with pytest.raises(JournalError, match="readonly"):
                reader.keep_metered(4, KEY, 1)
        assert rows_in(old) == before and not copy_path(old, 3).exists()
        other.execute("UPDATE metered SET ms = 2 WHERE round = 4")
    assert (4, KEY, 2) in rows_in(old)[1]["metered"]


def test_a_program_of_the_version_before_that_begins_an_empty_file_first_is_waited_for_and_brought_forward(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect, looked = Database._inspect, []

    def inspect_and_be_slow(*asked: Any) -> int:
        looked.append(inspect(*asked))
        if looked[-1] == 0:
            write_version_3(path)
        return looked[-1]

    monkeypatch.setattr(Database, "_inspect", inspect_and_be_slow)
    with opened(path) as journal:
        assert journal.update_for(3, KEY, BASE) == update_of(path.parent)
    assert looked == [0, 3, NOW] and rows_in(path)[0] == NOW and rows_in(copy_path(path, 3))[0] == -3


def test_programs_that_start_at_once_bring_it_forward_once(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.journal.database.PATIENCE", 60.0)
    _, before = rows_in(old)

    def add(round: int) -> None:
        with opened(old) as journal:
            journal.keep_metered(round, KEY, 1)
            time.sleep(0.2 * (round % 2))  # some stay

    rounds = range(10, 18)
    children = [in_a_child(partial(add, round)) for round in rounds]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    version, after = rows_in(old)
    assert version == NOW and sorted(after["metered"]) == [*before["metered"], *((round, KEY, 1) for round in rounds)]
    assert rows_in(copy_path(old, 3)) == (-3, before)


def test_who_comes_second_finds_it_done_while_the_first_has_it_open(old: Path) -> None:
    with opened(old) as first:
        migrate(old, JOURNAL, patience=0)  # as decided when it was of version 3
        first.keep_metered(9, KEY, 1)
    assert rows_in(old)[0] == NOW


# ------------------------------------------------------------------------------------------------------- interruptions


def test_wherever_it_is_killed_it_is_of_one_version_or_the_other_and_goes_on(old: Path, tmp_path: Path) -> None:
    _, before = rows_in(old)
    versions = set()
    for line in range(1, 10_000):
        path = tmp_path / str(line) / old.name
        path.parent.mkdir()
        shutil.copy(old, path)
        child = in_a_child(killed_at(line, lambda: opened(path).close()))  # noqa: B023
        ended = os.waitpid(child, 0)[1]
        assert ended in (0, signal.SIGKILL)
        found = rows_in(path)
        assert found in ((3, before), (NOW, brought_forward(before)))
        versions.add(found[0])
        opened(path).close()
        assert rows_in(path) == (NOW, brought_forward(before))
        assert rows_in(copy_path(path, 3)) == (-3, before)
        assert len(list(path.parent.iterdir())) == 2
        if ended == 0:
            break
    assert versions == {3, NOW} and line > 20


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_leaves_it_as_it_is_until_there_is_room(
    old: Path, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    _, before = rows_in(old)

    def full(descriptor: int) -> None:
        raise OSError(why, os.strerror(why))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(JournalBusy, match=f"{os.strerror(why)}: free some space"):
            opened(old)
    assert rows_in(old) == (3, before) and [file.name for file in old.parent.iterdir()] == [old.name]
    opened(old).close()
    assert rows_in(old) == (NOW, brought_forward(before))


def test_a_step_that_fails_leaves_it_as_it_is(old: Path) -> None:
    _, before = rows_in(old)

    def fails(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM updates")
        raise sqlite3.OperationalError("no")

    with pytest.raises(JournalError, match="no"):
        Database(old, replace(JOURNAL, steps={3: fails}), (1337, FEDERATION, CLIENT))
    assert rows_in(old) == (3, before)


def test_steps_follow_one_another_and_the_copy_is_of_the_version_that_was_there(old: Path) -> None:
    def step(name: str) -> Callable[[sqlite3.Connection], None]:
        def insert(database: sqlite3.Connection) -> None:
            database.execute("INSERT INTO blocks VALUES (?, ?)", (100 + len(name), name))

        return insert

    later = Format("journal", 6, "", {3: step("x"), 4: step("xx"), 5: step("xxx")})
    Database(old, later, (1337, FEDERATION, CLIENT)).close()
    version, tables = rows_in(old)
    assert (version, tables["blocks"][2:]) == (6, [(101, "x"), (102, "xx"), (103, "xxx")])
    assert rows_in(copy_path(old, 3))[0] == -3 and len(list(old.parent.iterdir())) == 2


def killed_at(line: int, run: Callable[[], object]) -> Callable[[], object]:
    """What is killed before a line of those that migrate."""

    def traced() -> None:
        sys.settrace(_killer(line))
        run()

    return traced


def _killer(line: int) -> Callable[[FrameType, str, Any], Any]:
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        name = frame.f_code.co_filename
        if not name.endswith(MIGRATING):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace
