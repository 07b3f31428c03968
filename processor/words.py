"""Small pieces of sentences: counts with their nouns, and what the system refused."""

from __future__ import annotations

import errno
import os

_ADVICE = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EISDIR: "name a file, not a folder",
    errno.EACCES: "look at the permissions of it and of the folders above it",
    errno.EPERM: "look at its owner and that of its folder",
    errno.EEXIST: "something else has that name",
    errno.EROFS: "name a place that can be written to",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.ENAMETOOLONG: "check the path",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.EMFILE: "let this process open more files (ulimit -n)",
    errno.ENFILE: "end other programs",
}


def noun(number: float, one: str, many: str | None = None) -> str:
    """A noun as it stands behind a number: `many` where that is not `one` with an s."""
    return one if number == 1 else many or f"{one}s"


def counted(number: float, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 second", "2 seconds", "0.5 seconds"."""
    shown = number if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun(number, one, many)}"


def reason(error: OSError) -> str:
    """Why the system refused something, and what to do; without number and path, which the sentence around it names."""
    if error.errno is None:
        return str(error) or "the system refused it"
    said, advice = error.strerror or os.strerror(error.errno), _ADVICE.get(error.errno)
    return f"{said}: {advice}" if advice else said


def in_full(error: OSError) -> str:
    """Which file or folder it is about, where the system says so, and the reason."""
    place = error.filename2 if error.filename is None else error.filename
    if place is None:
        return reason(error)
    return f"{place if isinstance(place, int) else os.fsdecode(place)}: {reason(error)}"
