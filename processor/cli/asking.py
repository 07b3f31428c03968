"""How a person is asked before something happens that cannot be taken back: in one place, for commands and scripts."""

from __future__ import annotations

import sys

from processor.errors import KoinonError


def confirm(question: str, refused: str, instead: str) -> None:
    """Asks the person at the terminal, and returns where the answer is y or yes.

    Raises KoinonError with `refused`, which says what was not done, for every other answer, for Ctrl-C and at the end
    of the input. Without a terminal nobody is asked, whatever is piped in: the error then names `instead`, what to give
    for a yes. Nothing of it is written to standard output, which may be a file for the result.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise KoinonError(f"{refused}: without a terminal nobody is here to be asked. To agree, give {instead}")
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    if answer.strip().lower() not in ("y", "yes"):
        raise KoinonError(refused)
