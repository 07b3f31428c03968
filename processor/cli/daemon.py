"""What the commands that run daemons share."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
from structlog.typing import FilteringBoundLogger

from processor import observability
from processor.chain.federation import Federation
from processor.cli.files import new_file
from processor.daemons.base import journal_path
from processor.errors import JournalError
from processor.files import locked
from processor.journal import Journal
from processor.types import Address


def logger() -> FilteringBoundLogger:
    """The daemon's log: for a person, or a JSON object a line where KOINON_LOG is `json`."""
    observability.configure()
    log: FilteringBoundLogger = structlog.get_logger()
    return log


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set: the step that runs is finished, and no other begun."""
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return stopping


def journal_of(state: Path, federation: Federation, address: Address) -> Journal:
    return Journal(journal_path(state), federation.chain_id, federation.address, address)


@contextmanager
def only_daemon(state: Path) -> Iterator[None]:
    """Raises JournalError where another daemon works with the same state: the two would undo each other's work."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"the state folder {state} cannot be made: {error}") from None
    with locked(state / "lock") as mine:
        if not mine:
            raise JournalError(
                f"another daemon works with {state}: stop that one first, or choose another state folder"
            )
        yield


def write_template(out: Path, template: str) -> None:
    """Writes a configuration to start from, never over one that is there."""
    with new_file(out):
        out.write_text(template)
    print(f"{out}: fill in what is empty, then run the daemon with --config {out}")
