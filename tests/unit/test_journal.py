"""The journal: what was written is there after any end, once, and for its own wallet alone."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from processor.errors import JournalBusy, JournalDamaged, JournalError
from processor.journal import (
    DROPPED,
    MINED,
    Broadcast,
    Intent,
    Journal,
    SavedSecret,
    SavedUpdate,
)

FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
CLIENT = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"
KEY, OTHER_KEY = b"\1" * 32, b"\2" * 32
BASE, CID = "QmZTR5bcpQD7cFgTorqxZDYaew1Wqgfbd2ud9QqGPAkK2V", "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
UPDATE = SavedUpdate(3, KEY, BASE, CID, Path("/state/3.sealed"), 1200, 360, ends_at=4000)

SECRET = SavedSecret(KEY, 3, BASE, "plan", b"encrypted")


def broadcast(tx_hash: str, max_fee: int = 10, cancels: bool = False) -> Broadcast:
    return Broadcast(tx_hash, max_fee, 1, cancels, 1_700_000_000, b"signed")


def opened(path: Path, chain_id: int = 1337, federation: str = FEDERATION, address: str = CLIENT) -> Journal:
    return Journal(path, chain_id, federation, address)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with opened(path) as journal:
        yield journal


def test_a_transaction_has_no_status_until_its_fate_is_known(journal: Journal) -> None:
    register = journal.record_intent("register", None, 0, broadcast("0xaa"))
    submit = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(register, MINED, "0xaa", 17, "0x17")
    mined = Intent(register.id, "register", None, 0, MINED, "0xaa", 17, "0x17", final=False)
    assert journal.intents() == [mined, submit]
    assert (submit.status, journal.open_intents()) == (None, [submit])
    assert journal.unsettled_intents() == [mined, submit]


def test_a_transaction_is_followed_until_it_is_final_and_its_bytes_are_kept_as_long(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(intent, MINED, "0xbb", 18, "0x18")
    assert [form.encrypted for form in journal.broadcasts(intent)] == [b"signed"]
    journal.finish_intent(intent)
    assert (journal.unsettled_intents(), [form.encrypted for form in journal.broadcasts(intent)]) == ([], [b""])
    journal.doubt_intents(above=18)
    assert journal.unsettled_intents() == []
    journal.doubt_intents(above=17)
    assert [each.id for each in journal.unsettled_intents()] == [intent.id]


def test_a_transaction_whose_block_vanished_is_open_again(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(intent, MINED, "0xbb", 18, "0x18")
    journal.reopen_intent(intent, now=1_800_000_000)
    assert journal.open_intents() == [intent]
    assert [form.sent_at for form in journal.broadcasts(intent)] == [1_800_000_000]


def test_a_transaction_that_was_dropped_is_watched_for_a_while_and_holds_nobody_up(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(intent, DROPPED, block=17)
    assert journal.open_intents() == []
    assert [each.status for each in journal.unsettled_intents()] == [DROPPED]
    journal.finish_intent(intent)
    assert journal.unsettled_intents() == []


def test_the_forms_of_a_transaction_are_kept_latest_first(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.record_replacement(intent, broadcast("0xcc", max_fee=20))
    journal.record_replacement(intent, broadcast("0xdd", max_fee=30, cancels=True))
    forms = journal.broadcasts(intent)
    assert [(form.tx_hash, form.max_fee, form.cancels) for form in forms] == [
        ("0xdd", 30, True),
        ("0xcc", 20, False),
        ("0xbb", 10, False),
    ]


def test_signed_bytes_are_in_no_repr() -> None:
    assert "signed" not in repr(broadcast("0xaa"))
    assert "encrypted" not in repr(SECRET)


def test_what_cannot_be_written_whole_is_not_written_at_all(journal: Journal) -> None:
    journal._database.execute("DROP TABLE broadcasts")
    with pytest.raises(JournalError):
        journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    assert journal.intents() == []


def test_the_very_same_transaction_takes_up_where_it_was_given_up(journal: Journal) -> None:
    refused = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.record_replacement(refused, broadcast("0xcc", cancels=True))
    journal.settle_intent(refused, DROPPED, block=17)
    journal.finish_intent(refused)
    again = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    assert (again.id, again.status, journal.open_intents()) == (refused.id, None, [again])
    latest, cancellation = journal.broadcasts(again)
    assert (latest.tx_hash, latest.encrypted, latest.cancels) == ("0xbb", b"signed", False)
    assert (cancellation.tx_hash, cancellation.encrypted) == ("0xcc", b"")


def test_the_very_same_replacement_is_written_down_once(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    for _ in range(2):
        journal.record_replacement(intent, broadcast("0xcc"))
    assert [form.tx_hash for form in journal.broadcasts(intent)] == ["0xcc", "0xbb"]


def test_a_block_takes_the_place_of_those_at_its_height_and_above(journal: Journal) -> None:
    for number in (1, 2, 3, 4):
        journal.record_block(number, f"0x{number}", keep=2)
    assert journal.blocks() == [(4, "0x4"), (3, "0x3"), (2, "0x2")]
    journal.record_block(3, "0xother", keep=2)
    assert journal.blocks() == [(3, "0xother"), (2, "0x2")]


def test_a_round_has_one_update(journal: Journal) -> None:
    assert journal.update_for(3, KEY, BASE) is None
    journal.save_update(UPDATE)
    assert journal.update_for(3, KEY, BASE) == UPDATE
    with pytest.raises(JournalError, match="round 3"):
        journal.save_update(UPDATE)


def test_a_round_of_the_same_number_with_another_key_or_base_model_is_another_round(journal: Journal) -> None:
    journal.save_update(UPDATE)
    journal.add_metered(3, KEY, 100)
    assert journal.update_for(3, OTHER_KEY, BASE) is None
    assert journal.update_for(3, KEY, CID) is None
    assert journal.metered_ms(3, OTHER_KEY) == 0


def test_an_update_is_sealed_and_then_seen_in_a_block_and_published_and_at_last_final(journal: Journal) -> None:
    journal.save_update(UPDATE)
    journal.see_update(UPDATE, block=17, claimed_ms=1100)
    assert journal.update_for(3, KEY, BASE) == replace(UPDATE, seen_at=17, claimed_ms=1100)
    journal.publish_update(UPDATE)
    journal.finish_update(UPDATE)
    final = replace(UPDATE, seen_at=17, claimed_ms=1100, published=True, final=True)
    assert journal.updates() == [final]


def test_an_update_that_a_reorganization_took_away_is_sealed_and_stays_published(journal: Journal) -> None:
    journal.save_update(UPDATE)
    journal.see_update(UPDATE, block=17, claimed_ms=1100)
    journal.publish_update(UPDATE)
    journal.finish_update(UPDATE)
    journal.miss_update(UPDATE)
    assert journal.update_for(3, KEY, BASE) == replace(UPDATE, published=True)


def test_what_is_noted_of_one_update_is_noted_of_no_other(journal: Journal) -> None:
    others = [replace(UPDATE, round=4), replace(UPDATE, sealing_key=OTHER_KEY), replace(UPDATE, base=CID)]
    for update in (UPDATE, *others):
        journal.save_update(update)
    journal.see_update(UPDATE, block=17, claimed_ms=1100)
    assert [each for each in journal.updates() if each.seen_at is None] == [*others[1:], others[0]]
    assert journal.update_in(3, KEY) == replace(UPDATE, seen_at=17, claimed_ms=1100)


def test_a_key_that_an_update_was_sealed_to_is_known_for_every_other_round(journal: Journal) -> None:
    journal.save_update(UPDATE)
    assert journal.sealed_elsewhere(KEY, round=4) and not journal.sealed_elsewhere(KEY, round=3)
    assert not journal.sealed_elsewhere(OTHER_KEY, round=4)


def test_metered_time_adds_up_over_restarts(path: Path) -> None:
    for ms in (100, 20, 3):
        with opened(path) as journal:
            journal.add_metered(3, KEY, ms)
    with opened(path) as journal:
        assert journal.metered_ms(3, KEY) == 123


def test_a_sealing_secret_is_kept_as_the_caller_encrypted_it_and_once(journal: Journal) -> None:
    assert journal.secret_for(KEY) is None
    journal.save_secret(SECRET)
    assert journal.secret_for(KEY) == SECRET
    with pytest.raises(JournalError, match="already"):
        journal.save_secret(replace(SECRET, encrypted=b"another"))


def test_the_key_of_an_opening_is_found_again_for_that_very_opening(journal: Journal) -> None:
    journal.save_secret(SECRET)
    journal.save_secret(replace(SECRET, public_key=OTHER_KEY, plan=CID))
    assert journal.key_for_opening(3, BASE, "plan") == KEY
    assert journal.key_for_opening(3, BASE, CID) == OTHER_KEY
    for other in ((4, BASE, "plan"), (3, CID, "plan"), (3, BASE, "other")):
        assert journal.key_for_opening(*other) is None


def test_a_key_whose_secret_was_broadcast_is_good_for_no_opening_any_more(journal: Journal) -> None:
    journal.save_secret(SECRET)
    journal.save_secret(replace(SECRET, public_key=OTHER_KEY))
    journal.broadcast_secret(OTHER_KEY)
    assert journal.key_for_opening(3, BASE, "plan") == KEY
    journal.broadcast_secret(KEY)
    assert journal.key_for_opening(3, BASE, "plan") is None
    assert journal.secret_for(KEY) == replace(SECRET, broadcast=True)


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


def test_a_journal_with_a_page_overwritten_is_damaged(path: Path) -> None:
    with opened(path) as journal:
        for round in range(200):
            journal.save_update(replace(UPDATE, round=round))
    content = bytearray(path.read_bytes())
    content[2 * 4096 : 6 * 4096] = b"\xff" * (4 * 4096)
    path.write_bytes(content)
    with pytest.raises(JournalDamaged):
        opened(path)


def test_a_journal_that_another_process_holds_is_busy_and_not_damaged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(path).close()
    monkeypatch.setattr("processor.journal.PATIENCE", 0.1)
    with opened(path) as journal, sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalBusy, match="locked"):
            journal.add_metered(1, KEY, 1)
        other.execute("ROLLBACK")
        journal.add_metered(1, KEY, 1)


def test_a_full_disk_is_waited_out(path: Path) -> None:
    with opened(path) as journal:
        journal._database.execute("PRAGMA max_page_count = 1")  # SQLite's own full disk
        with pytest.raises(JournalBusy, match="free some space"):
            for round in range(1000):
                journal.save_update(replace(UPDATE, round=round))
        with pytest.raises(JournalBusy):
            for nonce in range(1000):
                journal.record_intent("submit", 3, nonce, broadcast(f"0x{nonce}"))
        journal._database.execute("PRAGMA max_page_count = 100000")
        journal.record_intent("submit", 3, 7, broadcast("0xee"))


@pytest.mark.parametrize("version", [2, 4])
def test_a_journal_of_another_version_is_refused_with_advice(path: Path, version: int) -> None:
    opened(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(JournalError, match=f"version {version}.*choose a new state directory"):
        opened(path)


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


WRITER = """
import sys
from pathlib import Path
from processor.journal import Journal, SavedUpdate

journal = Journal(Path(sys.argv[1]), 1337, sys.argv[2], sys.argv[3])
for count in range(1, 1_000_000):
    journal.add_metered(0, bytes(32), 1)
    journal.save_update(SavedUpdate(count, bytes(32), "base", "cid", Path("path"), 1, 1, 1))
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
