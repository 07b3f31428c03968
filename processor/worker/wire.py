"""What daemon, parent and children tell each other: messages, each a line of JSON.

A line is written at once or not at all (4 KiB are atomic in a pipe), so that several processes may share one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from processor.protocol.jobs.worker import Progress

LINE = 4096
"""Bytes of the longest line."""


@dataclass(frozen=True)
class Begin:
    """Do the job in the folder `name`. `run` is a number that no other run of this worker has."""

    run: int
    name: str


@dataclass(frozen=True)
class End:
    """Let a run write its checkpoint and end."""

    run: int


@dataclass(frozen=True)
class Ready:
    """The parent has imported everything: a run begins at once now."""


@dataclass(frozen=True)
class Begun:
    """A run has a process."""

    run: int
    pid: int


@dataclass(frozen=True)
class Alive:
    """A run gives a sign of life, with how far it is."""

    run: int
    step: int
    steps: int
    loss: float | None
    metered_ms: int
    checkpoint: int

    @property
    def progress(self) -> Progress:
        return Progress(self.step, self.steps, self.loss, self.metered_ms, self.checkpoint)


@dataclass(frozen=True)
class Logged:
    """An event for the daemon's log, with its fields."""

    run: int
    level: str
    event: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """A run's process is gone: its exit status, or the signal that ended it as a negative number, as subprocess has it,
    and the end of what it said on standard error."""

    run: int
    status: int
    said: str


Message = Begin | End | Ready | Begun | Alive | Logged | Ended
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Begin, End, Ready, Begun, Alive, Logged, Ended)}
_TYPES = {"int": (int,), "str": (str,), "float | None": (int, float, type(None)), "dict[str, Any]": (dict,)}


def alive(run: int, progress: Progress) -> Alive:
    return Alive(run, **asdict(progress))


def encode(message: Message) -> bytes:
    """The line of a message. Of what a process said only as much of the end is in it as fits.

    Raises ValueError where a line is too long all the same.
    """
    line = _line(message)
    while len(line) > LINE and isinstance(message, Ended) and message.said:
        message = Ended(message.run, message.status, message.said[len(line) - LINE :])
        line = _line(message)
    if len(line) > LINE:
        raise ValueError(f"a message is {len(line)} bytes long: expected {LINE} at most")
    return line


def decode(line: bytes) -> Message | None:
    """The message of a line; None for a line that is none, which says nothing."""
    try:
        value = json.loads(line)
        kind = _KINDS[value.pop("message")]
        if any(type(value[each.name]) not in _TYPES[str(each.type)] for each in fields(kind)):
            return None
        return kind(**value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


class Lines:
    """Puts lines together from the pieces that are read; one that is too long is dropped."""

    def __init__(self) -> None:
        self._rest = b""

    def messages(self, piece: bytes) -> Iterator[Message]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LINE:
            self._rest = self._rest[:1] * (LINE + 1)
        for line in lines:
            if len(line) < LINE and (message := decode(line)) is not None:
                yield message


def _line(message: Message) -> bytes:
    text = json.dumps({"message": type(message).__name__, **asdict(message)}, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace") + b"\n"
