"""A journal that is damaged is set aside, and what must not be lost is in the new one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from processor.daemons.base import journal_path
from processor.daemons.recovery import keep_secret, open_journal, saved_secrets
from processor.daemons.updates import files_of, private_state
from processor.errors import IntegrityError, JournalError, NewerVersion
from processor.journal import Journal, SavedSecret
from tests.unit.daemons.saved import keep, kept, made

FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
CLIENT = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"
KEY, BASE = b"\1" * 32, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
SECRET = SavedSecret(KEY, 3, BASE, BASE, b"encrypted")


def opened(state: Path) -> Journal:
    return open_journal(state, 1337, FEDERATION, CLIENT, structlog.get_logger())


def damage(state: Path) -> None:
    path = journal_path(state)
    path.write_bytes(b"\xff" * path.stat().st_size)
    for part in ("-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)


def test_a_damaged_journal_is_set_aside_and_made_again(tmp_path: Path) -> None:
    opened(tmp_path).close()
    damage(tmp_path)
    with structlog.testing.capture_logs() as logs, opened(tmp_path) as journal:
        assert journal.intents() == []
    (aside,) = tmp_path.glob("journal.sqlite.damaged-*")
    (said,) = [line for line in logs if line["log_level"] == "error"]
    assert said["set_aside"] == str(aside) and "damaged" in said["event"]


def test_an_update_and_a_secret_that_were_saved_outlive_the_journal(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        update = keep(tmp_path, made(tmp_path, 3, KEY, BASE, epsilon=0.5))
        keep_secret(tmp_path, SECRET)
        journal.save_update(update)
        journal.save_secret(SECRET)
    damage(tmp_path)
    with opened(tmp_path) as journal:
        assert journal.update_for(3, KEY, BASE) == update
        assert (update.epsilon, journal.private_state()) == (0.5, update.state)
        assert journal.secret_for(KEY) == SECRET
        assert journal.key_for_opening(3, BASE, BASE) == KEY


@pytest.mark.parametrize("rounds", [(1, 2, 3), (3, 1, 2)])
def test_without_the_journal_releases_go_on_from_the_last_one(tmp_path: Path, rounds: tuple[int, ...]) -> None:
    """Whatever the rounds: a deep reorganization leads back to earlier ones."""
    *_, last = [kept(tmp_path, round, release=release) for release, round in enumerate(rounds, start=1)]
    with opened(tmp_path) as journal:
        assert len(journal.updates()) == 3
        assert journal.private_state() == last.state


def test_without_the_journal_a_private_state_that_is_damaged_ends_releases_but_not_the_daemon(tmp_path: Path) -> None:
    damaged, _ = kept(tmp_path, 1, release=2), kept(tmp_path, 2, release=1)
    files_of(damaged)[2].write_bytes(b"")
    with opened(tmp_path) as journal:
        assert journal.update_for(1, damaged.sealing_key, damaged.base) == damaged
        with pytest.raises(IntegrityError, match="is lost"):
            private_state(tmp_path / "updates", journal)


def test_whoever_opens_the_journal_leaves_what_it_does_not_name(tmp_path: Path) -> None:
    """A dry run does so while a daemon is at work in the same folder of updates: to sweep is for that daemon alone."""
    unfinished = tmp_path / "updates" / ".unfinished"
    unfinished.parent.mkdir()
    unfinished.touch()
    opened(tmp_path).close()
    assert unfinished.exists()


def test_a_private_state_of_a_newer_version_ends_the_daemon_which_names_it(tmp_path: Path) -> None:
    path = files_of(kept(tmp_path))[2]
    path.write_bytes(path.read_bytes().replace(b'version\\":1', b'version\\":2'))
    with pytest.raises(NewerVersion, match=f"{path}: .*private-state has version 2, this program reads up to 1"):
        opened(tmp_path)


@pytest.mark.parametrize("lost", ["deleted", "emptied"])
def test_a_journal_that_was_lost_is_made_from_what_lies_next_to_it(tmp_path: Path, lost: str) -> None:
    with opened(tmp_path) as journal:
        keep_secret(tmp_path, SECRET)
        journal.save_secret(SECRET)
    journal_path(tmp_path).unlink() if lost == "deleted" else journal_path(tmp_path).write_bytes(b"")
    for part in ("-wal", "-shm"):
        journal_path(tmp_path).with_name("journal.sqlite" + part).unlink(missing_ok=True)
    for _ in range(2):
        with opened(tmp_path) as journal:
            assert journal.secret_for(KEY) == SECRET


def test_a_secret_that_was_broadcast_is_remembered_as_such_without_the_journal(tmp_path: Path) -> None:
    keep_secret(tmp_path, SECRET)
    keep_secret(tmp_path, replace(SECRET, broadcast=True))
    with opened(tmp_path) as journal:
        assert journal.secret_for(KEY) == replace(SECRET, broadcast=True)
        assert journal.key_for_opening(3, BASE, BASE) is None


def test_a_journal_that_does_not_know_of_a_broadcast_is_told_by_what_lies_next_to_it(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.save_secret(SECRET)
    keep_secret(tmp_path, replace(SECRET, broadcast=True))
    with opened(tmp_path) as journal:
        assert journal.key_for_opening(3, BASE, BASE) is None


def test_what_is_damaged_next_to_the_journal_is_passed_over(tmp_path: Path) -> None:
    keep_secret(tmp_path, SECRET)
    (tmp_path / "secrets" / "other.json").write_text("{}")
    (tmp_path / "secrets" / "another.json").write_bytes(b"\xff")
    assert saved_secrets(tmp_path) == [SECRET]


@pytest.mark.parametrize("other", [{"chain_id": 1}, {"address": FEDERATION}])
def test_somebody_elses_journal_is_no_damaged_one(tmp_path: Path, other: dict[str, Any]) -> None:
    opened(tmp_path).close()
    mine: dict[str, Any] = {"chain_id": 1337, "federation": FEDERATION, "address": CLIENT}
    with pytest.raises(JournalError, match="belongs to"):
        open_journal(tmp_path, **{**mine, **other}, log=structlog.get_logger())
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_a_secret_in_any_spelling_is_read_and_one_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    keep_secret(tmp_path, SECRET)
    (path,) = (tmp_path / "secrets").iterdir()
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
    assert saved_secrets(tmp_path) == [SECRET]
    path.write_text('{"version": 2}')
    with pytest.raises(NewerVersion, match="this saved-secret has version 2, this program reads up to 1"):
        saved_secrets(tmp_path)
