"""A federation and its ledger: whatever happens, happens to both, and both must agree."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from brownie.network.contract import ProjectContract
from eth_utils import keccak

from .direct import Direct, Node, Refused
from .helpers import (
    ABANDONED,
    AGGREGATING,
    AUDIT_OPEN,
    BASIS_POINTS,
    SECRET,
    TRAINING,
    ZERO_ADDRESS,
    ZERO_CID,
    FederationTerms,
    Terms,
    ascending,
    digest,
)
from .ledger import Ledger, Round, Update

PAGE = 2**32 - 1  # longer than any list


class Twin:
    """People are addresses. `clients` are all that ever have to do with it."""

    def __init__(self, contract: ProjectContract, token: ProjectContract, node: Node, clients: list[str]) -> None:
        self.node = node
        self.federation = Direct(contract, node)
        self.terms = FederationTerms(*self.federation.call("terms"))
        self.token = None if self.terms.asset == ZERO_ADDRESS else Direct(token, node)
        self.clients = clients
        self.ledger = Ledger(self.terms)
        self.forced = 0
        self.owner: str = self.federation.call("owner")
        self.operator = ZERO_ADDRESS
        self.paused = False
        self.settled: dict[int, dict[Any, Any]] = {}  # what was finalized, as it was seen then

    # ------------------------------------------------------------------------------------------------------- means

    def attempt(self, refusal: str | None, function: str, *arguments: Any, sender: str, value: int = 0) -> Any:
        """Sends what is to succeed; of what is to be refused sees that it is, for that very reason."""
        if refusal is None:
            return self.federation.send(function, *arguments, sender=sender, value=value)
        with pytest.raises(Refused, match=f"^{refusal}$"):
            self.federation.call(function, *arguments, sender=sender, value=value)
        return None

    @contextlib.contextmanager
    def imagined(self) -> Iterator[None]:
        """What happens within has not happened afterwards."""
        ledger, settled = copy.deepcopy(self.ledger), dict(self.settled)
        rest = self.forced, self.owner, self.operator, self.paused
        try:
            with self.node.imagined():
                yield
        finally:
            self.ledger, self.settled = ledger, settled
            self.forced, self.owner, self.operator, self.paused = rest

    @contextlib.contextmanager
    def pays(self, recipient: str, amount: int) -> Iterator[None]:
        before = self.balance_of(recipient)
        yield
        assert self.balance_of(recipient) - before == amount

    def balance_of(self, holder: str) -> int:
        if self.token:
            return self.token.call("balanceOf", holder)
        return int(self.node.request("eth_getBalance", holder, "latest"), 16)

    def coins(self, amount: int) -> int:
        """To send along where `amount` is paid; tokens are approved beforehand."""
        return 0 if self.token else amount

    # ----------------------------------------------------------------------------------------------------- reading

    @property
    def number(self) -> int:
        return len(self.ledger.rounds)

    @property
    def latest(self) -> Round:
        return self.ledger.rounds[-1]

    @property
    def phase(self) -> int | None:
        return self.latest.phase(self.node.now) if self.number else None

    @property
    def is_live(self) -> bool:
        return self.ledger.is_live(self.node.now)

    @property
    def may_open(self) -> bool:
        return not self.is_live and not self.ledger.closed and self.ledger.member_count > 0

    def stake_of(self, client: str) -> int:
        return self.ledger.stakes.get(client, 0)

    def is_locked(self, client: str) -> bool:
        return self.ledger.is_locked(client, self.node.now)

    def due(self, client: str) -> list[int]:
        return self.ledger.due(client, self.node.now)

    def owed(self, client: str) -> int:
        rounds = [self.ledger.rounds[number - 1] for number in self.due(client)]
        return sum(round.share(client) for round in rounds if not round.updates[client].settled)

    # ---------------------------------------------------------------------------------------------------- checking

    def check(self) -> None:
        """The books balance, and the contract has what it owes, no less and no more."""
        self.ledger.check(self.node.now)
        assert self.balance_of(self.federation.address) == self.ledger.held() + self.forced
        assert self.federation.call("carried") == self.ledger.carried(self.node.now)

    def check_round(self, number: int) -> None:
        """Pays at most its pool, nobody more than the wage; one update each; credited <= claimed <= bound."""
        round, now = self.ledger.rounds[number - 1], self.node.now
        view = self.federation.call("roundView", number, ZERO_ADDRESS)
        updates = self.federation.call("updates", number, 0, PAGE)
        over = not round.is_live(now)
        assert view["phase"] == round.phase(now)
        assert (view["pool"], view["updateCount"]) == (round.pool, len(round.updates))
        assert (view["claimedMs"], view["creditedMs"]) == (round.claimed_ms, round.credited_ms)
        assert view["surplus"] == over * round.surplus
        assert view["payable_"] == over * round.earned(round.credited_ms)
        assert view["forfeited"] == over * (round.forfeited - round.rounding)
        assert sorted(update["client"] for update in updates) == sorted(round.updates)
        assert sum(update["reward"] for update in updates) <= round.pool
        assert 0 <= round.rounding < max(1, len(updates))
        for update in updates:
            client = update["client"]
            booked = round.updates[client]
            assert (update["computeMs"], update["creditedMs"]) == (booked.claimed_ms, booked.credited_ms)
            assert update["creditedMs"] <= update["computeMs"] <= round.max_compute_ms
            assert update["reward"] == over * round.share(client)
            assert update["reward"] <= round.wage * update["creditedMs"] // 1000
            assert update["claimed"] == booked.settled
            assert update["stake"] == self.stake_of(client)

    def check_everything(self) -> None:
        self.check()
        for number in range(1, self.number + 1):
            self.check_round(number)
        for number, release in self.settled.items():
            assert self.as_settled(number) == release, "what is finalized does not change"
        assert self.federation.call("roundCount") == self.number
        assert self.federation.call("memberCount") == self.ledger.member_count

    def as_settled(self, number: int) -> dict[Any, Any]:
        """What a finalization fixes. Whether it was claimed, and what the client is now, is not."""
        view = self.federation.call("roundView", number, ZERO_ADDRESS).dict()
        fixed = {name: value for name, value in view.items() if name != "client"}
        for update in self.federation.call("updates", number, 0, PAGE):
            names = ("index", "updateCid", "samples", "computeMs", "creditedMs", "slashRate", "reward")
            fixed |= {(update["client"], name): update[name] for name in names}
        return fixed

    def everybody_gets_out(self) -> None:
        """With what is theirs, while the organization does nothing. What then stays is carried or forfeited."""
        if self.is_live:
            self.node.move_to(self.latest.aggregation_deadline)
        self.check_everything()
        for client in self.clients:
            if client in self.ledger.members or self.stake_of(client):
                self.leave(client, to=client)
            self.claim(client, self.due(client), to=client)
        assert sum(self.ledger.stakes.values()) == self.ledger.owed(self.node.now) == 0
        self.check()
        forfeited = self.ledger.forfeited(self.node.now)
        if not self.ledger.closed:
            self.close()
        self.withdraw()
        assert self.balance_of(self.federation.address) == forfeited + self.forced

    # -------------------------------------------------------------------------------------------------- membership

    def register(self, client: str, voucher: tuple[Any, ...] = (), refusal: str | None = None) -> bool:
        """With a voucher (id, expiry, signature) or without. Returns whether the client is a member now."""
        if refusal is None and self.ledger.closed:
            refusal = "FederationIsClosed"
        elif refusal is None and client in self.ledger.members:
            refusal = "AlreadyRegistered"
        elif refusal is None and self.stake_of(client):
            refusal = "StakeNotReturned"
        function = "registerWithVoucher" if voucher else "register"
        index = self.attempt(refusal, function, *voucher, sender=client, value=self.coins(self.terms.stake))
        if refusal is None:
            assert index == self.ledger.register(client)
        return refusal is None

    def leave(self, client: str, to: str) -> None:
        if client not in self.ledger.members and not self.stake_of(client):
            self.attempt("NotRegistered", "leave", to, sender=client)
        elif client not in self.ledger.members and self.is_locked(client):
            self.attempt("StakeIsLocked", "leave", to, sender=client)
        else:
            returned = self.ledger.leave(client, self.node.now)
            with self.pays(to, returned):
                assert self.federation.send("leave", to, sender=client) == returned

    # ------------------------------------------------------------------------------------------------------ rounds

    def open(self, terms: Terms, sender: str, offset: int = 0) -> None:
        """With the offset of the selection that the opener wants. Where it is paused the owner first goes on."""
        if self.paused:
            self.attempt("EnforcedPause", "openRound", terms, sender=sender, value=self.coins(terms.reward))
            self.pause_or_go_on()
        pool = self.ledger.carried(self.node.now) + terms.reward
        offset %= self.ledger.member_count
        while self._coming_offset() != offset:
            self.node.move_to(self.node.now)
        number = self.federation.send("openRound", terms, sender=sender, value=self.coins(terms.reward))
        assert self.federation.call("roundView", number, ZERO_ADDRESS)["selectionOffset"] == offset
        training_deadline = self.node.now + terms.training_period
        round = Round(
            opened_at=self.node.now,
            training_deadline=training_deadline,
            aggregation_deadline=training_deadline + terms.aggregation_period,
            pool=pool,
            wage=terms.reward_rate_cap,
            max_compute_ms=terms.max_compute_ms,
            member_count=self.ledger.member_count,
            selected_count=min(-(-terms.selection_rate * self.ledger.member_count // BASIS_POINTS), terms.max_updates),
            selection_offset=offset,
        )
        assert sum(map(round.is_selected, range(round.member_count))) == round.selected_count
        self.ledger.open(round, terms.reward)

    def submit(self, client: str, ms: int) -> None:
        """Claims a time within the bound, after one that is just beyond it."""
        round, now = self.latest, self.node.now
        index = self.ledger.members.get(client)
        bound = round.bound_ms(now)
        claimed = ms % bound + 1
        arguments = (self.number, Terms().sealing_key, digest(f"update of {client}"))
        if round.phase(now) != TRAINING:
            refusal = "WrongPhase"
        elif index is None:
            refusal = "NotRegistered"
        elif client in round.updates:
            refusal = "AlreadySubmitted"
        elif not round.is_selected(index):
            refusal = "NotSelected"
        else:
            refusal = None
            self.attempt("ComputeTimeOutOfBounds", "submitUpdate", *arguments, bound + 1, 10, sender=client)
            round.updates[client] = Update(index, claimed_ms=claimed, credited_ms=claimed)
        self.attempt(refusal, "submitUpdate", *arguments, claimed, 10, sender=client)

    def end_training(self) -> None:
        self._pass(self.latest.training_deadline, TRAINING, AGGREGATING if self.latest.updates else ABANDONED)

    def end_aggregation(self) -> None:
        self._pass(self.latest.aggregation_deadline, AGGREGATING, ABANDONED)

    def finalize(self, sender: str, verdicts: Iterable[tuple[int, int] | None]) -> None:
        """Per client nothing, or (% of what was claimed, basis points of the most that can be slashed)."""
        lowered = {
            client: (
                self.latest.updates[client].claimed_ms * verdict[0] // 100,
                self.terms.max_slash_rate * verdict[1] // BASIS_POINTS,
            )
            for client, verdict in zip(self.clients, verdicts, strict=True)
            if client in self.latest.updates and verdict is not None
        }
        adjustments = ascending(lowered)
        secret = SECRET if self.terms.audit_policy == AUDIT_OPEN else ZERO_CID
        release = digest(f"model {self.number}"), digest(f"report {self.number}")
        aggregated = self.number, len(self.latest.updates), self.latest.claimed_ms
        arguments = (*aggregated, *release, adjustments, secret)
        self.federation.send("finalizeRound", *arguments, sender=sender)
        self.ledger.finalize(adjustments)
        self.settled[self.number] = self.as_settled(self.number)
        self.attempt("WrongPhase", "finalizeRound", *arguments, sender=sender)

    def withdrawable(self) -> int:
        """What the owner would get if it closed at once."""
        with self.imagined():
            self.close()
            return self.withdraw()

    # ------------------------------------------------------------------------------------------------------- money

    def claim(self, client: str, numbers: list[int], to: str, sender: str | None = None) -> int:
        """`claimFor` where there is a sender. Returns what is paid, 0 where it is refused."""
        due = self.due(client)
        strange = next((number for number in numbers if number not in due), None)
        call = ("claim", numbers, to) if sender is None else ("claimFor", client, numbers)
        if strange is not None:
            over = strange <= self.number and not self.ledger.rounds[strange - 1].is_live(self.node.now)
            self.attempt("NoUpdate" if over else "RoundIsLive", *call, sender=sender or client)
            return 0
        amount = self.ledger.claim(client, numbers)
        with self.pays(to if sender is None else client, amount):
            assert self.federation.send(*call, sender=sender or client) == amount
        return amount

    def fund(self, amount: int, sender: str) -> None:
        refusal = "FederationIsClosed" if self.ledger.closed else None if amount else "ZeroValue"
        self.attempt(refusal, "fund", amount, sender=sender, value=self.coins(amount))
        if refusal is None:
            self.ledger.fund(amount)

    def force(self, amount: int) -> None:
        """As a contract that destroys itself forces coins upon another, and as anybody can send tokens."""
        self.forced += amount
        if self.token:
            self.token.send("mint", self.federation.address, amount, sender=self.owner)
        else:
            self.node.request("anvil_setBalance", self.federation.address, hex(self.ledger.held() + self.forced))

    def close(self) -> None:
        self.federation.send("close", sender=self.owner)
        self.ledger.close(self.node.now)

    def withdraw(self) -> int:
        amount = self.ledger.withdraw()
        with self.pays(self.owner, amount):
            assert self.federation.send("withdraw", self.owner, sender=self.owner) == amount
        return amount

    # ------------------------------------------------------------------------------------------------------- roles

    def pause_or_go_on(self) -> None:
        self.federation.send("unpause" if self.paused else "pause", sender=self.owner)
        self.paused = not self.paused

    def set_operator(self, operator: str) -> None:
        self.federation.send("setOperator", operator, sender=self.owner)
        self.operator = operator

    def hand_over(self, heir: str) -> None:
        self.federation.send("transferOwnership", heir, sender=self.owner)
        self.federation.send("acceptOwnership", sender=heir)
        self.owner, self.operator = heir, ZERO_ADDRESS

    def _coming_offset(self) -> int:
        """Of a round that would be opened in the next block: whoever opens it may wait for a block that suits."""
        entropy = keccak(self.node.latest_hash() + (self.number + 1).to_bytes(32, "big"))
        return int.from_bytes(entropy, "big") % self.ledger.member_count

    def _pass(self, deadline: int, before: int, after: int) -> None:
        self.node.move_to(deadline - 1)
        assert self.federation.call("phase", self.number) == before
        self.node.move_to(deadline)
        assert self.federation.call("phase", self.number) == after
