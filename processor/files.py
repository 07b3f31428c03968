"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Errors of the system that end without us: somebody makes room on the disk, or closes files."""


def refused(error: BaseException) -> OSError | None:
    """The error of those in `PASSING` that is this one or at the bottom of it, if any."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in PASSING:
            return cause
        cause = cause.__cause__
    return None


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Holds the lock `path` during the block, for this process alone; False where another process has it.

    The system lets go of it whatever becomes of the process.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of `path` once the block ends without an error.

    Readers see the old content or the new one, never a part; after an error nothing is left behind. `mode` is what the
    file is created with (less the umask), so that a `PRIVATE` one is never readable by others. The content is on disk
    before it has its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def fingerprint(path: Path) -> str:
    """What tells the file from one that was there before, without reading it: "missing" where there is none."""
    try:
        found = path.stat()
    except OSError:
        return "missing"
    return f"{found.st_dev:x}-{found.st_ino:x}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"


def also_at(source: Path, target: Path) -> None:
    """Gives a file another name, in the place of what has it; a copy where the disk has no links.

    Its content is on disk before it has the name, whole or not at all, for its owner alone.

    Neither of the two may be written to from then on, only replaced.
    """
    source.chmod(PRIVATE)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        os.link(source, unfinished)
    except OSError:
        with source.open("rb") as content, replacing(target, PRIVATE) as file:
            shutil.copyfileobj(content, file)
        return
    try:
        sync(unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)  # it stays where both are names of one file already


def sync(path: Path) -> None:
    """Returns once a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
