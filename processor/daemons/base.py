"""The cycle that both daemons share."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from processor.chain.asset import allowance, approve, balance_of
from processor.chain.federation import Federation
from processor.chain.transactions import Call, Receipt, Sender, SignedIntent
from processor.errors import ArtifactError, ChainError, Interrupted, StorageError
from processor.journal import Journal
from processor.keystore import private_directory
from processor.protocol.decide import Purse, Stop, Wait
from processor.types import Address, Block

LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, while a node or the storage cannot be reached."""


def journal_path(state: Path) -> Path:
    """Where a daemon with the folder `state` keeps its journal."""
    return state / "journal.sqlite"


def emptied(folder: Path) -> Path:
    """A private working folder without what a killed run left in it: updates in the clear are nobody else's to read."""
    if folder.exists():
        shutil.rmtree(folder)
    return private_directory(folder)


def purse_of(federation: Federation, account: Address, block: Block) -> Purse:
    """What an account can pay the federation with."""
    web3, asset = federation.web3, federation.asset()
    balance = balance_of(web3, asset, account, block)
    allowed = 0 if asset.native else allowance(web3, asset, account, federation.address, block)
    return Purse(asset, balance, allowed)


def run(
    cycle: Callable[[], object], poll_interval: float, stopping: threading.Event, log: FilteringBoundLogger
) -> None:
    """Repeats `cycle` until it returns Stop or `stopping` is set.

    A cycle that did something is followed by the next at once, one that waits by a pause of `poll_interval` seconds.
    Trouble with chain, storage or what others published is waited out with growing pauses; every other error ends the
    daemon.
    """
    pause, said = poll_interval, ""
    while not stopping.is_set():
        try:
            action = cycle()
        except Interrupted as error:
            log.info("interrupted", reason=str(error))
            continue
        except (ArtifactError, ChainError, StorageError) as error:
            pause = min(2 * pause, LONGEST_PAUSE)
            log.warning("trouble", error=str(error), retry_in_seconds=pause)
            stopping.wait(pause)
            continue
        pause = poll_interval
        if isinstance(action, Stop):
            log.info("stopped", reason=action.reason)
            return
        if isinstance(action, Wait):
            if action.reason != said:
                log.info("waiting", reason=action.reason)
            said = action.reason
            stopping.wait(poll_interval)
        else:
            said = ""


class Transactions:
    """Sends with a journal: what was signed is written down before it is sent, and followed up after a restart."""

    def __init__(self, sender: Sender, journal: Journal, log: FilteringBoundLogger) -> None:
        self._sender = sender
        self._journal = journal
        self._log = log

    def send(self, kind: str, call: Call, round: int | None = None, **facts: Any) -> Receipt:
        """Simulates, signs, journals, sends and waits. Raises Reverted or ChainError as `Sender.send`."""

        def on_signed(intent: SignedIntent) -> None:
            self._journal.record_intent(kind, round, intent.nonce, intent.tx_hash)

        receipt = self._sender.send(call, on_signed=on_signed)
        self._journal.settle_intent(receipt.tx_hash, "mined", receipt.block)
        self._log.info(kind, round=round, transaction=receipt.tx_hash, fee_wei=str(receipt.fee_wei), **facts)
        return receipt

    def approve(self, federation: Federation, amount: int) -> None:
        """Lets the federation take `amount` of its token from the account, and no more."""
        asset = federation.asset()
        self.send("approved", approve(asset, federation.address, amount), amount=asset.format(amount))

    def pending(self) -> bool:
        """Whether a transaction of an earlier run is still on its way; settles those that are not."""
        waiting = False
        for intent in self._journal.open_intents():
            receipt = self._sender.receipt(intent.tx_hash)
            if receipt is not None:
                status = "mined" if receipt.succeeded else "failed"
                self._journal.settle_intent(intent.tx_hash, status, receipt.block)
            elif self._sender.knows(intent.tx_hash):
                waiting = True
            else:
                self._journal.settle_intent(intent.tx_hash, "dropped", None)
                self._log.warning("transaction dropped", kind=intent.kind, transaction=intent.tx_hash)
        return waiting
