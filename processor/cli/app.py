"""Where every command begins: with its first line, and with how errors reach a person.

Only what is small is loaded before that line is written.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn

import structlog

from processor.errors import KoinonError
from processor.observability import configure, printable, without_secrets
from processor.words import in_full

DAEMONS = {("client", "run"), ("organization", "run"), ("relay", "run")}
ONLY_WORDS = {"--help", "-h", "--dry-run"}
"""With one of these a daemon's command runs nothing."""
INTERRUPTED = 130
"""The status of what Ctrl-C ended, as a shell has it."""
WHILE_STARTING = "koinon: interrupted while it was starting"


def main() -> None:
    """Runs a command. What a user can mend ends in one message and status 1; a bug keeps its traceback.

    A message may quote what others wrote: it cannot steer the terminal, nor show what a log would hide. A letter that
    the locale has no bytes for is shown by its number.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _first_line(sys.argv[1:])
        with _ended_by_ctrl_c():
            from processor.cli.tree import app

        app(prog_name="koinon")
    except KeyboardInterrupt:
        _say(WHILE_STARTING, INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _say("koinon: interrupted", INTERRUPTED)
        raise
    except KoinonError as error:
        _say("koinon: " + str(error))
    except OSError as error:
        _say(traceback.format_exc() if error.filename is None else f"koinon: {in_full(error)}")
    except Exception:
        _say(traceback.format_exc())


def _first_line(arguments: list[str]) -> None:
    """What a daemon says at once: what it is made of takes seconds to load."""
    if tuple(arguments[:2]) in DAEMONS and not ONLY_WORDS.intersection(arguments):
        configure()
        structlog.get_logger().info("starting", command=" ".join(["koinon", *arguments[:2]]))


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Ctrl-C ends the process during the block: a KeyboardInterrupt may be lost in what modules run while they load."""

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, f"{WHILE_STARTING}\n".encode())
        os._exit(INTERRUPTED)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # whoever started us wants it ignored
        yield
        return
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _say(words: str, status: int = 1) -> NoReturn:
    print("\n".join(map(printable, without_secrets(words).split("\n"))), file=sys.stderr)
    sys.exit(status)
