"""Whose a database's files are, and whether SQLite may be let at them."""

from __future__ import annotations

import os
from pathlib import Path

PARTS = ("", "-wal", "-shm", "-journal")
"""What SQLite adds to a database's name for each of its files."""
SUPERUSER = 0


def unwritable(path: Path) -> Path | None:
    """What this process may not write of the database at `path`, its folder, and what SQLite keeps next to it; None
    where it may write all of it.

    Where it may not, SQLite can still read some of them, and leaves files there that it cannot remove, with a mode that
    keeps the next program out.
    """
    files = [path.with_name(path.name + part) for part in PARTS]
    needed = [path.parent, *(file for file in files if file.exists())]
    return next((each for each in needed if not os.access(each, os.W_OK, effective_ids=True)), None)


def is_own(path: Path) -> bool:
    """Whether what SQLite makes next to the database will be its owner's: it hands files over for the superuser."""
    return os.geteuid() in (SUPERUSER, path.stat().st_uid)
