"""A federation under whatever its people do, in whatever order, against a ledger that is kept of it.

KOINON_DEEP=1 plays many more and longer stories: `make prove`. What the stories come to is counted, so that a search
that stays in shallow waters fails.
"""

from __future__ import annotations

import os
from collections import Counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from .chain import CHAIN, Contract, Person, deploy
from .helpers import (
    AGGREGATING,
    AUDIT_APPOINTED,
    BASIS_POINTS,
    ETHER,
    MIN_PERIOD,
    OPEN,
    ORGANIZATIONS_CALLS,
    OWNERS_CALLS,
    TRAINING,
    VOUCHER,
    ZERO_ADDRESS,
    deploy_federation,
    key_of,
    person,
    sign_leaving,
    sign_registration,
    sign_update,
    sign_voucher,
    terms_of_round,
)
from .ledger import SCALE
from .twin import Twin

BOUNDED = settings(
    max_examples=50,
    stateful_step_count=80,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
DEEP = settings(BOUNDED, max_examples=400, stateful_step_count=120, derandomize=False, print_blob=True)
IS_DEEP = bool(os.environ.get("KOINON_DEEP"))

# What every search has to come to, at least so often; the bounded one comes to two or three times as much.
EXPECTED = {
    "registered again": 10,
    "registered by a relay": 2,
    "refused: VoucherExpired": 10,
    "refused: VoucherSpent": 10,
    "refused: InvalidVoucher": 3,
    "left": 35,
    "left by a relay": 4,
    "left with an update in the live round": 6,
    "moved by a leaver": 20,
    "came back for what is theirs": 5,
    "retired": 3,
    "opened for some": 15,
    "opened without a pool": 3,
    "refused: PoolTooSmall": 4,
    "declined": 6,
    "relayed": 10,
    "relayed some of a batch": 8,
    "nobody submitted": 1,
    "abandoned": 15,
    "finalized": 25,
    "finalized with adjustments": 12,
    "finalized with slashes": 5,
    "finalized with everybody rejected": 6,
    "finalized and owing the whole pool": 1,
    "finalized with a surplus": 20,
    "finalized after the closing": 1,
    "claimed": 10,
    "claimed by somebody else": 8,
    "claimed several rounds at once": 7,
    "claimed after the closing": 3,
    "closed": 10,
    "closed in a live round": 5,
    "withdrawn": 6,
    "the owner hands over": 25,
    "the operator's key was stolen": 15,
}

CLIENTS = 5

clients = st.integers(0, CLIENTS - 1)
amounts = st.integers(0, 5000) | st.integers(0, ETHER)
periods = st.integers(MIN_PERIOD, 4 * MIN_PERIOD)
lifetimes = st.integers(0, 2) | st.integers(1, 1000)  # of a signature, in seconds
round_terms = st.fixed_dictionaries(
    {
        "training_period": periods,
        "aggregation_period": periods,
        "max_updates": st.integers(1, 2 * CLIENTS),
        "max_compute_ms": st.integers(1, 100_000) | st.integers(1, 3000),
        "selection_rate": st.just(BASIS_POINTS) | st.integers(1, BASIS_POINTS),
        "reward_rate_cap": st.integers(1, 10**12) | st.integers(10**9, ETHER * 10**9),
    }
)
# Of the least that the pool has to be: nothing at all, just that, too little, more.
rewards = st.sampled_from(["nothing", "the least", "the least", "the least", "too little", "more"])


def of_each_client(strategy):
    return st.lists(strategy, min_size=CLIENTS, max_size=CLIENTS)


# -1 is the most that may be claimed.
claims = of_each_client(st.none() | st.integers(0, 100_000) | st.just(-1)) | st.just([-1] * CLIENTS)
verdict = st.tuples(st.integers(0, 99), st.integers(0, BASIS_POINTS))
verdicts = st.sampled_from([[None] * CLIENTS, [(0, BASIS_POINTS)] * CLIENTS]) | of_each_client(st.none() | verdict)


class World(NamedTuple):
    """Federations of every kind, and who has to do with them."""

    federations: list[Contract]
    owners: list[Person]
    operator: Person
    stranger: Person
    clients: list[Person]


class Voucher(NamedTuple):
    id: int
    client: Person
    expiry: int
    signer: Person
    owner_nonce: int
    signature: bytes


class Signed(NamedTuple):
    """A registration or a leaving."""

    client: Person
    round: int
    to: str | None
    deadline: int
    signature: tuple[bytes, bytes]


class Stories(RuleBasedStateMachine):
    vouchers = Bundle("vouchers")
    signatures = Bundle("signatures")

    def __init__(self, world: World, reached: Counter[str]) -> None:
        super().__init__()
        # By itself hypothesis turns half of the rules off in every story (swarm testing): few would have rounds.
        everything_on = SimpleNamespace(is_enabled=lambda name: True)
        self._rules_strategy.enabled_rules_strategy = st.just(everything_on)
        self.world = world
        self.clients = world.clients
        self.owner, self.heir = world.owners
        self.reached = reached
        self.beginning, self.moment = CHAIN.request("evm_snapshot"), CHAIN.now
        self.signed = 0  # vouchers
        self.spent: set[int] = set()
        self.known: set[str] = set()  # clients that have been members
        self.updates: list[Any] = []  # that were signed in rounds before

    @initialize(kind=st.integers(0, 5), members=st.integers(1, CLIENTS))
    def a_federation_has_members_and_an_operator(self, kind, members):
        self.contract = self.world.federations[kind]
        self.twin = Twin(self.contract, self.clients)
        self.twin.set_operator(self.world.operator)
        for client in range(members):
            if self.twin.terms.admission == OPEN:
                self.somebody_registers(client)
            else:
                voucher = self.the_owner_signs_a_voucher(client, lifetime=60)
                self.somebody_shows_a_voucher(voucher, thief=None, relayed=False)

    def teardown(self):
        try:
            if hasattr(self, "twin"):
                self.twin.everybody_gets_out()
        finally:
            CHAIN.request("evm_revert", self.beginning)
            CHAIN.now = self.moment

    @invariant()
    def the_books_balance(self):
        self.twin.check()

    @invariant()
    def everybody_stands_where_they_should(self):
        self.twin.check_clients()

    @precondition(lambda self: self.twin.number)
    @invariant()
    def the_latest_round_keeps_its_bounds(self):
        self.twin.check_round()

    # -------------------------------------------------------------------------------------------------- membership

    @precondition(lambda self: self.twin.terms.admission == OPEN)
    @rule(client=clients)
    def somebody_registers(self, client):
        self.note_registration(self.clients[client], self.twin.register(self.clients[client]))

    @precondition(lambda self: self.twin.terms.admission == VOUCHER)
    @rule(target=vouchers, client=clients, lifetime=lifetimes)
    def the_owner_signs_a_voucher(self, client, lifetime):
        self.signed += 1
        client, expiry, nonce = self.clients[client], CHAIN.now + lifetime, self.twin.owner_nonce
        signature = sign_voucher(self.contract, client, self.signed, expiry, signer=self.owner, owner_nonce=nonce)
        return Voucher(self.signed, client, expiry, self.owner, nonce, signature)

    @precondition(lambda self: self.twin.terms.admission == VOUCHER)
    @rule(voucher=vouchers, thief=st.none() | st.none() | clients, relayed=st.booleans())
    def somebody_shows_a_voucher(self, voucher, thief, relayed):
        client = voucher.client if thief is None else self.clients[thief]
        shown = (voucher.id, voucher.expiry, voucher.signature)
        if CHAIN.now >= voucher.expiry:
            refusal = ("VoucherExpired", voucher.expiry, CHAIN.now)
        elif voucher.id in self.spent:
            refusal = ("VoucherSpent", voucher.id)
        elif (voucher.owner_nonce, voucher.client) != (self.twin.owner_nonce, client):
            refusal = ("InvalidVoucher", self.owner, client)
        else:
            refusal = None
        if relayed:
            admitted = self.twin.register_signed(
                client, self.world.stranger, deadline=CHAIN.now + 1, voucher=shown, voucher_refusal=refusal
            )
            self.reached["registered by a relay"] += admitted
        else:
            admitted = self.twin.register(client, shown, refusal)
        self.note_registration(client, admitted)
        if admitted:
            self.spent.add(voucher.id)
        elif refusal:
            self.reached[f"refused: {refusal[0]}"] += 1

    def note_registration(self, client, admitted):
        self.reached["registered again" if client in self.known else "registered"] += admitted
        if admitted:
            self.known.add(client)

    @precondition(lambda self: self.twin.terms.admission == VOUCHER)
    @rule(voucher=vouchers)
    def the_owner_revokes_a_voucher(self, voucher):
        self.twin.attempt(None, "revokeVoucher", voucher.id, sender=self.owner)
        self.spent.add(voucher.id)

    @rule(client=clients, to=clients)
    def somebody_leaves(self, client, to):
        client = self.clients[client]
        member, moves = self.twin.is_member(client), self.twin.ledger.members[-1:] != [client]
        live = self.twin.ledger.is_locked(client, CHAIN.now)
        left = self.twin.leave(client, self.clients[to])
        self.note_leaving(left, member, live)
        self.reached["moved by a leaver"] += left and member and moves

    def note_leaving(self, left, member, live):
        if member:
            self.reached["left with an update in the live round" if live else "left"] += left
        else:
            self.reached["came back for what is theirs"] += left

    @rule(target=signatures, client=clients, to=st.none() | clients, lifetime=lifetimes)
    def a_client_signs(self, client, to, lifetime):
        """A registration, or that it leaves and where its money goes."""
        client, round, deadline = self.clients[client], self.twin.number, CHAIN.now + lifetime
        if to is None:
            signature = sign_registration(self.contract, client, round=round, deadline=deadline)
            return Signed(client, round, None, deadline, signature)
        to = self.clients[to]
        signature = sign_leaving(self.contract, client, to=to, round=round, deadline=deadline)
        return Signed(client, round, to, deadline, signature)

    @rule(signed=signatures)
    def somebody_sends_what_a_client_signed(self, signed):
        """Or sends it a second time, or in another round."""
        twin, client = self.twin, signed.client
        means = {
            "deadline": signed.deadline,
            "signature": signed.signature,
            "valid": signed.round == twin.number,
        }
        member, live = twin.is_member(client), twin.ledger.is_locked(client, CHAIN.now)
        if signed.to is not None:
            left = twin.leave_signed(client, signed.to, self.world.stranger, **means)
            self.note_leaving(left, member, live)
            self.reached["left by a relay"] += left
        elif twin.terms.admission == OPEN:
            again = twin.ledger.left_in.get(client) == twin.number
            admitted = twin.register_signed(client, self.world.stranger, **means)
            self.note_registration(client, admitted)
            self.reached["registered by a relay"] += admitted
            self.reached["refused: SignatureSpent"] += again and not twin.terms.stake

    @rule(client=clients)
    def somebody_retires(self, client):
        self.reached["retired"] += self.twin.retire(self.clients[client], self.world.stranger)

    @precondition(lambda self: self.twin.terms.idle_rounds and self.twin.number and self.twin.phase != TRAINING)
    @rule()
    def everybody_idle_is_retired(self):
        for client in self.clients:
            if self.twin.ledger.may_retire(client):
                self.reached["retired"] += self.twin.retire(client, self.world.stranger)

    # ------------------------------------------------------------------------------------------------------ rounds

    @precondition(lambda self: self.twin.may_open)
    @rule(changes=round_terms, reward=rewards, extra=amounts)
    def the_owner_opens_a_round(self, changes, reward, extra):
        self.open(self.twin.owner, changes, reward, extra)

    @precondition(lambda self: self.twin.may_open and self.twin.operator != ZERO_ADDRESS)
    @rule(changes=round_terms, reward=rewards, extra=amounts)
    def the_operator_opens_a_round(self, changes, reward, extra):
        self.open(self.twin.operator, changes, reward, extra)

    def open(self, sender, changes, reward, extra):
        twin = self.twin
        members, carried = len(twin.ledger.members), twin.ledger.carried(CHAIN.now)
        k = min(-(-changes["selection_rate"] * members // BASIS_POINTS), changes["max_updates"])
        needed = -(-changes["reward_rate_cap"] * k * changes["max_compute_ms"] // (twin.terms.max_spread * SCALE))
        lacking = max(0, needed - carried)
        amount = {
            "nothing": 0,
            "the least": lacking,
            "too little": max(0, lacking - 1),
            "more": lacking + extra,
        }[reward]
        if not twin.open(terms_of_round(twin.number + 1, reward=amount, **changes), sender):
            self.reached["refused: PoolTooSmall"] += 1
            twin.open(terms_of_round(twin.number + 1, reward=lacking, **changes), sender)
        self.reached["opened without a pool"] += not twin.latest.pool
        self.reached["opened for some"] += k < members

    @precondition(lambda self: self.twin.phase == TRAINING)
    @rule(seconds=st.integers(0, MIN_PERIOD - 1), claims=claims)
    def some_clients_submit(self, seconds, claims):
        CHAIN.move_to(CHAIN.now + seconds)
        for client, ms in zip(self.clients, claims, strict=True):
            if ms is not None:
                self.twin.submit(client, ms)

    @precondition(lambda self: self.twin.phase == TRAINING)
    @rule()
    def everybody_claims_the_most(self):
        CHAIN.move_to(max(CHAIN.now, self.twin.latest.training_deadline - 1))
        for client in self.clients:
            self.twin.submit(client, -1)
        if self.twin.phase == TRAINING:
            self.twin.end_training()

    @precondition(lambda self: self.twin.phase == TRAINING)
    @rule(seconds=st.integers(0, MIN_PERIOD - 1), claims=claims)
    def the_last_clients_submit(self, seconds, claims):
        self.some_clients_submit(seconds, claims)
        if self.twin.phase == TRAINING:
            self.twin.end_training()
        self.reached["nobody submitted"] += not self.twin.latest.updates

    @precondition(lambda self: self.twin.phase == TRAINING)
    @rule(
        entries=st.lists(st.tuples(clients, st.none() | st.integers(0, 100_000)), min_size=1, max_size=6),
        with_junk=st.booleans(),
        ending=st.booleans(),
    )
    def a_relay_submits(self, entries, with_junk, ending):
        """What clients sign, some of them twice, and what they signed in rounds before."""
        number = self.twin.number
        batch = [(self.clients[client], ms) for client, ms in entries]
        junk = [(self.twin.cid_of("nobody"), 1000, b"\1" * 32, b"\2" * 32), *self.updates[-2:]] if with_junk else []
        taken = self.twin.relay(batch, junk, self.world.stranger)
        self.reached["relayed"] += taken > 0
        self.reached["relayed some of a batch"] += 0 < taken < len(batch) + len(junk)
        self.updates.append(sign_update(self.contract, batch[0][0], 1, round=number, sealing_key=key_of(number)))
        if ending and self.twin.phase == TRAINING:
            self.twin.end_training()

    @precondition(lambda self: self.twin.phase == TRAINING)
    @rule(client=clients)
    def somebody_declines(self, client):
        self.reached["declined"] += self.twin.decline(self.clients[client])

    @precondition(lambda self: self.twin.phase == AGGREGATING)
    @rule()
    def the_organization_is_dead(self):
        self.twin.end_aggregation()
        self.reached["abandoned"] += 1

    @precondition(lambda self: self.twin.phase == AGGREGATING)
    @rule(verdicts=verdicts)
    def the_owner_finalizes(self, verdicts):
        self.finalize(self.twin.owner, verdicts)

    @precondition(lambda self: self.twin.phase == AGGREGATING and self.twin.operator != ZERO_ADDRESS)
    @rule(verdicts=verdicts)
    def the_operator_finalizes(self, verdicts):
        self.finalize(self.twin.operator, verdicts)

    def finalize(self, sender, verdicts):
        """Whoever is rejected, the owner can withdraw no more, and no less, and nobody is paid more than s-fold."""
        if not self.twin.ledger.closed:
            with self.twin.imagined():
                self.twin.finalize(sender, [None] * CLIENTS)
                withdrawable = self.twin.withdrawable()
                shares = {client: self.twin.latest.share(client) for client in self.twin.latest.updates}
        slashed = self.twin.ledger.slashed
        self.twin.finalize(sender, verdicts)
        round = self.twin.latest
        if not self.twin.ledger.closed:
            assert self.twin.withdrawable() == withdrawable
            for client, share in shares.items():
                most = (share + 1) * self.twin.terms.max_spread + 1
                assert round.share(client) <= most, "rejecting others raises a pay at most s-fold"
        self.reached["finalized"] += 1
        self.reached["finalized with adjustments"] += round.credited_ms < round.claimed_ms
        self.reached["finalized with slashes"] += self.twin.ledger.slashed > slashed
        self.reached["finalized with everybody rejected"] += not round.credited_ms
        self.reached["finalized and owing the whole pool"] += round.earned(round.credited_ms) == round.pool > 0
        self.reached["finalized with a surplus"] += round.surplus > 0
        self.reached["finalized after the closing"] += self.twin.ledger.closed

    # ------------------------------------------------------------------------------------------------------- money

    @precondition(lambda self: any(map(self.twin.owed, self.clients)))
    @rule(claimants=st.just([True] * CLIENTS) | of_each_client(st.booleans()), to=clients, sender=st.none() | clients)
    def clients_claim(self, claimants, to, sender):
        """By `claimFor` where somebody else sends it."""
        for client, claims in zip(self.clients, claimants, strict=True):
            if claims:
                rounds = len(self.twin.ledger.unpaid(client, CHAIN.now))
                payer = None if sender is None else self.clients[sender]
                paid = self.twin.claim(client, self.clients[to], payer) > 0
                self.reached["claimed" if sender is None else "claimed by somebody else"] += paid
                self.reached["claimed several rounds at once"] += paid and rounds > 1
                self.reached["claimed after the closing"] += paid and self.twin.ledger.closed

    @rule(amount=amounts, forced=st.booleans(), client=clients)
    def somebody_gives(self, amount, forced, client):
        if forced:
            self.twin.force(amount)
        else:
            self.twin.fund(amount, self.clients[client])

    @precondition(lambda self: self.twin.number >= 4 and not self.twin.ledger.closed)
    @rule()
    def the_owner_closes(self):
        self.reached["closed in a live round"] += self.twin.is_live
        self.twin.close()
        self.reached["closed"] += 1

    @precondition(lambda self: self.twin.ledger.closed)
    @rule()
    def the_owner_withdraws(self):
        live = self.twin.is_live
        taken = self.twin.withdraw() > 0
        self.reached["withdrawn in a live round" if live else "withdrawn"] += taken

    # ------------------------------------------------------------------------------------------------------- roles

    @rule(act=st.sampled_from(["pauses", "makes an operator", "removes the operator", "hands over"]))
    def the_owner_rules(self, act):
        if act == "pauses":
            self.twin.pause_or_go_on()
        elif act == "hands over":
            self.twin.hand_over(self.heir)
            self.owner, self.heir = self.heir, self.owner
        else:
            self.twin.set_operator(ZERO_ADDRESS if act == "removes the operator" else self.world.operator)
        self.reached[f"the owner {act}"] += 1

    @rule(somebody=st.integers(0, 3), call=st.sampled_from(sorted(OWNERS_CALLS) + sorted(ORGANIZATIONS_CALLS)))
    def somebody_tries_what_is_not_theirs(self, somebody, call):
        sender = [self.world.stranger, self.clients[0], self.heir, self.world.operator][somebody]
        arguments = (OWNERS_CALLS | ORGANIZATIONS_CALLS)[call]
        if call in OWNERS_CALLS:
            self.twin.attempt(("NotTheOwner", self.owner, sender), call, *arguments, sender=sender)
        elif sender != self.twin.operator:
            self.twin.attempt(("NeitherOwnerNorOperator", sender), call, *arguments, sender=sender)

    @precondition(lambda self: self.twin.operator != ZERO_ADDRESS and self.twin.is_live)
    @rule(thief=clients)
    def the_operators_key_is_stolen(self, thief):
        """It settles the live round for a client of its own, and then one that it opens, until the owner takes over."""
        twin, accomplice = self.twin, self.clients[thief]
        with twin.imagined():
            exposed = twin.ledger.live_pool(CHAIN.now) + twin.ledger.carried(CHAIN.now)
            owed = {client: twin.owed(client) for client in self.clients}
            floors = dict(twin.ledger.stakes)
            self.rob(accomplice, floors)
            if twin.may_open and not twin.paused:
                most = twin.terms.max_spread * twin.ledger.carried(CHAIN.now) * SCALE
                cap = most // (len(twin.ledger.members) * 1000) or 1
                terms = terms_of_round(twin.number + 1, reward=0, reward_rate_cap=cap, max_compute_ms=1000)
                if twin.open(terms, twin.operator):
                    for client in self.clients:
                        twin.submit(client, 999)
                    self.rob(accomplice, floors)
            for call, arguments in OWNERS_CALLS.items():
                twin.attempt(("NotTheOwner", self.owner, twin.operator), call, *arguments, sender=twin.operator)

            twin.set_operator(ZERO_ADDRESS)
            operator = self.world.operator
            opening = (terms_of_round(twin.number + 1, reward=0), twin.digest)
            twin.attempt(("NeitherOwnerNorOperator", operator), "openRound", *opening, sender=operator)
            if not twin.ledger.closed:
                twin.fund(ETHER, accomplice)
                twin.close()
                assert ETHER <= twin.withdraw() <= ETHER + exposed, "what comes after is safe"
            for client in self.clients:
                assert twin.owed(client) >= owed[client]
                assert twin.stake_of(client) >= floors.get(client, 0)
            twin.everybody_gets_out()
        self.reached["the operator's key was stolen"] += 1

    def rob(self, accomplice, floors):
        """Rejects everybody else, and slashes them as hard as it can: `floors` are what must be left of the stakes."""
        twin = self.twin
        if twin.phase == TRAINING:
            twin.end_training()
        if twin.phase == AGGREGATING:
            for client in twin.latest.updates.keys() - {accomplice}:
                floors[client] -= floors[client] * twin.terms.max_slash_rate // BASIS_POINTS
            hardest = [None if client == accomplice else (0, BASIS_POINTS) for client in self.clients]
            twin.finalize(twin.operator, hardest)


@pytest.fixture(scope="module")
def world(organization, clients, stranger):
    heir, operator = person("heir"), person("operator")
    token = deploy("Token", {"from": organization})
    kinds = [
        {"stake": 1000, "max_slash_rate": 5000, "idle_rounds": 2},
        {"admission": VOUCHER, "idle_rounds": 1},
        {"asset": token, "stake": ETHER + 7, "max_slash_rate": BASIS_POINTS, "max_spread": 3},
        {
            "asset": token,
            "stake": 3,
            "max_slash_rate": 3334,
            "admission": VOUCHER,
            "audit_policy": AUDIT_APPOINTED,
            "idle_rounds": 3,
        },
        {"max_spread": 7, "idle_rounds": 2},
        {"asset": token, "idle_rounds": 1},
    ]
    federations = [deploy_federation(organization, **kind) for kind in kinds]
    fortune = 10**12 * ETHER
    for somebody in [organization, heir, operator, stranger, *clients]:
        CHAIN.set_balance(somebody, fortune)
        token.mint(somebody, fortune, {"from": somebody})
        for federation in federations:
            token.approve(federation, fortune, {"from": somebody})
    return World(federations, [organization, heir], operator, stranger, clients)


@pytest.mark.timeout(3600)
def test_the_books_balance_and_everybody_gets_out_whatever_happens(world):
    reached: Counter[str] = Counter()
    run_state_machine_as_test(lambda: Stories(world, reached), settings=DEEP if IS_DEEP else BOUNDED)
    print(dict(sorted(reached.items())))
    assert {name: reached[name] for name, least in EXPECTED.items() if reached[name] < least} == {}
