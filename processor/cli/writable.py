"""Whether a daemon can write where it keeps its state: tried as the daemon would, with nothing left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processor.files import PRIVATE, replacing
from processor.words import reason

_KEPT_OPEN = ("lock", "*.sqlite", "*.sqlite-wal", "*.sqlite-shm")
"""What a daemon opens to write in place; everything else it replaces."""


def hindrance(state: Path) -> str | None:
    """What keeps a daemon from writing its state folder, and what to do; None where nothing does.

    It makes the folder if it is not there, a file in it and in every folder of it, and opens what is written in place.
    What was made is removed again; what was there is not changed.
    """
    place = state
    try:
        with _made(state):
            for place in (state, *sorted(each for each in state.iterdir() if each.is_dir())):
                _replace_a_file_in(place)
            for place in sorted(each for name in _KEPT_OPEN for each in state.glob(name)):
                os.close(os.open(place, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        return (
            f"{place} cannot be written: {reason(error)}. The daemon keeps its state there: mend that, or name another "
            "folder as state"
        )
    return None


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder as a daemon makes it; those that were not there before are gone afterwards, if they are empty."""
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            for each in missing:
                each.rmdir()


def _replace_a_file_in(folder: Path) -> None:
    file = folder / f".check-{secrets.token_hex(8)}"
    try:
        with replacing(file, PRIVATE) as written:
            written.write(b"koinon")
    finally:
        file.unlink(missing_ok=True)
