"""What a daemon shows of itself to those who watch it: metrics for Prometheus, and whether it is alive."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

TROUBLE = frozenset({"trouble", "interrupted"})
"""Outcomes of cycles that did not get done what they began."""
PHASES = ("none", "training", "aggregating", "finalized", "abandoned")
PATIENCE = 300.0
"""Seconds without a sign of life after which a daemon counts as dead, where nothing else is said."""
STORAGE_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)

disable_created_metrics()  # a second series for each, that nobody asks for


class Metrics:
    """The metrics of one daemon, in a registry of its own: several in a process do not mix.

    Every method may be called from any thread, and none raises. `clock` gives seconds since 1970, `ticks` seconds that
    never go back; after `patience` seconds without a sign of life the daemon is not healthy. Life is a cycle that ends
    without trouble, and what gets on in a cycle that is not over; once that ends in trouble, it counts no more.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self.registry = CollectorRegistry()
        self.ticks = ticks
        self._clock = clock
        self._patience = patience
        self._well_at = self._beat_at = ticks()
        self._troubled = False
        self._last = "no cycle has ended yet"
        self._hindrance: str | None = None
        self._depth = 0
        ProcessCollector(registry=self.registry)

        self._cycles = self._counter("koinon_cycles", "Cycles by outcome: what was done, waited, trouble", "outcome")
        self._ended = self._gauge("koinon_last_cycle_timestamp_seconds", "When the last cycle ended, in any way")
        self._succeeded = self._gauge(
            "koinon_last_success_timestamp_seconds", "When the last one without trouble ended"
        )
        self._head = self._gauge("koinon_head_block", "Number of the block that the daemon read last")
        self._lag = self._gauge("koinon_head_lag_seconds", "Age of that block by this machine's clock")
        self._lag.set(math.nan)
        self._round = self._gauge("koinon_round", "Number of the latest round, 0 before the first")
        self._phase = self._gauge("koinon_round_phase", "1 for the phase of that round, 0 for the others", "phase")
        self._step = self._gauge("koinon_training_step", "Optimizer steps done in the training that runs or ran last")
        self._steps = self._gauge("koinon_training_steps", "Optimizer steps that this training has in all")
        self._loss = self._gauge("koinon_training_loss", "Loss at the last of those steps, on its own batch")
        self._loss.set(math.nan)
        self._balance = self._gauge("koinon_balance_wei", "The wallet's balance in the chain's coin")
        self._balance.set(math.nan)
        self._needed = self._gauge("koinon_balance_needed_wei", "What the wallet should hold for its next transactions")
        self._low = self._gauge("koinon_balance_low", "1 where the balance is below that, else 0")
        self._transactions = self._counter("koinon_transactions", "Transactions by outcome", "outcome")
        self._reports = self._counter(
            "koinon_own_updates",
            "A client's own updates as reports tell of them: accepted, adjusted, differs",
            "outcome",
        )
        self._hindered = self._gauge("koinon_hindered", "1 while nothing but a person can let the daemon do its work")
        self._reorganizations = self._counter("koinon_reorganizations", "Reorganizations of the chain that were seen")
        self._deepest = self._gauge("koinon_reorganization_deepest_blocks", "Blocks that the deepest of them took away")
        self._behind = self._gauge(
            "koinon_head_behind_blocks", "Blocks that the head is below the highest that was seen: the node is behind"
        )
        self._steps_back = self._counter("koinon_head_steps_back", "Times that a node's head went back, nothing gone")
        self._storage = Histogram(
            "koinon_storage_seconds",
            "Time of an operation on the storage, by operation and outcome",
            ("operation", "outcome"),
            buckets=STORAGE_SECONDS,
            registry=self.registry,
        )

    def cycle(self, outcome: str) -> None:
        """A cycle ended: with the name of what it did, or `waited`, `stopped`, `trouble`, `interrupted`."""
        self._cycles.labels(outcome).inc()
        self._ended.set(self._clock())
        self._last = f"the last cycle ended with {outcome!r}"
        if outcome not in TROUBLE:
            self._succeeded.set(self._clock())
            self._well_at = self._beat_at = self.ticks()
        elif not self._troubled:  # what got on until the first trouble was life; there is patience from there on
            self._well_at = self._beat_at
        self._beat_at = self._well_at
        self._troubled = outcome in TROUBLE

    def head(self, number: int, timestamp: int) -> None:
        """The block that was read, and its time in seconds since 1970."""
        self._head.set(number)
        self._lag.set_function(lambda: self._clock() - timestamp)

    def round(self, number: int, phase: str) -> None:
        self._round.set(number)
        for each in dict.fromkeys((*PHASES, phase)):
            self._phase.labels(each).set(each == phase)

    def training(self, done: int, steps: int, loss: float | None) -> None:
        """Steps done of all steps, and the loss at the last of them, None before the first. No cycle waits for them:
        they are no sign of the daemon's own life."""
        self._step.set(done)
        self._steps.set(steps)
        self._loss.set(math.nan if loss is None else loss)

    def balance(self, wei: int) -> None:
        self._balance.set(wei)

    def funds(self, needed: int, low: bool) -> None:
        """What the wallet should hold in wei, and whether it holds less."""
        self._needed.set(needed)
        self._low.set(low)

    def transaction(self, outcome: str) -> None:
        """A transaction met its fate; a sign of life where it got into a block as it was meant."""
        self._transactions.labels(outcome).inc()
        if outcome == "mined":
            self.beat()

    def storage(self, operation: str, seconds: float, outcome: str) -> None:
        """An operation on the storage ended; one that is `ok` is a sign of life: a settlement fetches many updates."""
        self._storage.labels(operation, outcome).observe(seconds)
        if outcome == "ok":
            self.beat()

    def reorganization(self, depth: int) -> None:
        """`depth` blocks that the daemon knew are no longer part of the chain."""
        self._reorganizations.inc()
        self._depth = max(depth, self._depth)
        self._deepest.set(self._depth)

    def behind(self, blocks: int) -> None:
        """The node's head is so many blocks below the highest that was seen, none of which is seen to be gone."""
        self._behind.set(blocks)
        if blocks:
            self._steps_back.inc()

    def reported(self, outcome: str) -> None:
        """What a report says of the client's update: `accepted`, `adjusted`, or it `differs` from what the client
        knows."""
        self._reports.labels(outcome).inc()

    def hindered(self, reason: str | None) -> None:
        """Why the daemon cannot do its work before somebody changes something here, such as its data; None once it
        can. It goes on all the same, and is not healthy meanwhile."""
        self._hindrance = reason
        self._hindered.set(reason is not None)

    def beat(self) -> None:
        """A sign of life within a long cycle."""
        self._beat_at = self.ticks()

    def healthy(self, now: float) -> tuple[bool, str]:
        """Whether there was a sign of life in time and nothing hinders the daemon, and a sentence about it; `now` is of
        the clock `ticks`."""
        if (hindrance := self._hindrance) is not None:
            return False, hindrance
        silent = now - self._beat_at
        if silent <= self._patience:
            return True, f"ok: the last sign of life was {silent:.0f} s ago; {self._last}"
        return False, (
            f"no cycle has completed and no long step has got on for {silent:.0f} s, expected within "
            f"{self._patience:g} s; {self._last}: look into the log"
        )

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, what, labels, registry=self.registry)
