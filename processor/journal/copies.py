"""The bytes of a database, and the copies that are kept of one before it is brought to another version.

No program opens such a copy, by whatever name: it would restore what was spent and sent since.
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

from processor.errors import JournalBusy
from processor.files import PRIVATE, replacing, sync

ATTEMPTS = 10
"""To copy a database that another program is writing to."""

_MODES = slice(18, 20)
"""Where SQLite's header says how a file is written and read: 1 by a rollback journal, 2 by a write-ahead log."""
_USER_VERSION = slice(60, 64)
"""Where it holds the version, a signed integer, big end first. Source: SQLite's "Database File Format", 1.3."""


def image_of(database: sqlite3.Connection) -> bytes:
    """The database at one moment, as one file that needs no other: what is in its write-ahead log is part of it. No
    bytes of one that is empty."""
    [[pages]] = database.execute("PRAGMA page_count").fetchall()
    if not pages:
        return b""
    image = bytearray(database.serialize())
    image[_MODES] = b"\1\1"
    return bytes(image)


def image_at(path: Path) -> bytes:
    """The image of a database that is not ours to write to: nothing is made or changed next to it.

    Raises JournalBusy and OSError as `copy_database` does, sqlite3.Error where it is no database.
    """
    with tempfile.TemporaryDirectory(prefix="koinon-journal-") as folder:
        copy = Path(folder) / path.name
        copy_database(path, copy)
        with closing(sqlite3.connect(copy)) as database:
            return image_of(database)


def copy_database(path: Path, to: Path) -> None:
    """Copies a database with what a killed or a running program has not moved into it yet, all of the same moment.
    SQLite itself would write next to it even to read.

    What was read twice alike was so at the moment between. A process that has the database open itself must not call
    this: to close a file of it ends the locks that the process has on it.

    Raises JournalBusy where another program writes to it all the time, OSError where it cannot be read.
    """
    before = _contents(path)
    for _ in range(ATTEMPTS):
        after = _contents(path)
        if after == before:
            for part, content in after.items():
                to.with_name(to.name + part).write_bytes(content)
            return
        before = after
    raise JournalBusy(f"another program writes to {path} all the time: try again")


def marked(image: bytes) -> bytes:
    """The same database under the negative of its version, which every program refuses."""
    [version] = struct.unpack(">i", image[_USER_VERSION])
    return image[: _USER_VERSION.start] + struct.pack(">i", -version) + image[_USER_VERSION.stop :]


def copy_path(path: Path, version: int, number: int = 1) -> Path:
    """Where a copy of a database of this version lies: the first, or a later one of a database that was put back."""
    return path.with_name(f"{path.name}.version-{version}" + (f".{number}" if number > 1 else ""))


def keep_copy(path: Path, image: bytes, version: int) -> None:
    """Writes a copy, for its owner alone, next to those of earlier times; it is on disk on return. One that an attempt
    before has written is kept as it is."""
    content = marked(image)
    for unfinished in path.parent.glob(f".{copy_path(path, version).name}.*"):  # of a program that was killed
        unfinished.unlink()
    copy = next(each for each in _places(path, version) if not each.exists() or each.read_bytes() == content)
    if not copy.exists():
        with replacing(copy, PRIVATE) as file:
            file.write(content)
    sync(copy.parent)


def _places(path: Path, version: int) -> Iterator[Path]:
    return (copy_path(path, version, number) for number in count(1))


def _contents(path: Path) -> dict[str, bytes]:
    """What is in each file of a database that there is, by what its name adds to the database's. The files may come and
    go meanwhile."""
    found = {}
    for part in ("", "-wal", "-journal"):
        with suppress(FileNotFoundError):
            found[part] = path.with_name(path.name + part).read_bytes()
    return found
