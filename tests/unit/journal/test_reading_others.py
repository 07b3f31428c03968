"""Who may not write a journal reads in it all the same, and leaves nothing in its folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from processor.errors import JournalBusy, JournalDamaged, JournalError
from processor.journal.access import is_own
from processor.journal.copies import copy_database, copy_path
from tests.unit.journal.children import in_a_child, without_privileges
from tests.unit.journal.examples import BASE, KEY, opened, update_of
from tests.unit.journal.landed import write_version_3


def write_this_version(path: Path) -> None:
    write_version_3(path)
    opened(path).close()
    copy_path(path, 3).unlink()


WRITTEN = pytest.mark.parametrize("written", [write_version_3, write_this_version])
MODES = pytest.mark.parametrize(
    ("folder", "file"),
    [(0o500, 0o600), (0o500, 0o400), (0o700, 0o400)],
    ids=["folder", "both", "file"],
)


@contextmanager
def modes(path: Path, folder: int, file: int) -> Iterator[None]:
    path.chmod(file)
    path.parent.chmod(folder)
    yield
    path.parent.chmod(0o700)
    path.chmod(0o600)


def files(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


def check(path: Path, metered: int = 1200) -> None:
    with opened(path, read_only=True) as reader:
        assert reader.metered_ms(3, KEY) == metered
        assert reader.update_for(3, KEY, BASE) == update_of(path.parent)
        with pytest.raises(JournalError, match="readonly"):
            reader.keep_metered(3, KEY, 1)


@WRITTEN
@MODES
def test_a_journal_that_cannot_be_written_is_read_and_left_as_it_is(
    path: Path, written: Callable[[Path], None], folder: int, file: int
) -> None:
    written(path)
    before = files(path)
    with modes(path, folder, file):
        assert without_privileges(lambda: check(path))
        assert files(path) == before
    opened(path).close()


@WRITTEN
@MODES
def test_what_a_killed_daemon_wrote_last_is_read_too(
    path: Path, written: Callable[[Path], None], folder: int, file: int
) -> None:
    written(path)

    def write_and_die() -> None:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("UPDATE metered SET ms = 5000 WHERE round = 3")
        os.kill(os.getpid(), 9)

    os.waitpid(in_a_child(write_and_die), 0)
    before = files(path)
    assert len(before[f"{path.name}-wal"]) > 0
    with modes(path, folder, file):
        assert without_privileges(lambda: check(path, metered=5000))
        assert files(path) == before


@WRITTEN
@MODES
def test_who_would_write_one_that_cannot_be_written_is_refused_and_leaves_it_as_it_is(
    path: Path, written: Callable[[Path], None], folder: int, file: int
) -> None:
    written(path)
    before = files(path)
    named = path if folder == 0o700 else path.parent

    def write() -> None:
        with pytest.raises(JournalError, match=f"may not write {named}; run as the user whose it is"):
            opened(path)

    with modes(path, folder, file):
        assert without_privileges(write)
        assert files(path) == before
    opened(path).close()


def test_a_journal_that_cannot_be_read_is_refused(path: Path) -> None:
    write_this_version(path)

    def read() -> None:
        with pytest.raises(JournalError, match="cannot be used: .*Permission denied"):
            opened(path, read_only=True)

    with modes(path, 0o700, 0o000):
        assert without_privileges(read)


def test_a_journal_that_is_another_users_is_read_without_a_file_of_ours_next_to_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_this_version(path)
    assert is_own(path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert not is_own(path)
    with opened(path, read_only=True):
        assert list(files(path)) == [path.name]


def test_one_that_was_only_begun_or_is_no_journal_is_what_it_is_for_everybody(path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    def read_nothing() -> None:
        with opened(path, read_only=True) as reader:
            assert reader.intents() == []

    def read_damaged() -> None:
        with pytest.raises(JournalDamaged):
            opened(path, read_only=True)

    with modes(path, 0o500, 0o400):
        assert without_privileges(read_nothing)
    path.write_text("a letter\n" * 100)
    with modes(path, 0o500, 0o400):
        assert without_privileges(read_damaged)


def test_a_reader_of_a_mount_that_is_read_only_reads(path: Path) -> None:
    write_this_version(path)
    before = files(path)
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 77; exec "$@"'
    reader = (
        "import sys; from pathlib import Path; from tests.unit.journal.test_reading_others import check;"
        "check(Path(sys.argv[1]))"
    )
    command = ["unshare", "--mount", "sh", "-c", mount, str(path.parent), sys.executable, "-c", reader, str(path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip(f"no mounts of our own here: {ended.stderr}")
    assert ended.returncode == 0, ended.stderr
    assert files(path) == before


def test_a_copy_is_of_one_moment_whatever_a_daemon_writes_meanwhile(path: Path, tmp_path: Path) -> None:
    with opened(path) as journal:
        journal.keep_metered(1, KEY, 1)
        journal.keep_metered(2, KEY, 1)

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA wal_autocheckpoint = 3")
            while True:
                for _ in range(20):
                    database.execute("BEGIN IMMEDIATE")
                    database.execute("UPDATE metered SET ms = ms + 1 WHERE round = 1")
                    database.execute("UPDATE metered SET ms = ms + 1 WHERE round = 2")
                    database.execute("COMMIT")
                time.sleep(0.01)

    deadline, seen = time.monotonic() + 60, set[int]()
    writer = in_a_child(write)
    try:
        while len(seen) < 4 and time.monotonic() < deadline:
            copy = tmp_path / "copies" / path.name
            shutil.rmtree(copy.parent, ignore_errors=True)
            copy.parent.mkdir()
            with suppress(JournalBusy):
                copy_database(path, copy)
                with opened(copy) as journal:
                    assert journal.metered_ms(1, KEY) == journal.metered_ms(2, KEY)
                    seen.add(journal.metered_ms(1, KEY))
    finally:
        os.kill(writer, 9)
        os.waitpid(writer, 0)
    assert len(seen) >= 4


def test_one_that_is_written_to_all_the_time_is_busy(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version_3(path)
    read = Path.read_bytes

    def read_and_write(file: Path) -> bytes:
        content = read(file)
        with file.open("ab") as busy:
            busy.write(b"more")
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_write)
    with pytest.raises(JournalBusy, match="writes to .* all the time: try again"):
        copy_database(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_reader_of_what_is_its_own_sees_what_is_written_later(path: Path) -> None:
    with opened(path) as journal, opened(path, read_only=True) as reader:
        journal.keep_metered(1, KEY, 1)
        assert reader.metered_ms(1, KEY) == 1
