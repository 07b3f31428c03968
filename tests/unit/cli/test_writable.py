"""`koinon check` tries to write the state folder as the daemon would, and leaves it as it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processor.cli.writable import hindrance
from processor.demo.nodes import CHECKOUT

READ_ONLY = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(CHECKOUT)!r})
from processor.cli.writable import hindrance
print(*map(hindrance, map(Path, sys.argv[1:])), sep="\\n")
"""


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None for each in folder.rglob("*")}


def test_a_folder_that_can_be_written_is_fine_and_unchanged(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "updates").mkdir(parents=True)
    for name in ("lock", "journal.sqlite", "journal.sqlite-wal"):
        (state / name).write_bytes(b"what was there")
    (state / "updates" / "1").write_bytes(b"an update")
    before = snapshot(tmp_path)
    assert hindrance(state) is None
    assert snapshot(tmp_path) == before


def test_a_folder_that_is_not_there_yet_is_fine_and_still_not_there(tmp_path: Path) -> None:
    assert hindrance(tmp_path / "not" / "yet" / "state") is None
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_the_path_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "away")
    for state in (tmp_path / "file", tmp_path / "file" / "state", tmp_path / "nowhere"):
        words = str(hindrance(state))
        assert f"{state} cannot be written: " in words and "name another folder as state" in words
    assert (tmp_path / "file").read_text() == "mine"
    assert {each.name for each in tmp_path.iterdir()} == {"file", "nowhere"}


def test_a_file_that_the_daemon_cannot_open_to_write_is_named(tmp_path: Path) -> None:
    for name in ("lock", "journal.sqlite"):
        (tmp_path / name).mkdir()
        assert f"{tmp_path / name} cannot be written: " in str(hindrance(tmp_path))
        (tmp_path / name).rmdir()
        (tmp_path / name).touch()
    assert hindrance(tmp_path) is None


def test_a_file_system_that_is_read_only_is_named_whether_the_folder_is_there_or_not(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    (tmp_path / "there").mkdir()
    bound = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path}"
    inside = ["unshare", "--mount", "sh", "-c", f'{bound} && exec "$@"', "sh", sys.executable, "-c", READ_ONLY]
    states = [str(tmp_path / "there"), str(tmp_path / "new")]
    done = subprocess.run([*inside, *states], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    for state, line in zip(states, done.stdout.splitlines(), strict=True):
        assert line.startswith(f"{state} cannot be written: ") and "ead-only" in line
