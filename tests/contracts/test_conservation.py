"""Whatever happens: deposits = paid + owed + live pool + carried + forfeited, in a federation without stakes."""

from __future__ import annotations

from typing import NamedTuple

import brownie
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .helpers import (
    AGGREGATING,
    FINALIZED,
    TRAINING,
    ZERO_ADDRESS,
    abandon,
    end_training,
    finalize,
    open_round,
    submit,
)

CLIENTS = 4
relaxed = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


class Story(NamedTuple):
    """What happens in one round; lists have an entry per client."""

    reward: int
    rate: int
    funds: int
    claimed_ms: list[int | None]  # None: submits nothing
    credited_percent: list[int]
    finalized: bool
    claims_at_once: list[bool]


def each(strategy):
    return st.lists(strategy, min_size=CLIENTS, max_size=CLIENTS)


stories = st.builds(
    Story,
    reward=st.integers(0, 5000) | st.integers(0, 10**20),
    rate=st.integers(1, 100) | st.integers(1, 10**18),
    funds=st.integers(0, 1000),
    claimed_ms=each(st.none() | st.integers(1, 100_000)),
    credited_percent=each(st.just(100) | st.integers(0, 100)),
    finalized=st.booleans(),
    claims_at_once=each(st.booleans()),
)


class Books:
    """Kept from the definitions of the interface, not from what the contract says."""

    def __init__(self, federation):
        self.federation = federation
        self.deposits = self.paid = self.carried = 0
        self.rounds = {}  # round -> (pool, rate, {client: (claimed, credited)}), once it is over
        self.settled = set()  # (round, client)

    def opens(self, story):
        pool = self.carried + story.reward
        self.deposits += story.reward
        self.carried = 0
        return pool

    def settles(self, round, pool, rate, updates):
        self.rounds[round] = (pool, rate, updates)
        self.carried += pool - self.payable(round, 0)

    def payable(self, round, column):
        pool, rate, updates = self.rounds[round]
        return min(pool, rate * sum(times[column] for times in updates.values()) // 1000)

    def share(self, round, client):
        updates = self.rounds[round][2]
        total = sum(credited for _, credited in updates.values())
        return self.payable(round, 1) * updates[client][1] // total if total else 0

    def forfeited(self, round):
        """Lost to adjustments and to rounding."""
        return self.payable(round, 0) - sum(self.share(round, client) for client in self.rounds[round][2])

    def claims(self, client):
        due = [round for round, (_, _, updates) in self.rounds.items() if client in updates]
        amount = sum(self.share(round, client) for round in due if (round, client) not in self.settled)
        before = client.balance()
        self.federation.claim(due, client, {"from": client})
        assert client.balance() - before == amount
        self.settled |= {(round, client) for round in due}
        self.paid += amount

    def balance(self, live_pool=0):
        federation = self.federation
        owed = forfeited = 0
        for round, (pool, _, updates) in self.rounds.items():
            view = federation.roundView(round, ZERO_ADDRESS)
            assert view["payable_"] == self.payable(round, 1)
            assert view["surplus"] == pool - self.payable(round, 0)
            assert view["forfeited"] == self.payable(round, 0) - self.payable(round, 1)
            rounding = self.forfeited(round) - view["forfeited"]
            assert 0 <= rounding < max(1, len(updates))
            forfeited += self.forfeited(round)
            owed += sum(self.share(round, client) for client in updates if (round, client) not in self.settled)
        assert federation.carried() == self.carried
        assert federation.balance() == self.deposits - self.paid
        assert self.deposits == self.paid + owed + live_pool + self.carried + forfeited


def play(federation, clients, books, story):
    pool = books.opens(story)
    round = open_round(federation, reward=story.reward, reward_rate_cap=story.rate)
    assert federation.roundView(round, ZERO_ADDRESS)["pool"] == pool
    updates = {}
    for client, ms, percent in zip(clients, story.claimed_ms, story.credited_percent, strict=True):
        if ms is not None:
            submit(federation, client, ms)
            updates[client] = (ms, ms * percent // 100 if story.finalized else ms)
    books.balance(live_pool=pool)
    if story.funds:
        federation.fund(story.funds, {"from": clients[0], "value": story.funds})
        books.deposits += story.funds
        books.carried += story.funds
    if updates and story.finalized:
        assert federation.phase(round) == TRAINING
        end_training(federation)
        assert federation.phase(round) == AGGREGATING
        finalize(federation, {client: new for client, (old, new) in updates.items() if new < old})
        assert federation.phase(round) == FINALIZED
    else:
        abandon(federation)
    books.settles(round, pool, story.rate, updates)
    books.balance()
    for client, now in zip(clients, story.claims_at_once, strict=True):
        if now:
            books.claims(client)
    books.balance()


@relaxed
@given(told=st.lists(stories, min_size=1, max_size=4))
def test_the_books_balance(federation, organization, clients, told):
    brownie.chain.revert()
    books = Books(federation)
    for story in told:
        play(federation, clients[:CLIENTS], books, story)
    federation.close({"from": organization})
    books.balance()
    before = organization.balance()
    federation.withdraw(organization, {"from": organization})
    assert organization.balance() - before == books.carried
    books.paid += books.carried
    books.carried = 0
    for client in clients[:CLIENTS]:
        books.claims(client)
    books.balance()
    assert federation.balance() == sum(books.forfeited(round) for round in books.rounds)
