"""A federation and its ledger: whatever happens, happens to both, and both must agree."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from .chain import CHAIN, Contract, Person, Refused, Transaction
from .helpers import (
    ABANDONED,
    AGGREGATING,
    ALREADY_SUBMITTED,
    AUDIT_OPEN,
    BASIS_POINTS,
    COMPUTE_TIME,
    MOST,
    NO_VOUCHER,
    NONE,
    NOT_SELECTED,
    TRAINING,
    ZERO_ADDRESS,
    ZERO_CID,
    ZERO_DIGEST,
    ZERO_UPDATE,
    FederationTerms,
    RoundTerms,
    ascending,
    digest,
    model_of,
    report_of,
    secret_of,
    sign_decline,
    sign_leaving,
    sign_registration,
    sign_update,
    token_of,
)
from .ledger import SCALE, Ledger, Round

ALL = 2**256 - 1  # longer than any list
Refusal = tuple[Any, ...] | None


class Twin:
    """`clients` are all that ever have to do with it."""

    def __init__(self, federation: Contract, clients: list[Person]) -> None:
        self.federation = federation
        self.terms = FederationTerms(*federation.terms())
        self.token = None if self.terms.asset == ZERO_ADDRESS else token_of(federation)
        self.clients = clients
        self.ledger = Ledger(self.terms, federation.address, int(CHAIN.request("eth_chainId"), 16))
        self.ledger.release = (model_of(0), ZERO_CID)
        self.forced = 0
        self.owner: str = federation.owner()
        self.owner_nonce = 0
        self.operator = ZERO_ADDRESS
        self.paused = False

    # ------------------------------------------------------------------------------------------------------- means

    @property
    def now(self) -> int:
        return CHAIN.now

    def attempt(self, refusal: Refusal, function: str, *arguments: Any, sender: str, value: int = 0) -> Any:
        """Sends what is to succeed; of what is to be refused sees that it is, for that very reason."""
        call, means = getattr(self.federation, function), {"from": sender, "value": value}
        if refusal is None:
            return call.send(*arguments, means)
        with pytest.raises(Refused) as refused:
            call.call(*arguments, means)
        assert (refused.value.error, *refused.value.values) == refusal
        return None

    @contextlib.contextmanager
    def imagined(self) -> Iterator[None]:
        """What happens within has not happened afterwards."""
        ledger = copy.deepcopy(self.ledger)
        rest = self.forced, self.owner, self.owner_nonce, self.operator, self.paused
        try:
            with CHAIN.imagined():
                yield
        finally:
            self.ledger = ledger
            self.forced, self.owner, self.owner_nonce, self.operator, self.paused = rest

    @contextlib.contextmanager
    def pays(self, recipient: str, amount: int) -> Iterator[None]:
        before = self.balance_of(recipient)
        yield
        assert self.balance_of(recipient) - before == amount

    def balance_of(self, holder: Any) -> int:
        return int(self.token.balanceOf(holder)) if self.token else CHAIN.balance_of(holder)

    def coins(self, amount: int) -> int:
        """To send along where `amount` is paid; tokens are approved beforehand."""
        return 0 if self.token else amount

    # ----------------------------------------------------------------------------------------------------- reading

    @property
    def number(self) -> int:
        return self.ledger.number

    @property
    def latest(self) -> Round:
        return self.ledger.rounds[-1]

    @property
    def phase(self) -> int:
        return self.ledger.phase(self.now)

    @property
    def is_live(self) -> bool:
        return self.ledger.is_live(self.now)

    @property
    def may_open(self) -> bool:
        return not self.is_live and not self.ledger.closed and bool(self.ledger.members)

    @property
    def digest(self) -> str:
        return self.latest.digest if self.number else ZERO_DIGEST

    def stake_of(self, client: str) -> int:
        return self.ledger.stakes.get(client, 0)

    def owed(self, client: str) -> int:
        return self.ledger.owed(client, self.now)

    def is_member(self, client: str) -> bool:
        return client in self.ledger.members

    # ---------------------------------------------------------------------------------------------------- checking

    def check(self) -> None:
        """The books balance, and the contract has what it owes, no less and no more."""
        self.ledger.check(self.now)
        assert self.balance_of(self.federation) == self.ledger.holdings() + self.forced
        assert self.federation.carried() == self.ledger.carried(self.now)
        assert self.federation.record() == self.ledger.record

    def check_clients(self) -> None:
        """Of everybody: seat, update, what is owed, what is left of the stake; and exactly whom the round awaits."""
        selected = 0
        for client in self.clients:
            view = self.federation.roundView(client)["client"].dict()
            assert view == self.ledger.client_view(client, self.now)
            selected += view["selected"]
        assert self.federation.members(0, ALL) == self.ledger.members
        if self.number and not self.latest.gone:
            assert selected == self.latest.selected_count, "exactly k of the living"

    def check_round(self) -> None:
        """All that is known of the latest round; it pays at most its pool, and nobody more than the wage."""
        round = self.latest
        view = self.federation.roundView(ZERO_ADDRESS).dict()
        del view["client"]
        assert view == self.ledger.round_view(self.now)
        lines = {line["client"]: line for line in self.federation.updates(0, ALL)}
        assert lines.keys() == self.ledger.lines().keys()
        assert sum(map(round.share, round.updates)) <= round.pool
        assert 0 <= round.rounding < max(1, len(round.updates))
        for client, update in self.ledger.lines().items():
            line = lines[client]
            assert (line["updateCid"], line["computeMs"]) == (update.cid, update.credited_ms)
            assert (line["adjusted"], line["slashRate"]) == (update.adjusted, update.slash_rate)
            assert update.adjusted or line["ordinal"] == update.ordinal
            assert update.credited_ms <= update.claimed_ms <= round.max_compute_ms
            assert round.share(client) <= round.rate_cap * update.credited_ms // SCALE

    def check_results(self) -> None:
        """What every round leaves for ever."""
        for round in self.ledger.rounds:
            settled = round.finalized or (round is not self.latest and round.claimed_ms > 0)
            result = self.federation.results(round.number)
            key = round.sealing_key[:26] if round.finalized else "0x" + "0" * 24
            expected = (round.earned(round.credited_ms), round.credited_ms, key) if settled else (0, 0, "0x" + "0" * 24)
            assert result == expected

    def check_everything(self) -> None:
        self.check()
        self.check_clients()
        if self.number:
            self.check_round()
        self.check_results()
        for client in self.clients:
            assert self.federation.balanceOf(client) == (self.owed(client), self.stake_of(client))
        assert self.federation.roundCount() == self.number
        assert self.federation.memberCount() == len(self.ledger.members)
        assert self.federation.latestRelease() == self.ledger.release

    def everybody_gets_out(self) -> None:
        """With what is theirs, while the organization does nothing. What then stays is carried or forfeited."""
        if self.is_live:
            CHAIN.move_to(self.latest.aggregation_deadline)
        self.check_everything()
        for client in self.clients:
            if self.is_member(client) or client in self.ledger.held:
                self.leave(client, to=client)
            self.claim(client, to=client)
        assert sum(self.ledger.stakes.values()) == sum(map(self.owed, self.clients)) == 0
        self.check()
        forfeited = self.ledger.forfeited(self.now)
        if not self.ledger.closed:
            self.close()
        self.withdraw()
        assert self.balance_of(self.federation) == forfeited + self.forced

    # -------------------------------------------------------------------------------------------------- membership

    def refusal_of_membership(self, client: str) -> Refusal:
        if self.ledger.closed:
            return ("FederationIsClosed",)
        if self.is_member(client):
            return ("AlreadyRegistered", client, self.ledger.members.index(client))
        if client in self.ledger.held and self.ledger.is_locked(client, self.now):
            return ("UpdateIsLive", self.number)
        if client in self.ledger.held and self.terms.stake:
            return ("StakeNotReturned", client, self.stake_of(client))
        return None

    def register(self, client: str, voucher: tuple[Any, ...] | None = None, refusal: Refusal = None) -> bool:
        """With a voucher (id, expiry, signature) or without. Returns whether the client is a member now."""
        refusal = refusal or self.refusal_of_membership(client)
        call = ("registerWithVoucher", voucher) if voucher else ("register",)
        sent = self.attempt(refusal, *call, sender=client, value=self.coins(self.terms.stake))
        return self._has_registered(client, sent)

    def register_signed(
        self,
        client: Person,
        sender: str,
        *,
        deadline: int,
        signature: tuple[bytes, bytes] | None = None,
        valid: bool = True,
        voucher: tuple[Any, ...] = NO_VOUCHER,
        voucher_refusal: Refusal = None,
    ) -> bool:
        """What the client signed for this round; `valid` is false for what it did not."""
        ledger = self.ledger
        signature = signature or sign_registration(self.federation, client, round=self.number, deadline=deadline)
        spent = ledger.left_in.get(client) == self.number
        rejoined = ledger.rejoined_in.get(client) == self.number
        if self.terms.stake:
            refusal: Refusal = ("StakeNeedsItsOwner", self.terms.stake)
        elif spent or (self.is_member(client) and rejoined):
            refusal = ("SignatureSpent", client, self.number)
        elif self.now >= deadline:
            refusal = ("SignatureExpired", deadline, self.now)
        elif not valid:
            refusal = ("InvalidSignature", client, self.number)
        else:
            refusal = voucher_refusal or self.refusal_of_membership(client)
        sent = self.attempt(refusal, "registerSigned", client, deadline, signature, voucher, sender=sender)
        return self._has_registered(client, sent)

    def _has_registered(self, client: str, sent: Transaction | None) -> bool:
        if sent is None:
            return False
        assert sent.return_value == self.ledger.register(client)
        return True

    def refusal_of_leaving(self, client: str) -> Refusal:
        if self.is_member(client):
            return None
        if client not in self.ledger.held:
            return ("NotRegistered", client)
        return ("UpdateIsLive", self.number) if self.ledger.is_locked(client, self.now) else None

    def leave(self, client: str, to: str) -> bool:
        refusal = self.refusal_of_leaving(client)
        return self._has_left(client, to, refusal, False, ("leave", to), sender=client)

    def leave_signed(
        self,
        client: Person,
        to: str,
        sender: str,
        *,
        deadline: int,
        signature: tuple[bytes, bytes] | None = None,
        valid: bool = True,
    ) -> bool:
        signature = signature or sign_leaving(self.federation, client, to=to, round=self.number, deadline=deadline)
        if self.is_member(client) and self.ledger.rejoined_in.get(client) == self.number:
            refusal: Refusal = ("SignatureSpent", client, self.number)
        elif self.now >= deadline:
            refusal = ("SignatureExpired", deadline, self.now)
        elif not valid:
            refusal = ("InvalidSignature", client, self.number)
        else:
            refusal = self.refusal_of_leaving(client)
        call = ("leaveSigned", client, to, deadline, signature)
        return self._has_left(client, to, refusal, True, call, sender=sender)

    def _has_left(
        self, client: str, to: str, refusal: Refusal, signed: bool, call: tuple[Any, ...], sender: str
    ) -> bool:
        if refusal is not None:
            self.attempt(refusal, *call, sender=sender)
            return False
        paid = self.ledger.leave(client, self.now, signed=signed)
        with self.pays(to, paid):
            assert self.attempt(None, *call, sender=sender).return_value == paid
        return True

    def retire(self, client: str, sender: str) -> bool:
        if self.phase in (NONE, TRAINING):
            refusal: Refusal = ("WrongPhase", self.number, self.phase, self.number)
        elif not self.ledger.may_retire(client):
            refusal = ("NotIdle", client, self.ledger.last.get(client, 0))
        else:
            refusal = None
            self.ledger.retire(client)
        self.attempt(refusal, "retire", client, sender=sender)
        return refusal is None

    # ------------------------------------------------------------------------------------------------------ rounds

    def open(self, terms: RoundTerms, sender: str) -> bool:
        """After another digest and the last key were refused. Where it is paused the owner first goes on."""
        number, members = self.number + 1, len(self.ledger.members)
        carried = self.ledger.carried(self.now)
        pool = carried + terms.reward
        k = min(-(-terms.selection_rate * members // BASIS_POINTS), terms.max_updates)
        needed = -(-terms.reward_rate_cap * k * terms.max_compute_ms // (self.terms.max_spread * SCALE))
        value = self.coins(terms.reward)
        if self.paused:
            self.attempt(("FederationIsPaused",), "openRound", terms, self.digest, sender=sender, value=value)
            self.pause_or_go_on()
        other = digest(f"another digest before round {number}")[:42]
        refusal: Refusal = ("WrongDigest", self.number, self.digest, other)
        self.attempt(refusal, "openRound", terms, other, sender=sender, value=value)
        if self.number:
            used = terms._replace(sealing_key=self.latest.sealing_key)
            refusal = ("SealingKeyUsed", self.latest.sealing_key)
            self.attempt(refusal, "openRound", used, self.digest, sender=sender, value=value)
        if 0 < pool < needed:
            self.attempt(("PoolTooSmall", needed, pool), "openRound", terms, self.digest, sender=sender, value=value)
            return False
        sent = self.attempt(None, "openRound", terms, self.digest, sender=sender, value=value)
        assert sent.return_value == number
        before = self.latest.selection_offset if self.number else 0
        round = Round(
            number=number,
            opened_at=self.now,
            training_deadline=self.now + terms.training_period,
            aggregation_deadline=self.now + terms.training_period + terms.aggregation_period,
            roster=list(self.ledger.members),
            selection_offset=(before + k) % members,
            selected_count=k,
            max_updates=terms.max_updates,
            max_compute_ms=terms.max_compute_ms,
            plan=terms.plan_cid,
            sealing_key=terms.sealing_key,
            base=self.ledger.release,
            rate_cap=terms.reward_rate_cap,
            pool=pool,
        )
        assert len(round.selected) == k
        abandoned = self.number > 0 and not self.latest.finalized
        self.ledger.open(round, terms.reward)
        opened = sent.event("RoundOpened")
        assert (opened["digest"], opened["record"]) == (round.digest, self.ledger.record)
        assert opened["opening"] == round.opening
        assert [event["round"] for event in sent.all("RoundAbandoned")] == [number - 1] * abandoned
        return True

    def refusal_of_update(self, client: str, cid: str, ms: int) -> int:
        round = self.latest
        declined = cid == ZERO_CID and ms == 0
        if not round.takes(client):
            return NOT_SELECTED
        if client in round.updates or client in round.declined:
            return ALREADY_SUBMITTED
        if not declined and cid == ZERO_CID:
            return ZERO_UPDATE
        if not declined and not 1 <= ms <= round.bound_ms(self.now):
            return COMPUTE_TIME
        return 0

    def cid_of(self, client: str) -> str:
        return digest(f"update of {client} in round {self.number}")

    def submit(self, client: str, ms: int) -> None:
        """Claims a time within the bound, after one that is just beyond it."""
        round = self.latest
        bound = round.bound_ms(self.now)
        claimed = ms % bound + 1
        if self.phase != TRAINING:
            refusal: Refusal = ("WrongPhase", self.number, self.phase, self.number)
        elif reason := self.refusal_of_update(client, self.cid_of(client), claimed):
            refusal = ("UpdateRefused", self.number, client, reason)
        else:
            refusal = None
            beyond = (self.number, round.sealing_key, self.cid_of(client), bound + 1)
            self.attempt(("UpdateRefused", self.number, client, COMPUTE_TIME), "submitUpdate", *beyond, sender=client)
        call = ("submitUpdate", self.number, round.sealing_key, self.cid_of(client), claimed)
        self.attempt(refusal, *call, sender=client)
        if refusal is None:
            self.ledger.submit(client, self.cid_of(client), claimed)

    def decline(self, client: str) -> bool:
        if self.phase != TRAINING:
            refusal: Refusal = ("WrongPhase", self.number, self.phase, self.number)
        elif reason := self.refusal_of_update(client, ZERO_CID, 0):
            refusal = ("UpdateRefused", self.number, client, reason)
        else:
            refusal = None
        self.attempt(refusal, "decline", self.number, self.latest.sealing_key, sender=client)
        if refusal is None:
            self.ledger.decline(client)
        return refusal is None

    def relay(self, entries: Sequence[tuple[Person, int | None]], junk: Sequence[Any], sender: str) -> int:
        """A batch of what these clients sign (None: they decline), with junk behind it. Returns how many were taken."""
        round = self.latest
        signed, taken, phase = [], 0, self.phase
        for client, ms in entries:
            if ms is None:
                one = sign_decline(self.federation, client, round=self.number, sealing_key=round.sealing_key)
            else:
                claimed, cid = ms % (round.bound_ms(self.now) + 1), self.cid_of(client)
                one = sign_update(
                    *(self.federation, client, claimed),
                    round=self.number,
                    sealing_key=round.sealing_key,
                    update_cid=cid,
                )
            signed.append(one)
            if phase != TRAINING or self.refusal_of_update(client, one[0], one[1]):
                continue
            taken += 1
            if ms is None:
                self.ledger.decline(client)
            else:
                self.ledger.submit(client, one[0], one[1])
        batch = [*signed, *junk]
        if phase != TRAINING:
            refusal: Refusal = ("WrongPhase", self.number, phase, self.number)
        elif not taken:
            refusal = ("NothingAccepted", self.number, len(batch))
        else:
            refusal = None
        sent = self.attempt(refusal, "submitUpdates", self.number, round.sealing_key, batch, sender=sender)
        assert sent is None or sent.return_value == taken
        return taken

    def end_training(self) -> None:
        self._pass(self.latest.training_deadline, TRAINING, AGGREGATING if self.latest.updates else ABANDONED)

    def end_aggregation(self) -> None:
        self._pass(self.latest.aggregation_deadline, AGGREGATING, ABANDONED)

    def finalize(self, sender: str, verdicts: Iterable[tuple[int, int] | None]) -> None:
        """Per client nothing, or (% of what was claimed, basis points of the most that can be slashed)."""
        number = self.number
        lowered = {
            client: (
                self.latest.updates[client].claimed_ms * verdict[0] // 100,
                self.terms.max_slash_rate * verdict[1] // BASIS_POINTS,
            )
            for client, verdict in zip(self.clients, verdicts, strict=True)
            if client in self.latest.updates and verdict is not None
        }
        adjustments = ascending(lowered)
        secret = secret_of(number) if self.terms.audit_policy == AUDIT_OPEN else ZERO_CID
        release = model_of(number), report_of(number)
        other = digest(f"another digest of round {number}")[:42]
        refusal: Refusal = ("WrongDigest", number, self.digest, other)
        self.attempt(refusal, "finalizeRound", (number, other, *release, secret, adjustments), sender=sender)
        finalization = (number, self.digest, *release, secret, adjustments)
        sent = self.attempt(None, "finalizeRound", finalization, sender=sender)
        self.ledger.finalize(*release, secret, adjustments)
        said = sent.event("RoundFinalized")
        assert said == {
            "round": number,
            "record": self.ledger.record,
            "modelCid": release[0],
            "reportCid": release[1],
            "secret": secret,
            "claimedMs": self.latest.claimed_ms,
            "creditedMs": self.latest.credited_ms,
        }
        assert [event["adjustments"] for event in sent.all("UpdatesAdjusted")] == [adjustments] * bool(adjustments)
        self.attempt(("WrongPhase", number, self.phase, number), "finalizeRound", finalization, sender=sender)

    def withdrawable(self) -> int:
        """What the owner would get if it closed at once."""
        with self.imagined():
            self.close()
            return self.withdraw()

    # ------------------------------------------------------------------------------------------------------- money

    def claim(self, client: str, to: str, sender: str | None = None) -> int:
        """`claimFor` where there is a sender. Returns what is paid, 0 where it is refused."""
        call = ("claim", to) if sender is None else ("claimFor", client)
        if not self.owed(client):
            self.attempt(("NothingOwed", client), *call, sender=sender or client)
            return 0
        amount = self.ledger.claim(client, self.now)
        with self.pays(to if sender is None else client, amount):
            assert self.attempt(None, *call, sender=sender or client).return_value == amount
        return amount

    def fund(self, amount: int, sender: str) -> None:
        bounded = self.ledger.carried(self.now) + self.ledger.live_pool(self.now) + amount
        if self.ledger.closed:
            refusal: Refusal = ("FederationIsClosed",)
        elif not amount:
            refusal = ("ZeroValue", "0x" + b"amount".ljust(32, b"\0").hex())
        else:
            refusal = ("AmountTooLarge", MOST, bounded) if bounded > MOST else None
        self.attempt(refusal, "fund", amount, sender=sender, value=self.coins(amount))
        if refusal is None:
            self.ledger.fund(amount)

    def force(self, amount: int) -> None:
        """As a contract that destroys itself forces coins upon another, and as anybody can send tokens."""
        self.forced += amount
        if self.token:
            self.token.mint(self.federation, amount, {"from": self.owner})
        else:
            CHAIN.set_balance(self.federation, self.ledger.holdings() + self.forced)

    def close(self) -> None:
        self.attempt(None, "close", sender=self.owner)
        self.ledger.closed = True

    def withdraw(self) -> int:
        amount = self.ledger.withdraw(self.now)
        with self.pays(self.owner, amount):
            assert self.attempt(None, "withdraw", self.owner, sender=self.owner).return_value == amount
        return amount

    # ------------------------------------------------------------------------------------------------------- roles

    def pause_or_go_on(self) -> None:
        wrong, right = ("pause", "unpause") if self.paused else ("unpause", "pause")
        self.attempt(("PauseIsAlready", self.paused), wrong, sender=self.owner)
        self.attempt(None, right, sender=self.owner)
        self.paused = not self.paused

    def set_operator(self, operator: str) -> None:
        self.attempt(None, "setOperator", operator, sender=self.owner)
        self.operator = operator

    def hand_over(self, heir: str) -> None:
        self.attempt(None, "transferOwnership", heir, sender=self.owner)
        self.attempt(None, "acceptOwnership", sender=heir)
        self.owner, self.operator = heir, ZERO_ADDRESS
        self.owner_nonce += 1
        assert self.federation.ownerNonce() == self.owner_nonce

    def _pass(self, deadline: int, before: int, after: int) -> None:
        CHAIN.move_to(deadline - 1)
        assert self.federation.phase() == before
        CHAIN.move_to(deadline)
        assert self.federation.phase() == after
