"""What a daemon watches beside the rounds: whether its wallet can pay for the next ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from structlog.typing import FilteringBoundLogger
from web3 import Web3

from processor.chain.asset import asset_at, balance_of
from processor.chain.fees import market_fees
from processor.metrics import Metrics
from processor.protocol.funds import funds_needed, low_balance
from processor.types import ZERO_ADDRESS, Address

EVERY = 60.0
"""Seconds between two looks at the balance at least: it changes slowly, and every look is three calls of the node."""

Action = TypeVar("Action")


class FundsWatch:
    """Shows a wallet's balance, and warns once each time it falls below what the next rounds need.

    `gas` is what a round costs, `reward` what the wallet pays into it in wei. Raises ChainError as reads do.
    """

    def __init__(
        self,
        web3: Web3,
        address: Address,
        gas: int,
        reward: int,
        metrics: Metrics,
        log: FilteringBoundLogger,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web3, self._address = web3, address
        self._gas, self._reward = gas, reward
        self._metrics, self._log = metrics, log
        self._ticks = ticks
        self._next_look = ticks()
        self._low = False

    def before(self, cycle: Callable[[], Action]) -> Callable[[], Action]:
        """The cycle, with a look before it where it is time for one."""

        def watched() -> Action:
            if self._ticks() >= self._next_look:
                self.look()
                self._next_look = self._ticks() + EVERY
            return cycle()

        return watched

    def look(self) -> None:
        balance = balance_of(self._web3, asset_at(self._web3, ZERO_ADDRESS), self._address)
        needed = funds_needed(self._gas, market_fees(self._web3, None).max_fee, self._reward)
        warning = low_balance(balance, needed)
        self._metrics.balance(balance)
        self._metrics.funds(needed, warning is not None)
        if warning is not None and not self._low:
            self._log.warning("low balance", address=self._address, warning=warning)
        if warning is None and self._low:
            self._log.info("balance is enough again", address=self._address)
        self._low = warning is not None
