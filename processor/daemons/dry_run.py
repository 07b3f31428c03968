"""A dry run: the daemon's next step as it would be, without a key, on a copy of what the daemon remembers.

The daemon decides as always. What it would send is simulated and priced; what it would publish stays in a temporary
folder; and nothing is written where the daemon keeps its state.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger
from web3 import Web3

from processor.chain.asset import approve
from processor.chain.federation import Federation
from processor.chain.provider import node_errors
from processor.chain.transactions import Call, Quote, quote
from processor.daemons.base import journal_path
from processor.daemons.consents import consent_path
from processor.daemons.loop import TICK
from processor.journal import Journal, updates_folder
from processor.journal.copies import copy_database
from processor.protocol.decide import Finalize, Publish, Stop, Train, Wait, Working
from processor.storage import LocalStorage, Storage
from processor.types import Address, Block, Cid

View = TypeVar("View")


class Daemon(Protocol[View]):
    """What a dry run asks of a daemon."""

    federation: Federation

    def latest_round(self, block: Block) -> View: ...

    def decide(self, view: View, block: Block) -> Any: ...

    def act(self, action: Any, view: View, block: Block) -> Any: ...


@dataclass(frozen=True)
class NextStep:
    """What a daemon would do at a block; with the transaction and its price where it would send one."""

    block: Block
    action: object
    call: Call | None = None
    price: Quote | None = None

    def in_words(self) -> str:
        """Completes "it ...", for a person."""
        match self.action:
            case Wait(reason):
                return f"has nothing to do now: {reason}"
            case Stop(reason):
                return f"has nothing to do any more: {reason}"
            case Train(round):
                return f"would train in round {round} and then submit the update"
            case Publish(round):
                return f"would publish the sealed update of round {round}, which the chain shows"
            case Finalize(round):
                return f"would fetch, check and average the updates of round {round} and then finalize it"
        return f"would {self.call.description}" if self.call else "would send nothing"


def next_step(daemon: Daemon[View]) -> NextStep:
    """Reads a block, decides, and goes as far as the first transaction. What has to be looked into before that is
    waited for; work of minutes is named and not begun.

    Raises Reverted where the contract would refuse the transaction, ChainError where it could not be paid.
    """
    block, view, action = _decided(daemon)
    while isinstance(action, Working):
        time.sleep(TICK)
        block, view, action = _decided(daemon)
    if isinstance(action, Wait | Stop | Train | Publish | Finalize):
        return NextStep(block, action)
    try:
        done = daemon.act(action, view, block)
    except _Unsent as unsent:
        return NextStep(block, action, unsent.call, unsent.price)
    return NextStep(block, done if isinstance(done, Wait) else action)


def _decided(daemon: Daemon[View]) -> tuple[Block, View, Any]:
    block = daemon.federation.block()
    view = daemon.latest_round(block)
    return block, view, daemon.decide(view, block)


class _Unsent(Exception):
    def __init__(self, call: Call, price: Quote) -> None:
        super().__init__(call.description)
        self.call = call
        self.price = price


@dataclass(frozen=True)
class UnsentTransactions:
    """The outbox of an account whose key nobody needs: `send` simulates and prices the first transaction, and goes no
    further. `ceiling` is the most it may pay for a gas, in wei."""

    web3: Web3
    address: Address
    journal: Journal
    log: FilteringBoundLogger
    ceiling: int | None
    confirmations: int = 0

    def send(self, kind: str, call: Call, round: int | None = None, **facts: Any) -> NoReturn:
        raise _Unsent(call, quote(self.web3, self.address, call, self.ceiling))

    def approve(self, federation: Federation, amount: int) -> NoReturn:
        self.send("approved", approve(federation.asset(), federation.address, amount))

    def pending(self) -> bool:
        """What was on its way when the daemon last looked may be mined by now."""
        with node_errors("count the account's transactions"):
            mined = self.web3.eth.get_transaction_count(Web3.to_checksum_address(self.address))
        return any(intent.nonce >= mined for intent in self.journal.open_intents())

    def unconfirmed(self) -> bool:
        return self.pending()

    def follow(self, head: Block) -> None:
        """What is on its way is the daemon's to follow."""


class UnpublishedStorage:
    """A storage that is read from; what is put into it stays in a folder."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage = storage
        self._own = LocalStorage(folder)
        self._put: set[Cid] = set()

    def put(self, path: Path) -> Cid:
        cid = self._own.put(path)
        self._put.add(cid)
        return cid

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        (self._own if cid in self._put else self._storage).get(cid, to, limit, seconds)

    def pin(self, cid: Cid) -> None:
        """Nothing is kept by a dry run."""

    def unpin(self, cid: Cid) -> None:
        """Nothing is let go of by a dry run."""


@contextmanager
def copy_of_state(state: Path) -> Iterator[Path]:
    """A temporary folder with what a daemon decides by: its journal, its updates, and what its owner agreed to."""
    with tempfile.TemporaryDirectory(prefix="koinon-dry-run-") as folder:
        copy = Path(folder) / "state"
        copy.mkdir(mode=0o700)
        journal = journal_path(state)
        if journal.exists():
            copy_database(journal, journal_path(copy))
        if consent_path(state).exists():
            shutil.copyfile(consent_path(state), consent_path(copy))
        if updates_folder(state).exists():  # to look at: what a dry run makes goes elsewhere
            updates_folder(copy).symlink_to(updates_folder(state).absolute())
        yield copy


def throwaway_key() -> bytes:
    """A key for what a daemon encrypts in a copy of its state."""
    return secrets.token_bytes(32)
