import errno
from pathlib import Path

import pytest

from processor.errors import KeystoreError
from processor.files import locked, refused, replacing


def test_lock_is_held_by_one_at_a_time_and_free_again_afterwards(tmp_path: Path) -> None:
    with locked(tmp_path / "lock") as first, locked(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with locked(tmp_path / "lock") as again:
        assert again


def test_a_full_disk_is_a_refusal_wherever_it_came_up_and_a_missing_file_is_none() -> None:
    full, wrapped = OSError(errno.ENOSPC, "No space left on device"), KeystoreError("the file cannot be written")
    assert refused(full)
    assert not refused(wrapped)
    wrapped.__cause__ = full
    assert refused(wrapped)
    assert not refused(FileNotFoundError(errno.ENOENT, "No such file"))


def test_file_that_was_not_finished_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail_midway() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_midway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
