"""What the commands that run daemons share."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
from eth_account.signers.local import LocalAccount
from structlog.typing import FilteringBoundLogger

from processor import observability
from processor.chain.federation import Federation
from processor.chain.finality import confirmation_depth
from processor.chain.transactions import Sender
from processor.cli.new_file import new_file
from processor.config import PartySettings
from processor.daemons.base import journal_path
from processor.daemons.recovery import open_journal
from processor.daemons.transactions import Transactions
from processor.errors import ConfigurationError, JournalError
from processor.files import locked
from processor.journal import Journal
from processor.keystore import state_key
from processor.locks import held
from processor.metrics import Metrics
from processor.texts import write_text
from processor.types import Address
from processor.words import reason

ASKING = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a daemon to stop."""


def logger() -> FilteringBoundLogger:
    """The daemon's log: for a person, or a JSON object a line where KOINON_LOG is `json`."""
    observability.configure()
    log: FilteringBoundLogger = structlog.get_logger()
    return log


@contextmanager
def stopped_by_signals(log: FilteringBoundLogger) -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set during the block: what waits for others is interrupted, the step that runs
    is finished, and no other begun. Both ends are logged: that it is asked to stop at once, and that it has, last.

    A second SIGINT raises KeyboardInterrupt, as it would without this.
    """
    stopping, asked = threading.Event(), list[str]()
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def hear() -> None:
        """In a thread of its own: a handler may come while the main thread holds any lock."""
        while heard := reader.recv(1):
            if heard[0] in ASKING and not stopping.is_set():
                asked.append(signal.Signals(heard[0]).name)
                stopping.set()
                log.info("stopping", reason=f"{asked[0]}; Ctrl-C once more ends it at once")

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    hearing = threading.Thread(target=hear, name="signals", daemon=True)
    hearing.start()
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, handle) for number in ASKING}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        writer.close()
        hearing.join()
        reader.close()
    if asked:
        log.info("stopped", reason=asked[0])


def journal_of(state: Path, federation: Federation, address: Address) -> Journal:
    """The journal as it is, to read in it, whatever program writes it."""
    return Journal(journal_path(state), federation.chain_id, federation.address, address, read_only=True)


@contextmanager
def transactions_of(
    settings: PartySettings, federation: Federation, account: LocalAccount, metrics: Metrics | None = None
) -> Iterator[Transactions]:
    """What a wallet sends, with its journal; a journal that is damaged is made again.

    Raises JournalError where the journal belongs to somebody else.
    """
    log, network = logger(), settings.network
    with open_journal(settings.state, federation.chain_id, federation.address, account.address, log) as journal:
        yield Transactions(
            sender=Sender(federation.web3, account, max_fee_per_gas=network.max_fee_per_gas),
            journal=journal,
            log=log,
            state_key=state_key(account),
            confirmations=confirmation_depth(federation.chain_id, network.confirmations),
            stuck_after=network.stuck_after,
            metrics=metrics or Metrics(),
        )


@contextmanager
def only_daemon(state: Path, chain_id: int, address: Address) -> Iterator[None]:
    """Raises JournalError where another daemon works with the same state or, on the same chain, with the same key: the
    two would undo each other's work."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"the state folder {state} cannot be made: {reason(error)}; `state` names another") from None
    with locked(state / "lock") as mine:
        if not mine:
            raise JournalError(
                f"another daemon works with {state}: stop that one first, or choose another state folder"
            )
        with held(f"daemon-{chain_id}-{address}") as ours:
            if not ours:
                raise JournalError(
                    f"another daemon on this machine sends transactions from {address} on chain {chain_id}: stop that "
                    "one first, or use a wallet of its own for each federation"
                )
            yield


def write_template(out: Path, template: str) -> None:
    """Writes a configuration to start from, never over one that is there."""
    with new_file(out):
        write_text(out, template, "the configuration", ConfigurationError)
    print(f"{out}: fill in what is empty, then run the daemon with --config {out}")
