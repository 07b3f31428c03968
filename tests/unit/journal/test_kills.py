"""What was written is there after any end, once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.journal.examples import CLIENT, FEDERATION, SECRET, opened

WRITER = """
import sys
from pathlib import Path
from processor.journal import Journal, SavedUpdate, updates_folder

path = Path(sys.argv[1])
file = updates_folder(path.parent) / "file"
journal = Journal(path, 1337, sys.argv[2], sys.argv[3])
for count in range(1, 1_000_000):
    journal.keep_metered(0, bytes(32), count)
    journal.save_update(SavedUpdate(count, bytes(32), "base", "cid", file, 1, 1, 1))
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
        saved = sum(journal.update_for(count, bytes(32), "base") is not None for count in range(1, reported + 3))
        assert saved in (reported, reported + 1)
        assert journal.metered_ms(0, bytes(32)) in (saved, saved + 1)
        journal.save_secret(SECRET)
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_transaction_that_was_cut_off_leaves_nothing(path: Path) -> None:
    opened(path).close()
    cut_off = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('BEGIN IMMEDIATE')\n"
        "database.executemany('INSERT INTO secrets VALUES (?, 1, 1, 1, ?, 0)',\n"
        "    ((b'%d' % n, b'v' * 1000) for n in range(1000)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", cut_off, str(path)], check=False).returncode == -9
    with opened(path) as journal:
        assert journal.secret_for(b"0") is None
        journal.save_secret(replace(SECRET, public_key=b"0"))
