"""The journal: what was written is there after any end, once, and for its own wallet alone."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.errors import JournalError
from processor.journal import Intent, Journal, SavedUpdate

FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
CLIENT = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"
KEY, OTHER_KEY = b"\1" * 32, b"\2" * 32
UPDATE = SavedUpdate(3, KEY, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", Path("/state/3.sealed"), 1200, 360)


def opened(path: Path, chain_id: int = 1337, federation: str = FEDERATION, address: str = CLIENT) -> Journal:
    return Journal(path, chain_id, federation, address)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with opened(path) as journal:
        yield journal


def test_an_intent_has_no_status_until_it_is_settled(journal: Journal) -> None:
    journal.record_intent("register", None, 0, "0xaa")
    journal.record_intent("submit", 3, 1, "0xbb")
    journal.settle_intent("0xaa", "mined", 17)
    assert journal.intents() == [
        Intent("register", None, 0, "0xaa", "mined", 17),
        Intent("submit", 3, 1, "0xbb", None, None),
    ]
    assert journal.open_intents() == journal.intents()[1:]


def test_recording_an_intent_again_keeps_its_status(journal: Journal) -> None:
    journal.record_intent("submit", 3, 1, "0xbb")
    journal.settle_intent("0xbb", "failed", 18)
    journal.record_intent("submit", 3, 1, "0xbb")
    assert journal.intents() == [Intent("submit", 3, 1, "0xbb", "failed", 18)]


def test_an_intent_that_was_never_recorded_cannot_be_settled(journal: Journal) -> None:
    with pytest.raises(JournalError, match="0xcc"):
        journal.settle_intent("0xcc", "mined", 1)


def test_a_round_has_one_update(journal: Journal) -> None:
    assert journal.update_for(3, KEY) is None
    journal.save_update(UPDATE)
    assert journal.update_for(3, KEY) == UPDATE
    with pytest.raises(JournalError, match="round 3"):
        journal.save_update(UPDATE)


def test_a_round_of_the_same_number_and_another_key_is_another_round(journal: Journal) -> None:
    journal.save_update(UPDATE)
    journal.add_metered(3, KEY, 100)
    assert journal.update_for(3, OTHER_KEY) is None
    assert journal.metered_ms(3, OTHER_KEY) == 0


def test_metered_time_adds_up_over_restarts(path: Path) -> None:
    for ms in (100, 20, 3):
        with opened(path) as journal:
            journal.add_metered(3, KEY, ms)
    with opened(path) as journal:
        assert journal.metered_ms(3, KEY) == 123


def test_a_sealing_secret_is_kept_as_the_caller_encrypted_it_and_once(journal: Journal) -> None:
    assert journal.secret_for(KEY) is None
    journal.save_secret(KEY, b"encrypted")
    assert journal.secret_for(KEY) == b"encrypted"
    with pytest.raises(JournalError, match="already"):
        journal.save_secret(KEY, b"another")


@pytest.mark.parametrize(
    "other", [{"chain_id": 1}, {"federation": CLIENT}, {"address": FEDERATION}], ids=["chain", "federation", "wallet"]
)
def test_anothers_journal_is_refused(path: Path, other: dict) -> None:
    opened(path).close()
    with pytest.raises(JournalError, match="belongs to"):
        opened(path, **other)


def test_a_file_that_is_no_journal_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("a letter\n" * 100)
    with pytest.raises(JournalError, match="cannot be used"):
        opened(path)


def test_a_journal_of_a_later_version_is_refused(path: Path) -> None:
    opened(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(JournalError, match="version 2"):
        opened(path)


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be used"):
        opened(tmp_path)


def test_every_file_of_a_journal_is_its_owners_alone(journal: Journal, path: Path) -> None:
    journal.save_secret(b"key", b"something")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_second_process_reads_while_the_first_writes(journal: Journal, path: Path) -> None:
    with opened(path) as reader:
        journal.save_secret(b"key", b"something")
        assert reader.secret_for(b"key") == b"something"


WRITER = """
import sys
from pathlib import Path
from processor.journal import Journal, SavedUpdate

journal = Journal(Path(sys.argv[1]), 1337, sys.argv[2], sys.argv[3])
for count in range(1, 1_000_000):
    journal.add_metered(0, bytes(32), 1)
    journal.save_update(SavedUpdate(count, bytes(32), "cid", Path("path"), 1, 1))
    print(count, flush=True)
"""


@pytest.mark.parametrize("lines", [0, 1, 40])
def test_a_journal_survives_a_kill_at_any_moment(path: Path, lines: int) -> None:
    command = [sys.executable, "-c", WRITER, str(path), FEDERATION, CLIENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        if lines == 0:
            while not path.exists():
                assert writer.poll() is None
        for _ in range(lines):
            writer.stdout.readline()
        writer.kill()
        reported = lines + len(writer.stdout.read().splitlines())
    with opened(path) as journal:
        saved = sum(journal.update_for(count, bytes(32)) is not None for count in range(1, reported + 3))
        assert saved in (reported, reported + 1)
        assert journal.metered_ms(0, bytes(32)) in (saved, saved + 1)
        journal.save_secret(b"it", b"goes on")
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_transaction_that_was_cut_off_leaves_nothing(path: Path) -> None:
    opened(path).close()
    cut_off = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('BEGIN IMMEDIATE')\n"
        "database.executemany('INSERT INTO secrets VALUES (?, ?)', ((b'%d' % n, b'v' * 1000) for n in range(1000)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", cut_off, str(path)], check=False).returncode == -9
    with opened(path) as journal:
        assert journal.secret_for(b"0") is None
        journal.save_secret(b"0", b"still writable")
