"""What the daemons ask of whoever sends their transactions: the wallet itself, or a dry run that sends none."""

from __future__ import annotations

from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from processor.chain.federation import Federation
from processor.chain.transactions import Call
from processor.types import Block


class Outbox(Protocol):
    """Sends from one account. `confirmations` is how many blocks make a transaction final."""

    @property
    def confirmations(self) -> int: ...

    @property
    def log(self) -> FilteringBoundLogger: ...

    def send(self, kind: str, call: Call, round: int | None = None, **facts: Any) -> object:
        """Sends a call, and waits for nothing. Raises Reverted where the contract refuses it, ChainError where it
        cannot be paid or the node does not take it."""

    def approve(self, federation: Federation, amount: int) -> None:
        """Lets the federation take `amount` of its token from the account. Raises as `send`."""

    def pending(self) -> bool:
        """Whether a transaction is on its way, or in a block that the head does not show: then nothing else is sent."""

    def unconfirmed(self) -> bool:
        """Whether a reorganization could still undo a transaction."""

    def follow(self, head: Block) -> None:
        """Looks, at the latest block, what became of what was sent. Raises ChainError as reads do."""
