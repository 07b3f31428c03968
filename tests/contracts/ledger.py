"""The books of a federation, kept from the definitions of the interface and never from what the contract says.

Deposits = paid + owed + live pool + carried + stakes + forfeited, whatever happens. Block times are in seconds, compute
times in milliseconds, amounts in units of the asset, rates in 10^-9 of a unit per second.

Where the contract books a round when its client next comes by, here it is booked when it is over: what anybody is owed
is the sum over all rounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import eth_abi
from eth_utils import keccak

from .helpers import (
    ABANDONED,
    AGGREGATING,
    AUDIT_OPEN,
    BASIS_POINTS,
    FINALIZED,
    NONE,
    TRAINING,
    ZERO_CID,
    FederationTerms,
)

SELECTION_PRIME = 2**31 - 1
SCALE = 10**12  # 10^9 parts of a unit, times milliseconds per second
OPENING = (
    "(uint24,uint40,uint40,uint40,uint24,uint24,uint16,uint16,uint32,bytes32,bytes32,bytes32,bytes32,uint112,uint112)"
)


# ------------------------------------------------------------------------------------------------- commitments


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def first_digest(chain_id: int, federation: str, opening: Sequence[Any]) -> str:
    values = [raw(value) if isinstance(value, str) else value for value in opening]
    return _hash(["uint256", "address", OPENING], [chain_id, federation, values])[:42]


def next_digest(digest: str, client: str, update_cid: str, compute_ms: int) -> str:
    values = [raw(digest), str(client), raw(update_cid), compute_ms]
    return _hash(["bytes20", "address", "bytes32", "uint32"], values)[:42]


def outcome_of(
    model: str, report: str, secret: str, credited_ms: int, adjustments: Sequence[tuple[str, int, int]]
) -> str:
    types = ["bytes32", "bytes32", "bytes32", "uint48", "(address,uint32,uint16)[]"]
    return _hash(types, [raw(model), raw(report), raw(secret), credited_ms, list(adjustments)])


def next_record(record: str, round: int, digest: str, update_count: int, claimed_ms: int, outcome: str) -> str:
    """`outcome` is zero for an abandoned round."""
    types = ["bytes32", "uint24", "bytes20", "uint16", "uint48", "bytes32"]
    return _hash(types, [raw(record), round, raw(digest), update_count, claimed_ms, raw(outcome)])


def _hash(types: list[str], values: list[Any]) -> str:
    return "0x" + keccak(eth_abi.encode(types, values)).hex()


# ------------------------------------------------------------------------------------------------------- rounds


@dataclasses.dataclass
class Update:
    cid: str
    claimed_ms: int
    credited_ms: int
    ordinal: int
    adjusted: bool = False
    slash_rate: int = 0
    paid: bool = False
    erased: bool = False  # from the views


@dataclasses.dataclass
class Round:
    number: int
    opened_at: int
    training_deadline: int
    aggregation_deadline: int
    roster: list[str]  # who stood where when it opened
    selection_offset: int
    selected_count: int
    max_updates: int
    max_compute_ms: int
    plan: str
    sealing_key: str
    base: tuple[str, str]
    rate_cap: int
    pool: int
    digest: str = ""
    updates: dict[str, Update] = dataclasses.field(default_factory=dict)
    declined: set[str] = dataclasses.field(default_factory=set)
    gone: set[str] = dataclasses.field(default_factory=set)  # members of then that have left since
    absent: set[str] = dataclasses.field(default_factory=set)  # selected, and not awaited
    finalized: bool = False
    released: tuple[str, str] = (ZERO_CID, ZERO_CID)
    secret: str = ZERO_CID
    taken: bool = False  # what it left was withdrawn

    @property
    def opening(self) -> tuple[Any, ...]:
        """In the order of the interface."""
        return (
            self.number,
            self.opened_at,
            self.training_deadline,
            self.aggregation_deadline,
            len(self.roster),
            self.selection_offset,
            self.selected_count,
            self.max_updates,
            self.max_compute_ms,
            self.plan,
            self.sealing_key,
            *self.base,
            self.rate_cap,
            self.pool,
        )

    def phase(self, now: int) -> int:
        if self.finalized:
            return FINALIZED
        if now >= self.aggregation_deadline:
            return ABANDONED
        if now < self.training_deadline and len(self.updates) + len(self.absent) < self.selected_count:
            return TRAINING
        return AGGREGATING if self.updates else ABANDONED

    def is_live(self, now: int) -> bool:
        return self.phase(now) in (TRAINING, AGGREGATING)

    @property
    def selected(self) -> list[str]:
        """Whom the opening selected, whatever became of them."""
        n = len(self.roster)
        places = ((SELECTION_PRIME * index + self.selection_offset) % n for index in range(n))
        return [client for client, place in zip(self.roster, places, strict=True) if place < self.selected_count]

    def takes(self, client: str) -> bool:
        """Whether it is selected and has not left since."""
        return client in self.selected and client not in self.gone

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
        return min(self.pool, self.rate_cap * ms // SCALE)

    @property
    def guaranteed_rate(self) -> int:
        most_ms = self.selected_count * self.max_compute_ms
        return min(self.rate_cap, self.pool * SCALE // most_ms)

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

    def submit(self, client: str, cid: str, ms: int) -> None:
        self.updates[client] = Update(cid, ms, ms, len(self.updates))
        self.digest = next_digest(self.digest, client, cid, ms)

    def chained(self, record: str, outcome: str) -> str:
        return next_record(record, self.number, self.digest, len(self.updates), self.claimed_ms, outcome)


@dataclasses.dataclass
class Ledger:
    terms: FederationTerms
    federation: str
    chain_id: int
    deposits: int = 0
    paid: int = 0
    slashed: int = 0
    members: list[str] = dataclasses.field(default_factory=list)  # by position
    last: dict[str, int] = dataclasses.field(default_factory=dict)  # round of the last update, decline or registration
    stakes: dict[str, int] = dataclasses.field(default_factory=dict)  # of members, and of those who are held
    held: set[str] = dataclasses.field(default_factory=set)  # no members; `leave` has still to settle with them
    left_in: dict[str, int] = dataclasses.field(default_factory=dict)  # and kept its slot
    rejoined_in: dict[str, int] = dataclasses.field(default_factory=dict)  # the round that it had left in
    rounds: list[Round] = dataclasses.field(default_factory=list)
    release: tuple[str, str] = (ZERO_CID, ZERO_CID)
    record: str = ZERO_CID
    closed: bool = False
    booked: int = 0  # carried, without what the latest round left

    # --------------------------------------------------------------------------------------------------- reading

    @property
    def latest(self) -> Round | None:
        return self.rounds[-1] if self.rounds else None

    @property
    def number(self) -> int:
        return len(self.rounds)

    def phase(self, now: int) -> int:
        return self.latest.phase(now) if self.latest else NONE

    def is_live(self, now: int) -> bool:
        return self.phase(now) in (TRAINING, AGGREGATING)

    def is_over(self, now: int) -> bool:
        return self.phase(now) in (FINALIZED, ABANDONED)

    def live_pool(self, now: int) -> int:
        return self.latest.pool if self.latest and self.is_live(now) else 0

    def carried(self, now: int) -> int:
        if self.latest is None or self.latest.taken or not self.is_over(now):
            return self.booked
        return self.booked + self.latest.surplus

    def unpaid(self, client: str, now: int) -> list[Round]:
        """The rounds that are over, and whose reward the client has not been paid."""
        mine = [round for round in self.rounds if client in round.updates and not round.updates[client].paid]
        return [round for round in mine if not round.is_live(now)]

    def owed(self, client: str, now: int) -> int:
        return sum(round.share(client) for round in self.unpaid(client, now))

    def is_locked(self, client: str, now: int) -> bool:
        """Whether it has an update in the live round."""
        return self.latest is not None and self.is_live(now) and client in self.latest.updates

    def holdings(self) -> int:
        return self.deposits - self.paid

    def check(self, now: int) -> None:
        over = [round for round in self.rounds if not round.is_live(now)]
        owed = sum(round.share(client) for round in over for client, update in round.updates.items() if not update.paid)
        stakes = sum(self.stakes.values())
        parts = (self.paid, owed, self.live_pool(now), self.carried(now), stakes, self.forfeited(now))
        assert min(parts) >= 0
        assert self.deposits == sum(parts), parts

    def forfeited(self, now: int) -> int:
        return self.slashed + sum(round.forfeited for round in self.rounds if not round.is_live(now))

    def lines(self) -> dict[str, Update]:
        """The updates of the latest round that state still shows: who is settled with takes its line along."""
        if self.latest is None:
            return {}
        return {client: update for client, update in self.latest.updates.items() if not update.erased}

    def client_view(self, client: str, now: int) -> dict[str, Any]:
        """ClientView of the interface."""
        round, member = self.latest, client in self.members
        update = self.lines().get(client)
        selected = round is not None and (update is not None or round.takes(client))
        return {
            "client": client,
            "member": member,
            "index": self.members.index(client) if member else 0,
            "selected": selected,
            "last": self.last.get(client, 0),
            "declined": selected and update is None and self.last.get(client, 0) == self.number,
            "updateCid": update.cid if update else ZERO_CID,
            "computeMs": update.credited_ms if update else 0,
            "adjusted": bool(update and update.adjusted),
            "slashRate": update.slash_rate if update else 0,
            "owed": self.owed(client, now),
            "stake": self.stakes.get(client, 0),
        }

    def round_view(self, now: int) -> dict[str, Any]:
        """RoundView of the interface, without the client."""
        round = self.latest
        assert round
        over = not round.is_live(now)
        return {
            "round": round.number,
            "phase": round.phase(now),
            "openedAt": round.opened_at,
            "trainingDeadline": round.training_deadline,
            "aggregationDeadline": round.aggregation_deadline,
            "planCid": round.plan,
            "sealingKey": round.sealing_key,
            "base": (ZERO_CID, ZERO_CID) if round.finalized else round.base,
            "released": round.released,
            "secret": round.secret if self.terms.audit_policy == AUDIT_OPEN else ZERO_CID,
            "memberCount": len(round.roster),
            "selectionOffset": round.selection_offset,
            "selectedCount": round.selected_count,
            "maxUpdates": round.max_updates,
            "maxComputeMs": round.max_compute_ms,
            "digest": round.digest,
            "updateCount": len(round.updates),
            "absentCount": len(round.absent),
            "claimedMs": round.claimed_ms,
            "creditedMs": round.credited_ms,
            "rewardRateCap": round.rate_cap,
            "pool": round.pool,
            "guaranteedRate": round.guaranteed_rate,
            "payable_": over * round.earned(round.credited_ms),
            "surplus": over * round.surplus,
            "forfeited": over * (round.forfeited - round.rounding),
        }

    # --------------------------------------------------------------------------------------------------- booking

    def register(self, client: str) -> int:
        if client in self.held:
            self.held.discard(client)
            self._erase(client)
        if self.left_in.get(client) == self.number:
            self.rejoined_in[client] = self.number
        self.members.append(client)
        self.last[client] = self.number
        self.stakes[client] = self.terms.stake
        self.deposits += self.terms.stake
        return len(self.members) - 1

    def leave(self, client: str, now: int, *, signed: bool = False) -> int:
        """What is paid: nothing while an update is in the live round."""
        if client in self.members:
            if self.latest and self.phase(now) == TRAINING and self.awaits(client):
                self.latest.absent.add(client)
            self._vacate(client)
        if self.is_locked(client, now):
            self.held.add(client)
            return 0
        self.held.discard(client)
        self.last.pop(client, None)
        self._erase(client)
        if self.terms.stake and not signed:
            self.left_in.pop(client, None)
        else:
            self.left_in[client] = self.number
        stake = self.stakes.pop(client)
        self.paid += stake
        return stake + self.claim(client, now)

    def awaits(self, client: str) -> bool:
        assert self.latest
        return self.latest.takes(client) and not ({client} & (self.latest.updates.keys() | self.latest.absent))

    def may_retire(self, client: str) -> bool:
        round = self.latest
        if not self.terms.idle_rounds or round is None or client not in self.members or not round.takes(client):
            return False
        return self.number - self.last[client] >= self.terms.idle_rounds

    def retire(self, client: str) -> None:
        self._vacate(client)
        self.held.add(client)

    def _vacate(self, client: str) -> None:
        """The last member takes the place."""
        index = self.members.index(client)
        self.members[index] = self.members[-1]
        self.members.pop()
        self.left_in[client] = self.number
        if self.latest:
            self.latest.gone.add(client)

    def _erase(self, client: str) -> None:
        if self.latest and client in self.latest.updates:
            self.latest.updates[client].erased = True

    def fund(self, amount: int) -> None:
        self.booked += amount
        self.deposits += amount

    def open(self, round: Round, reward: int) -> None:
        """The round's pool is the reward and what was carried."""
        if self.latest and not self.latest.finalized:
            self.record = self.latest.chained(self.record, ZERO_CID)
        self.rounds.append(round)
        self.booked = 0
        self.deposits += reward
        round.digest = first_digest(self.chain_id, self.federation, round.opening)

    def submit(self, client: str, cid: str, ms: int) -> None:
        assert self.latest
        self.latest.submit(client, cid, ms)
        self.last[client] = self.number

    def decline(self, client: str) -> None:
        assert self.latest
        self.latest.declined.add(client)
        self.latest.absent.add(client)
        self.last[client] = self.number

    def finalize(self, model: str, report: str, secret: str, adjustments: Sequence[tuple[str, int, int]]) -> None:
        round = self.latest
        assert round
        for client, credited_ms, slash_rate in adjustments:
            update = round.updates[client]
            update.credited_ms, update.slash_rate, update.adjusted = credited_ms, slash_rate, True
            slashed = self.stakes[client] * slash_rate // BASIS_POINTS
            self.stakes[client] -= slashed
            self.slashed += slashed
        round.finalized, round.secret = True, secret
        round.released = self.release = (model, report)
        outcome = outcome_of(model, report, secret, round.credited_ms, adjustments)
        self.record = round.chained(self.record, outcome)

    def claim(self, client: str, now: int) -> int:
        amount = self.owed(client, now)
        for round in self.unpaid(client, now):
            round.updates[client].paid = True
        self.paid += amount
        return amount

    def withdraw(self, now: int) -> int:
        amount, self.booked = self.carried(now), 0
        if self.latest and self.is_over(now):
            self.latest.taken = True
        self.paid += amount
        return amount
