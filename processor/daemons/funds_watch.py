"""What a daemon watches as well as the rounds: whether its wallet can pay for the next ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from processor.chain.asset import asset_at, balance_of
from processor.chain.federation import Federation
from processor.chain.fees import market_fees, offered, priority_fee
from processor.metrics import Metrics
from processor.protocol.funds import funds_needed, low_balance
from processor.types import ZERO_ADDRESS, Address

EVERY = 60.0
"""Seconds between two looks at the balance at least: it changes slowly."""

Action = TypeVar("Action")


class FundsWatch:
    """Shows a wallet's balance, and warns once each time it falls below what the next rounds need.

    `gas` is what a round costs, `reward` what the wallet pays into it in wei. After the first look no cycle waits for
    more than one request of the watch: a look asks for the balance, and the cycle that follows for the priority fee
    that the next look goes by; the base fee is that of the head that the daemon read last. Raises ChainError as reads
    do.
    """

    def __init__(
        self,
        federation: Federation,
        address: Address,
        gas: int,
        reward: int,
        metrics: Metrics,
        log: FilteringBoundLogger,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._federation, self._address = federation, address
        self._gas, self._reward = gas, reward
        self._metrics, self._log = metrics, log
        self._ticks = ticks
        self._next_look = ticks()
        self._priority_fee: int | None = None
        self._ask_for_fee = False
        self._low = False

    def before(self, cycle: Callable[[], Action]) -> Callable[[], Action]:
        """The cycle, with a look before it where it is time for one."""

        def watched() -> Action:
            if self._ask_for_fee:
                self._priority_fee = priority_fee(self._federation.web3)
                self._ask_for_fee = False
            elif self._ticks() >= self._next_look:
                self.look()
                self._next_look = self._ticks() + EVERY
                self._ask_for_fee = self._gas > 0
            return cycle()

        return watched

    def look(self) -> None:
        web3 = self._federation.web3
        balance = balance_of(web3, asset_at(web3, ZERO_ADDRESS), self._address)
        needed = funds_needed(self._gas, self._price() if self._gas else 0, self._reward)
        warning = low_balance(balance, needed)
        self._metrics.balance(balance)
        self._metrics.funds(needed, warning is not None)
        if warning is not None and not self._low:
            self._log.warning("low balance", address=self._address, warning=warning)
        if warning is None and self._low:
            self._log.info("balance is enough again", address=self._address)
        self._low = warning is not None

    def _price(self) -> int:
        """The most that a unit of gas should cost, in wei."""
        head = self._federation.head
        if self._priority_fee is None or head is None or head.base_fee is None:
            return market_fees(self._federation.web3, None, head).max_fee
        return offered(head.base_fee, self._priority_fee, None).max_fee
