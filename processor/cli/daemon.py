"""What the commands that run daemons share."""

from __future__ import annotations

import signal
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
from processor.errors import JournalError
from processor.files import locked
from processor.journal import Journal
from processor.keystore import state_key
from processor.locks import held
from processor.metrics import Metrics
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
        raise JournalError(f"the state folder {state} cannot be made: {error}") from None
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
        out.write_text(template)
    print(f"{out}: fill in what is empty, then run the daemon with --config {out}")
