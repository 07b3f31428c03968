"""The books of a federation, kept from the definitions of the interface and never from what the contract says.

Deposits = paid + owed + live pool + carried + stakes + forfeited, whatever happens. Block times are in seconds, compute
times in milliseconds, amounts in units of the asset.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .helpers import ABANDONED, AGGREGATING, BASIS_POINTS, FINALIZED, TRAINING, FederationTerms

SELECTION_PRIME = 2**31 - 1


@dataclasses.dataclass
class Update:
    index: int
    claimed_ms: int
    credited_ms: int
    settled: bool = False


@dataclasses.dataclass
class Round:
    opened_at: int
    training_deadline: int
    aggregation_deadline: int
    pool: int
    wage: int  # per second
    max_compute_ms: int
    member_count: int
    selected_count: int
    selection_offset: int
    updates: dict[str, Update] = dataclasses.field(default_factory=dict)
    finalized: bool = False

    def phase(self, now: int) -> int:
        if self.finalized:
            return FINALIZED
        if now < self.training_deadline and len(self.updates) < self.selected_count:
            return TRAINING
        return AGGREGATING if self.updates and now < self.aggregation_deadline else ABANDONED

    def is_live(self, now: int) -> bool:
        return self.phase(now) in (TRAINING, AGGREGATING)

    def is_selected(self, index: int) -> bool:
        place = (SELECTION_PRIME * index + self.selection_offset) % self.member_count
        return index < self.member_count and place < self.selected_count

    def bound_ms(self, now: int) -> int:
        return min(self.max_compute_ms, (now - self.opened_at + 1) * 1000)

    @property
    def claimed_ms(self) -> int:
        return sum(update.claimed_ms for update in self.updates.values())

    @property
    def credited_ms(self) -> int:
        return sum(update.credited_ms for update in self.updates.values())

    def earned(self, ms: int) -> int:
        """P(t)."""
        return min(self.pool, self.wage * ms // 1000)

    @property
    def surplus(self) -> int:
        return self.pool - self.earned(self.claimed_ms)

    def share(self, client: str) -> int:
        if not self.credited_ms:
            return 0
        return self.earned(self.credited_ms) * self.updates[client].credited_ms // self.credited_ms

    @property
    def rounding(self) -> int:
        return self.earned(self.credited_ms) - sum(map(self.share, self.updates))

    @property
    def forfeited(self) -> int:
        """Lost to adjustments and to rounding."""
        return self.earned(self.claimed_ms) - self.earned(self.credited_ms) + self.rounding

    @property
    def owed(self) -> int:
        return sum(self.share(client) for client, update in self.updates.items() if not update.settled)


@dataclasses.dataclass
class Ledger:
    terms: FederationTerms
    deposits: int = 0
    paid: int = 0
    slashed: int = 0
    members: dict[str, int] = dataclasses.field(default_factory=dict)  # client: index
    member_count: int = 0
    stakes: dict[str, int] = dataclasses.field(default_factory=dict)  # what is held, members or not
    rounds: list[Round] = dataclasses.field(default_factory=list)
    closed: bool = False
    withdrawn: bool = False
    booked: int = 0  # carried, without what the latest round left

    # --------------------------------------------------------------------------------------------------- reading

    @property
    def latest(self) -> Round | None:
        return self.rounds[-1] if self.rounds else None

    def is_live(self, now: int) -> bool:
        return self.latest is not None and self.latest.is_live(now)

    def live_pool(self, now: int) -> int:
        return self.latest.pool if self.latest and self.is_live(now) else 0

    def carried(self, now: int) -> int:
        if self.closed or self.latest is None or self.is_live(now):
            return self.booked
        return self.booked + self.latest.surplus

    def owed(self, now: int) -> int:
        return sum(round.owed for round in self.rounds if not round.is_live(now))

    def forfeited(self, now: int) -> int:
        return self.slashed + sum(round.forfeited for round in self.rounds if not round.is_live(now))

    def due(self, client: str, now: int) -> list[int]:
        """The rounds that are over and have an update of the client, settled or not."""
        return [
            number
            for number, round in enumerate(self.rounds, start=1)
            if client in round.updates and not round.is_live(now)
        ]

    def is_locked(self, client: str, now: int) -> bool:
        return self.latest is not None and self.is_live(now) and client in self.latest.updates

    def held(self) -> int:
        return self.deposits - self.paid

    def check(self, now: int) -> None:
        stakes = sum(self.stakes.values())
        parts = (self.paid, self.owed(now), self.live_pool(now), self.carried(now), stakes, self.forfeited(now))
        assert min(parts) >= 0
        assert self.deposits == sum(parts), parts

    # --------------------------------------------------------------------------------------------------- booking

    def register(self, client: str) -> int:
        index = self.member_count
        self.members[client] = index
        self.stakes[client] = self.terms.stake
        self.member_count += 1
        self.deposits += self.terms.stake
        return index

    def leave(self, client: str, now: int) -> int:
        self.members.pop(client, None)
        returned = 0 if self.is_locked(client, now) else self.stakes.pop(client)
        self.paid += returned
        return returned

    def fund(self, amount: int) -> None:
        self.booked += amount
        self.deposits += amount

    def open(self, round: Round, reward: int) -> None:
        """The round's pool is the reward and what was carried."""
        self.rounds.append(round)
        self.booked = 0
        self.deposits += reward

    def finalize(self, adjustments: Iterable[tuple[str, int, int]]) -> None:
        assert self.latest
        for client, credited_ms, slash_rate in adjustments:
            self.latest.updates[client].credited_ms = credited_ms
            slashed = self.stakes[client] * slash_rate // BASIS_POINTS
            self.stakes[client] -= slashed
            self.slashed += slashed
        self.latest.finalized = True

    def claim(self, client: str, numbers: Iterable[int]) -> int:
        amount = 0
        for number in numbers:
            round = self.rounds[number - 1]
            amount += 0 if round.updates[client].settled else round.share(client)
            round.updates[client].settled = True
        self.paid += amount
        return amount

    def close(self, now: int) -> None:
        self.booked = self.carried(now)
        self.closed = True

    def withdraw(self) -> int:
        self.withdrawn = True
        amount, self.booked = self.booked, 0
        self.paid += amount
        return amount
