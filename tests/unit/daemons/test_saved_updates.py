"""Sealed updates on disk are found again, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from processor.cid import cid_of
from processor.daemons.updates import forget_updates, keep_update, saved_update, saved_updates
from processor.errors import NewerVersion
from processor.journal import SavedUpdate

LOG = structlog.get_logger()
KEY, BASE = bytes(range(32)), cid_of(b"base")


def kept(folder: Path, round: int = 1, key: bytes = KEY, base: str = BASE) -> SavedUpdate:
    sealed = folder / "sealed"
    sealed.write_bytes(f"update of round {round} {key.hex()} {base}".encode())
    return keep_update(folder / "updates", sealed, round, key, base, compute_ms=1234, samples=56, ends_at=4000 + round)


def found(folder: Path) -> list[SavedUpdate]:
    return saved_updates(folder / "updates", LOG)


def test_what_was_kept_is_found_with_everything_that_the_journal_holds(tmp_path: Path) -> None:
    update = kept(tmp_path)
    assert update == SavedUpdate(1, KEY, BASE, cid_of(update.path.read_bytes()), update.path, 1234, 56, 4001)
    assert not (tmp_path / "sealed").exists()
    assert found(tmp_path) == [update]
    assert sorted(found(tmp_path) + [kept(tmp_path, round=2)], key=lambda each: each.cid) == found(tmp_path)


def test_what_was_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    update = kept(tmp_path)
    assert update.path.parent.stat().st_mode & 0o777 == 0o700
    assert update.path.with_name(update.cid + ".json").stat().st_mode & 0o777 == 0o600


def test_an_update_is_found_by_round_key_and_base_together(tmp_path: Path) -> None:
    update, folder = kept(tmp_path), tmp_path / "updates"
    assert saved_update(folder, 1, KEY, BASE, LOG) == update
    assert saved_update(folder, 2, KEY, BASE, LOG) is None
    assert saved_update(folder, 1, bytes(32), BASE, LOG) is None
    assert saved_update(folder, 1, KEY, cid_of(b"other"), LOG) is None
    assert saved_update(tmp_path / "nowhere", 1, KEY, BASE, LOG) is None


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


def test_earlier_updates_are_forgotten_with_their_notes(tmp_path: Path) -> None:
    kept(tmp_path)
    latest = kept(tmp_path, round=2)
    forget_updates(tmp_path / "updates", but=latest)
    assert found(tmp_path) == [latest] and len(list((tmp_path / "updates").iterdir())) == 2


def test_an_update_whose_note_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """As on a full disk: else every retry would leave another update, and make it fuller."""
    sealed, folder = tmp_path / "sealed", tmp_path / "updates"
    sealed.write_bytes(b"update")
    in_the_way = folder / f"{cid_of(b'update')}.json"
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError):
        keep_update(folder, sealed, 1, KEY, BASE, compute_ms=1, samples=1, ends_at=1)
    assert list(folder.iterdir()) == [in_the_way] and sealed.exists()


def test_a_note_whose_update_a_kill_kept_away_is_no_update_and_goes_with_the_others(tmp_path: Path) -> None:
    gone = kept(tmp_path)
    gone.path.unlink()
    with capture_logs() as logs:
        assert found(tmp_path) == []
    assert [entry["event"] for entry in logs] == ["saved update left out"]
    other = kept(tmp_path, round=2)
    forget_updates(tmp_path / "updates", but=other)
    assert len(list((tmp_path / "updates").iterdir())) == 2


def test_a_note_of_a_newer_version_is_refused_by_name_since_its_update_must_not_be_made_twice(tmp_path: Path) -> None:
    update = kept(tmp_path)
    update.path.with_name(update.cid + ".json").write_bytes(b'{"kind":"saved-update","version":2}')
    with pytest.raises(NewerVersion, match="this saved-update has version 2, this program reads up to 1"):
        found(tmp_path)
    assert update.path.exists()
