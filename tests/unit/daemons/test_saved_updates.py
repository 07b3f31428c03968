"""Sealed updates on disk are found again, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from processor.cid import cid_of
from processor.daemons.updates import files_of, keep_update, private_state, saved_update, saved_updates, sweep
from processor.errors import IntegrityError, NewerVersion, Unreadable
from processor.journal import Journal, SavedUpdate
from processor.protocol.jobs.kinds import STATE_AFTER, UPDATE
from tests.unit.daemons.saved import BASE, KEY, keep, kept, made
from tests.unit.journal.children import without_privileges
from tests.unit.journal.examples import opened

LOG = structlog.get_logger()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with opened(tmp_path / "journal.sqlite") as journal:
        yield journal


def found(folder: Path) -> list[SavedUpdate]:
    return saved_updates(folder / "updates", LOG)


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "updates").iterdir()}


def names_of(*updates: SavedUpdate) -> set[str]:
    return {path.name for update in updates for path in files_of(update)}


def swept(folder: Path, journal: Journal) -> set[str]:
    sweep(folder / "updates", journal, LOG)
    return names(folder)


# ------------------------------------------------------------------------------------------------ keeping and finding


def test_what_was_kept_is_found_with_everything_that_the_journal_holds(tmp_path: Path) -> None:
    update = keep(tmp_path, made(tmp_path, epsilon=0.25))
    assert found(tmp_path) == [update]
    assert sorted(found(tmp_path) + [kept(tmp_path, round=2)], key=lambda each: each.cid) == found(tmp_path)
    assert update.path.read_bytes() == (tmp_path / "updates" / update.cid).read_bytes()


def test_an_update_without_a_private_state_is_kept_without_one(tmp_path: Path) -> None:
    """As those were that an earlier version made: the note says no more than theirs."""
    update = replace(made(tmp_path), state=None)
    keep_update(tmp_path / "updates", update, tmp_path / "job" / UPDATE, None)
    assert found(tmp_path) == [update] and names(tmp_path) == {update.cid, f"{update.cid}.json"}
    assert b'"version":1' in (tmp_path / "updates" / f"{update.cid}.json").read_bytes()


def test_what_was_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    update = made(tmp_path)
    for path in (tmp_path / "job").iterdir():
        path.chmod(0o644)
    keep(tmp_path, update)
    assert update.path.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files_of(update)} == {0o600}


def test_what_is_kept_stays_where_it_was_made_and_can_be_kept_again(tmp_path: Path) -> None:
    """A daemon that was killed before it wrote the journal does so."""
    update = made(tmp_path)
    for _ in range(3):
        keep(tmp_path, update)
        assert (tmp_path / "job" / UPDATE).read_bytes() == update.path.read_bytes()
        assert names(tmp_path) == names_of(update)


def test_where_the_disk_has_no_links_what_is_kept_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*arguments: Any, **options: Any) -> None:
        raise OSError(1, "Operation not permitted")

    update = made(tmp_path)
    monkeypatch.setattr(os, "link", no_links)
    keep(tmp_path, update)
    assert found(tmp_path) == [update] and names(tmp_path) == names_of(update)
    assert update.path.stat().st_nlink == 1


def test_nothing_has_its_name_before_it_is_on_disk_and_the_note_has_its_own_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update, synced, named = made(tmp_path), set[int](), list[str]()
    sync, rename = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def note_name(source: Path, target: Path) -> None:
        assert Path(source).stat().st_ino in synced, f"{target} is not on disk"
        if Path(target).name.endswith(".json"):
            assert update.path.parent.stat().st_ino in synced, "nor are the names of what the note names"
        synced.discard(update.path.parent.stat().st_ino)
        named.append(Path(target).name)
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_name)
    keep(tmp_path, update)
    assert set(named) == names_of(update) and named[-1] == f"{update.cid}.json"
    assert update.path.parent.stat().st_ino in synced


@pytest.mark.parametrize("file", [UPDATE, STATE_AFTER])
@pytest.mark.parametrize("lost", ["gone", "other bytes"])
def test_what_a_power_cut_took_is_not_kept_and_named_by_nothing(tmp_path: Path, file: str, lost: str) -> None:
    update, path = made(tmp_path), tmp_path / "job" / file
    path.unlink() if lost == "gone" else path.write_bytes(b"")
    with pytest.raises(IntegrityError, match=f"{path} is missing" if lost == "gone" else f"the CID of {path} is"):
        keep(tmp_path, update)
    assert not (tmp_path / "updates").exists()


def test_an_update_is_found_by_round_key_and_base_together(tmp_path: Path) -> None:
    update, folder = kept(tmp_path), tmp_path / "updates"
    assert saved_update(folder, 1, KEY, BASE, LOG) == update
    assert saved_update(folder, 2, KEY, BASE, LOG) is None
    assert saved_update(folder, 1, bytes(32), BASE, LOG) is None
    assert saved_update(folder, 1, KEY, cid_of(b"other"), LOG) is None
    assert saved_update(tmp_path / "nowhere", 1, KEY, BASE, LOG) is None


# ----------------------------------------------------------------------------------------------------------- damages


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"{}", "this is no saved-update"),
        (b'{"kind":"saved-update","version":1}', "round: is missing"),
        (b" " * 5000, "over the limit"),
    ],
)
def test_a_damaged_note_is_left_out_with_a_warning(tmp_path: Path, content: bytes, said: str) -> None:
    damaged, whole = kept(tmp_path), kept(tmp_path, round=2)
    damaged.path.with_name(damaged.cid + ".json").write_bytes(content)
    with capture_logs() as logs:
        assert found(tmp_path) == [whole]
    (warning,) = logs
    assert warning["log_level"] == "warning" and said in warning["error"] and damaged.cid in warning["path"]


def test_an_update_of_other_bytes_is_left_out_with_a_warning(tmp_path: Path) -> None:
    damaged, lost, whole = kept(tmp_path), kept(tmp_path, round=2), kept(tmp_path, round=3)
    damaged.path.write_bytes(damaged.path.read_bytes()[:-1])
    lost.path.unlink()
    with capture_logs() as logs:
        assert found(tmp_path) == [whole]
    assert {warning["event"] for warning in logs} == {"saved update left out"} and len(logs) == 2


def test_an_update_that_a_kill_left_without_its_note_does_not_count(tmp_path: Path) -> None:
    update = kept(tmp_path)
    update.path.with_name(update.cid + ".json").unlink()
    assert found(tmp_path) == []


@pytest.mark.parametrize("which", [0, 1], ids=["update", "note"])
def test_one_that_this_user_may_not_read_is_an_error_since_left_out_it_would_be_made_twice(
    tmp_path: Path, which: int
) -> None:
    update = kept(tmp_path)
    files_of(update)[which].chmod(0)

    def look() -> None:
        with pytest.raises(Unreadable, match="cannot be read: Permission denied"):
            found(tmp_path)

    assert without_privileges(look)


def test_an_update_whose_note_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """As on a full disk: else it would be fuller."""
    update, folder = made(tmp_path), tmp_path / "updates"
    in_the_way = folder / f"{update.cid}.json"
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError):
        keep(tmp_path, update)
    assert list(folder.iterdir()) == [in_the_way] and (tmp_path / "job" / UPDATE).exists()


def test_a_note_of_a_newer_version_is_refused_by_name_since_its_update_must_not_be_made_twice(tmp_path: Path) -> None:
    update = kept(tmp_path)
    update.path.with_name(update.cid + ".json").write_bytes(b'{"kind":"saved-update","version":3}')
    with pytest.raises(NewerVersion, match="this saved-update has version 3, this program reads up to 2"):
        found(tmp_path)
    assert update.path.exists()


# ---------------------------------------------------------------------------------------------------------- sweeping


def test_what_the_journal_does_not_name_is_swept(tmp_path: Path, journal: Journal) -> None:
    update = kept(tmp_path)
    journal.save_update(update)
    other = kept(tmp_path, round=2, release=2)
    (tmp_path / "updates" / f".{update.cid}.0123456789abcdef").touch()
    with capture_logs() as logs:
        assert swept(tmp_path, journal) == names_of(update)
    assert set(logs[0]["files"]) == names_of(other) | {f".{update.cid}.0123456789abcdef"}
    with capture_logs() as logs:
        assert swept(tmp_path, journal) == names_of(update)
    assert logs == []


def test_where_nothing_was_ever_kept_nothing_is_swept(tmp_path: Path, journal: Journal) -> None:
    sweep(tmp_path / "updates", journal, LOG)
    assert not (tmp_path / "updates").exists()


def test_an_earlier_update_stays_until_the_later_one_is_final(tmp_path: Path, journal: Journal) -> None:
    """A reorganization may bring the earlier round back: its update would be submitted again."""
    updates = [kept(tmp_path, round=round, release=round) for round in (1, 2, 3)]
    for update in updates:
        journal.save_update(update)
    for block, update in enumerate(updates[:2], start=17):
        journal.see_update(update, block, claimed_ms=1)
    assert swept(tmp_path, journal) == names_of(*updates)
    journal.finish_updates(17)
    assert swept(tmp_path, journal) == names_of(*updates)
    journal.finish_updates(18)
    assert swept(tmp_path, journal) == names_of(*updates[1:])
    journal.see_update(updates[2], 19, claimed_ms=1)
    journal.finish_updates(19)
    assert swept(tmp_path, journal) == names_of(updates[2])


def test_of_two_rounds_of_one_number_that_which_is_final_stays(tmp_path: Path, journal: Journal) -> None:
    undone, other = kept(tmp_path), kept(tmp_path, base=cid_of(b"other"), release=2)
    for update in (undone, other):
        journal.save_update(update)
    assert swept(tmp_path, journal) == names_of(undone, other)
    journal.see_update(other, 17, claimed_ms=1)
    journal.finish_updates(17)
    assert swept(tmp_path, journal) == names_of(other)


def test_the_private_state_that_the_next_release_begins_with_is_never_swept(tmp_path: Path, journal: Journal) -> None:
    """A deep reorganization led back to an earlier round; the later one is final for all that."""
    later = kept(tmp_path, round=2, release=1)
    journal.save_update(later)
    journal.see_update(later, 17, claimed_ms=1)
    journal.finish_updates(17)
    latest = kept(tmp_path, round=1, release=2)
    journal.save_update(latest)
    assert swept(tmp_path, journal) == names_of(later, latest)
    assert private_state(tmp_path / "updates", journal) == files_of(latest)[2]


# ----------------------------------------------------------------------------------------------------- private state


def test_the_next_release_begins_with_the_state_after_the_last(tmp_path: Path, journal: Journal) -> None:
    folder = tmp_path / "updates"
    assert private_state(folder, journal) is None
    for release in (1, 2):
        update = kept(tmp_path, round=release, release=release)
        journal.save_update(update)
        assert private_state(folder, journal) == folder / f"{update.state}.state"


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("lose", [Path.unlink, _truncate, lambda path: path.write_bytes(b"")])
def test_a_private_state_that_is_lost_ends_releases_and_says_what_to_do(
    tmp_path: Path, journal: Journal, lose: Callable[[Path], object]
) -> None:
    update = kept(tmp_path)
    journal.save_update(update)
    path = files_of(update)[2]
    content = path.read_bytes()
    lose(path)
    with pytest.raises(IntegrityError, match=f"{path}.*Nothing is trained.*back-up.*new state folder"):
        private_state(tmp_path / "updates", journal)
    path.write_bytes(content)
    assert private_state(tmp_path / "updates", journal) == path
