"""A federation under whatever its people do, in whatever order, against the ledger that is kept beside it.

KOINON_DEEP=1 plays many more and longer stories: `make prove`. What the stories come to is counted, so that a search
that stays in shallow waters fails.
"""

from __future__ import annotations

import os
from collections import Counter
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from brownie.network.account import Account
from brownie.network.contract import ProjectContract
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

from .direct import Node
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
    Terms,
    deploy_federation,
    digest,
    request,
    sign_voucher,
)
from .twin import Twin

BOUNDED = settings(
    max_examples=40,
    stateful_step_count=80,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
DEEP = settings(BOUNDED, max_examples=400, stateful_step_count=120, derandomize=False, print_blob=True)
IS_DEEP = bool(os.environ.get("KOINON_DEEP"))

# What every search has to come to, at least so often; the bounded one comes to two or three times as much.
EXPECTED = {
    "registered again": 15,
    "refused: VoucherSpent": 15,
    "refused: InvalidVoucher": 4,
    "left": 40,
    "left without the locked stake": 6,
    "came back for the stake": 3,
    "nobody submitted": 15,
    "abandoned": 10,
    "finalized": 20,
    "finalized with adjustments": 15,
    "finalized with slashes": 10,
    "finalized with everybody rejected": 8,
    "finalized and owing the whole pool": 6,
    "finalized with a surplus": 6,
    "claimed": 8,
    "claimed by somebody else": 8,
    "claimed several rounds at once": 5,
    "claimed after the withdrawal": 1,
    "closed": 6,
    "withdrawn": 4,
    "the owner hands over": 20,
    "the operator's key was stolen": 30,
}

CLIENTS = 5
HIGHEST_WAGE = 2**128 - 1

clients = st.integers(0, CLIENTS - 1)
amounts = st.integers(0, 5000) | st.integers(0, ETHER)
periods = st.integers(MIN_PERIOD, 4 * MIN_PERIOD)
round_terms = st.fixed_dictionaries(
    {
        "training_period": periods,
        "aggregation_period": periods,
        "max_updates": st.integers(1, 2 * CLIENTS),
        "max_compute_ms": st.integers(1, 100_000),
        "selection_rate": st.just(BASIS_POINTS) | st.integers(1, BASIS_POINTS),
        "reward_rate_cap": st.integers(1, 100) | st.integers(1, ETHER) | st.just(HIGHEST_WAGE),
        "reward": amounts,
    }
).map(lambda changes: Terms(**changes))


def of_each_client(strategy):
    return st.lists(strategy, min_size=CLIENTS, max_size=CLIENTS)


claims = of_each_client(st.none() | st.integers(0, 100_000) | st.integers(0, 100_000))
verdict = st.tuples(st.integers(0, 99), st.integers(0, BASIS_POINTS))
verdicts = of_each_client(st.none() | verdict) | st.just([(0, BASIS_POINTS)] * CLIENTS)


class World(NamedTuple):
    """Federations of every kind, and who has to do with them. The owners have keys: they sign vouchers."""

    federations: list[ProjectContract]
    token: ProjectContract
    owners: list[Account]
    operator: str
    stranger: str
    clients: list[str]


class Voucher(NamedTuple):
    id: int
    client: str
    expiry: int
    signer: Account
    signature: bytes


class Stories(RuleBasedStateMachine):
    vouchers = Bundle("vouchers")

    def __init__(self, world: World, reached: Counter[str]) -> None:
        super().__init__()
        # By itself hypothesis turns half of the rules off in every story (swarm testing): few would have rounds.
        everything_on = SimpleNamespace(is_enabled=lambda name: True)
        self._rules_strategy.enabled_rules_strategy = st.just(everything_on)
        self.world = world
        self.clients = world.clients
        self.owner, self.heir = world.owners
        self.reached = reached
        self.node = Node()
        self.beginning = self.node.request("evm_snapshot")
        self.signed = 0  # vouchers
        self.spent: set[int] = set()
        self.known: set[str] = set()  # clients that have been members

    @initialize(kind=st.integers(0, 3), members=st.integers(1, CLIENTS))
    def a_federation_has_members_and_an_operator(self, kind, members):
        self.contract = self.world.federations[kind]
        self.twin = Twin(self.contract, self.world.token, self.node, self.clients)
        self.twin.set_operator(self.world.operator)
        for client in range(members):
            if self.twin.terms.admission == OPEN:
                self.somebody_registers(client)
            else:
                self.somebody_shows_a_voucher(self.the_owner_signs_a_voucher(client, lifetime=60), thief=None)

    def teardown(self):
        try:
            if hasattr(self, "twin"):
                self.twin.everybody_gets_out()
        finally:
            self.node.request("evm_revert", self.beginning)

    @invariant()
    def the_books_balance(self):
        self.twin.check()

    @precondition(lambda self: self.twin.number)
    @invariant()
    def the_latest_round_keeps_its_bounds(self):
        self.twin.check_round(self.twin.number)

    # -------------------------------------------------------------------------------------------------- membership

    @precondition(lambda self: self.twin.terms.admission == OPEN)
    @rule(client=clients)
    def somebody_registers(self, client):
        self.note_registration(self.clients[client], self.twin.register(self.clients[client]))

    @precondition(lambda self: self.twin.terms.admission == VOUCHER)
    @rule(target=vouchers, client=clients, lifetime=st.integers(1, 1000))
    def the_owner_signs_a_voucher(self, client, lifetime):
        self.signed += 1
        person, expiry = self.clients[client], self.node.now + lifetime
        signature = sign_voucher(self.contract, person, self.signed, expiry, signer=self.owner)
        return Voucher(self.signed, person, expiry, self.owner, signature)

    @precondition(lambda self: self.twin.terms.admission == VOUCHER)
    @rule(voucher=vouchers, thief=st.none() | st.none() | clients)
    def somebody_shows_a_voucher(self, voucher, thief):
        client = voucher.client if thief is None else self.clients[thief]
        if self.node.now >= voucher.expiry:
            refusal = "VoucherExpired"
        elif voucher.id in self.spent:
            refusal = "VoucherSpent"
        elif (voucher.signer, voucher.client) != (self.owner, client):
            refusal = "InvalidVoucher"
        else:
            refusal = None
        admitted = self.twin.register(client, (voucher.id, voucher.expiry, voucher.signature), refusal)
        self.note_registration(client, admitted)
        if admitted:
            self.spent.add(voucher.id)
        elif refusal:
            self.reached[f"refused: {refusal}"] += 1

    def note_registration(self, client, admitted):
        self.reached["registered again" if client in self.known else "registered"] += admitted
        if admitted:
            self.known.add(client)

    @precondition(lambda self: self.twin.terms.admission == VOUCHER)
    @rule(voucher=vouchers)
    def the_owner_revokes_a_voucher(self, voucher):
        self.twin.federation.send("revokeVoucher", voucher.id, sender=self.owner)
        self.spent.add(voucher.id)

    @rule(client=clients, to=clients)
    def somebody_leaves(self, client, to):
        address = self.clients[client]
        locked, staked = self.twin.is_locked(address), self.twin.stake_of(address) > 0
        if address in self.twin.ledger.members:
            self.reached["left without the locked stake" if locked and staked else "left"] += 1
        else:
            self.reached["came back for the stake"] += staked and not locked
        self.twin.leave(address, self.clients[to])

    # ------------------------------------------------------------------------------------------------------ rounds

    @precondition(lambda self: self.twin.may_open)
    @rule(terms=round_terms, offset=st.integers(0, CLIENTS))
    def the_owner_opens_a_round(self, terms, offset):
        self.twin.open(terms, self.twin.owner, offset)

    @precondition(lambda self: self.twin.may_open and self.twin.operator != ZERO_ADDRESS)
    @rule(terms=round_terms, offset=st.integers(0, CLIENTS))
    def the_operator_opens_a_round(self, terms, offset):
        self.twin.open(terms, self.twin.operator, offset)

    @precondition(lambda self: self.twin.phase == TRAINING)
    @rule(seconds=st.integers(0, MIN_PERIOD - 1), claims=claims)
    def some_clients_submit(self, seconds, claims):
        self.node.move_to(self.node.now + seconds)
        for client, ms in zip(self.clients, claims, strict=True):
            if ms is not None:
                self.twin.submit(client, ms)

    @precondition(lambda self: self.twin.phase == TRAINING)
    @rule(seconds=st.integers(0, MIN_PERIOD - 1), claims=claims)
    def the_last_clients_submit(self, seconds, claims):
        self.some_clients_submit(seconds, claims)
        if self.twin.phase == TRAINING:
            self.twin.end_training()
        self.reached["nobody submitted"] += not self.twin.latest.updates

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
        """Whoever is rejected, the owner can withdraw no more, and no less."""
        with self.twin.imagined():
            self.twin.finalize(sender, [None] * CLIENTS)
            withdrawable = self.twin.withdrawable()
        slashed = self.twin.ledger.slashed
        self.twin.finalize(sender, verdicts)
        assert self.twin.withdrawable() == withdrawable
        round = self.twin.latest
        self.reached["finalized"] += 1
        self.reached["finalized with adjustments"] += round.credited_ms < round.claimed_ms
        self.reached["finalized with slashes"] += self.twin.ledger.slashed > slashed
        self.reached["finalized with everybody rejected"] += not round.credited_ms
        self.reached["finalized and owing the whole pool"] += round.earned(round.credited_ms) == round.pool > 0
        self.reached["finalized with a surplus"] += round.surplus > 0

    # ------------------------------------------------------------------------------------------------------- money

    @precondition(lambda self: any(map(self.twin.due, self.clients)))
    @rule(
        claimants=of_each_client(st.booleans()),
        numbers=st.just([]) | st.lists(st.integers(1, 5)),
        to=clients,
        sender=st.none() | clients,
    )
    def clients_claim(self, claimants, numbers, to, sender):
        """The rounds that are named, or all that are due; by `claimFor` where somebody else sends it."""
        for client, claims in zip(self.clients, claimants, strict=True):
            if claims:
                due = numbers or self.twin.due(client)
                payer = None if sender is None else self.clients[sender]
                paid = self.twin.claim(client, due, self.clients[to], payer) > 0
                self.reached["claimed" if sender is None else "claimed by somebody else"] += paid
                self.reached["claimed several rounds at once"] += paid and len(set(due)) > 1
                self.reached["claimed after the withdrawal"] += paid and self.twin.ledger.withdrawn

    @rule(amount=amounts, forced=st.booleans(), client=clients)
    def somebody_gives(self, amount, forced, client):
        if forced:
            self.twin.force(amount)
        else:
            self.twin.fund(amount, self.clients[client])

    @precondition(lambda self: self.twin.number >= 3 and not self.twin.is_live and not self.twin.ledger.closed)
    @rule()
    def the_owner_closes(self):
        self.twin.close()
        self.reached["closed"] += 1

    @precondition(lambda self: self.twin.ledger.closed)
    @rule()
    def the_owner_withdraws(self):
        self.reached["withdrawn"] += self.twin.withdraw() > 0

    # ------------------------------------------------------------------------------------------------------- roles

    @rule(act=st.sampled_from(["pauses", "makes an operator", "removes the operator", "hands over"]))
    def the_owner_rules(self, act):
        if act == "pauses":
            self.twin.pause_or_go_on()
        elif act == "hands over":
            self.twin.hand_over(str(self.heir))
            self.owner, self.heir = self.heir, self.owner
        else:
            self.twin.set_operator(ZERO_ADDRESS if act == "removes the operator" else self.world.operator)
        self.reached[f"the owner {act}"] += 1

    @rule(person=st.integers(0, 3), call=st.sampled_from(sorted(OWNERS_CALLS) + sorted(ORGANIZATIONS_CALLS)))
    def somebody_tries_what_is_not_theirs(self, person, call):
        sender = [self.world.stranger, self.clients[0], str(self.heir), self.world.operator][person]
        arguments = (OWNERS_CALLS | ORGANIZATIONS_CALLS)[call]
        if call in OWNERS_CALLS:
            self.twin.attempt("OwnableUnauthorizedAccount", call, *arguments, sender=sender)
        elif sender != self.twin.operator:
            self.twin.attempt("NeitherOwnerNorOperator", call, *arguments, sender=sender)

    @precondition(lambda self: self.twin.operator != ZERO_ADDRESS and self.twin.is_live)
    @rule(thief=clients)
    def the_operators_key_is_stolen(self, thief):
        """It settles the live round for a client of its own, and then one that it opens, until the owner takes over."""
        twin, accomplice = self.twin, self.clients[thief]
        with twin.imagined():
            exposed = twin.ledger.live_pool(self.node.now) + twin.ledger.carried(self.node.now)
            owed = {client: twin.owed(client) for client in self.clients}
            floors = dict(twin.ledger.stakes)
            self.rob(accomplice, floors)
            if twin.may_open and not twin.paused:
                twin.open(Terms(reward=0, reward_rate_cap=HIGHEST_WAGE), twin.operator)
                for client in self.clients:
                    twin.submit(client, 1000)
                self.rob(accomplice, floors)
            for call, arguments in OWNERS_CALLS.items():
                twin.attempt("OwnableUnauthorizedAccount", call, *arguments, sender=twin.operator)

            twin.set_operator(ZERO_ADDRESS)
            twin.attempt("NeitherOwnerNorOperator", "openRound", Terms(reward=0), sender=self.world.operator)
            twin.fund(ETHER, accomplice)
            twin.close()
            assert ETHER <= twin.withdraw() <= ETHER + exposed, "what comes after is safe, and the theft pays no owner"
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
def world(Token, accounts, organization, clients, stranger):
    heir = accounts.add(digest("key of the heir"))
    operator = accounts[7]
    token = Token.deploy({"from": organization})
    kinds = [
        {"stake": 1000, "max_slash_rate": 5000},
        {"admission": VOUCHER},
        {"asset": token, "stake": ETHER + 7, "max_slash_rate": BASIS_POINTS},
        {"asset": token, "stake": 3, "max_slash_rate": 3334, "admission": VOUCHER, "audit_policy": AUDIT_APPOINTED},
    ]
    federations = [deploy_federation(organization, **kind) for kind in kinds]
    fortune = 10**6 * ETHER
    for person in [organization, heir, operator, stranger, *clients]:
        request("anvil_setBalance", str(person), hex(fortune))
        token.mint(person, fortune, {"from": person})
        for federation in federations:
            token.approve(federation, fortune, {"from": person})
    request("anvil_autoImpersonateAccount", True)
    yield World(federations, token, [organization, heir], str(operator), str(stranger), [str(each) for each in clients])
    request("anvil_autoImpersonateAccount", False)


@pytest.mark.timeout(3600)
def test_the_books_balance_and_everybody_gets_out_whatever_happens(world):
    reached: Counter[str] = Counter()
    run_state_machine_as_test(lambda: Stories(world, reached), settings=DEEP if IS_DEEP else BOUNDED)
    print(dict(sorted(reached.items())))
    assert {name: reached[name] for name, least in EXPECTED.items() if reached[name] < least} == {}
