"""Dry runs: what is copied, and that nothing is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from web3 import Web3

from processor.cid import cid_of_file
from processor.daemons.base import journal_path
from processor.daemons.consents import agree, agreed
from processor.daemons.dry_run import NextStep, UnpublishedStorage, UnsentTransactions, copy_of_state
from processor.daemons.outbox import Outbox
from processor.daemons.transactions import Transactions
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.protocol.decide import Finalize, OpenRound, Publish, Stop, Train, Wait
from processor.storage import LocalStorage, get_bytes, put_bytes
from processor.types import Block

LOG = structlog.get_logger()
ME, FEDERATION = "0x" + "11" * 20, "0x" + "22" * 20
KEY = b"k" * 32
DIGEST = "ab" * 32

KILLED = """
import os, signal, sys
from pathlib import Path
from processor.journal import Journal, SavedUpdate, updates_folder
path = Path(sys.argv[1])
journal = Journal(path, 1, "0x" + "22" * 20, "0x" + "11" * 20)
journal.save_update(SavedUpdate(1, b"k" * 32, "Qmbase", "Qmupdate", updates_folder(path.parent) / "Qmupdate", 5, 7, 9))
os.kill(os.getpid(), signal.SIGKILL)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def update_of(state: Path) -> SavedUpdate:
    return SavedUpdate(1, KEY, "Qmbase", "Qmupdate", updates_folder(state) / "Qmupdate", 5, 7, 9)


def remembered(state: Path) -> SavedUpdate | None:
    with Journal(journal_path(state), 1, FEDERATION, ME) as journal:
        return journal.update_for(1, KEY, "Qmbase")


def test_a_state_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with copy_of_state(tmp_path / "state") as copy:
        assert remembered(copy) is None
    assert list(tmp_path.iterdir()) == [] and not copy.exists()


def test_the_copy_knows_what_the_daemon_knows_and_the_original_is_left_as_it_is(tmp_path: Path) -> None:
    with Journal(journal_path(tmp_path), 1, FEDERATION, ME) as journal:
        journal.save_update(update_of(tmp_path))
    agree(tmp_path, DIGEST, LOG)
    before = contents(tmp_path)
    with copy_of_state(tmp_path) as copy:
        assert remembered(copy) == update_of(copy)
        assert agreed(copy, LOG) == {DIGEST}
        with Journal(journal_path(copy), 1, FEDERATION, ME) as journal:
            journal.keep_metered(1, KEY, 5)
    assert contents(tmp_path) == before


def test_a_sealed_update_is_there_for_the_copy_too(tmp_path: Path) -> None:
    update = update_of(tmp_path)
    update.path.parent.mkdir()
    update.path.write_bytes(b"sealed")
    with Journal(journal_path(tmp_path), 1, FEDERATION, ME) as journal:
        journal.save_update(update)
    with copy_of_state(tmp_path) as copy:
        found = remembered(copy)
        assert found is not None and found.path.read_bytes() == b"sealed"
    assert update.path.read_bytes() == b"sealed"


def test_what_a_killed_daemon_wrote_last_is_in_the_copy(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(journal_path(tmp_path))], check=False, env=dict(os.environ)
    )
    assert ended.returncode == -9 and journal_path(tmp_path).with_name("journal.sqlite-wal").stat().st_size > 0
    before = contents(tmp_path)
    with copy_of_state(tmp_path) as copy:
        assert remembered(copy) == update_of(copy)
    assert contents(tmp_path) == before


def test_what_is_published_stays_in_the_folder_and_what_others_published_is_read(tmp_path: Path) -> None:
    real = LocalStorage(tmp_path / "real")
    theirs = put_bytes(real, b"theirs")
    storage = UnpublishedStorage(real, tmp_path / "own")
    (tmp_path / "artifact").write_bytes(b"ours")
    ours = storage.put(tmp_path / "artifact")
    storage.pin(ours)
    storage.unpin(theirs)
    assert ours == cid_of_file(tmp_path / "artifact")
    assert (get_bytes(storage, ours, 10), get_bytes(storage, theirs, 10)) == (b"ours", b"theirs")
    assert [path.name for path in (tmp_path / "real").iterdir()] == [theirs]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Wait("no round is open"), "has nothing to do now: no round is open"),
        (Stop("it is closed"), "has nothing to do any more: it is closed"),
        (Train(3), "would train in round 3 and then submit the update"),
        (Publish(3), "would publish the sealed update of round 3, which the chain shows"),
        (Finalize(3), "would fetch, check and average the updates of round 3 and then finalize it"),
        (OpenRound(), "would send nothing"),
    ],
)
def test_it_is_said_in_words_what_would_be_done(action: object, words: str) -> None:
    assert NextStep(Block(1, "0x", 2), action).in_words() == words


def test_whoever_sends_nothing_is_asked_like_whoever_sends(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", 1, FEDERATION, ME) as journal:
        unsent = UnsentTransactions(Web3(), ME, journal, LOG, None)
        outbox: Outbox = unsent
        outbox.follow(Block(7, "0x" + "00" * 32, 1_000))
        assert outbox.confirmations == 0 and outbox.log is LOG
    asked = {name for name in vars(Outbox) if not name.startswith("_")} | {"log"}
    assert asked <= {*dir(unsent)} and asked <= {*dir(Transactions), *Transactions.__dataclass_fields__}
