"""A relay's daemon: sends what clients without coins signed, in batches, and claims for them.

It gets no sealed bytes and no keys; what it is given it can send or withhold, and nothing else. Whatever it took is in
its queue and under its receipt, so a relay that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from processor.chain.federation import Federation
from processor.chain.transactions import quote
from processor.daemons.base import keep_up
from processor.daemons.outbox import Outbox
from processor.daemons.relay_desk import RelayDesk, call_of
from processor.daemons.relay_queue import Queue
from processor.errors import Reverted
from processor.journal import Journal
from processor.metrics import Metrics
from processor.protocol.decide import Wait
from processor.protocol.relaying import (
    DAY,
    Flush,
    HandedRegistration,
    HandedUpdate,
    Pass,
    PayOut,
    RelayAction,
    RelaySituation,
    Taken,
    day_of,
    decide_relay,
    over_budget,
)
from processor.types import Address, Block, Phase, RoundView

CLAIM = "claim"
LOOKED_AT = 20
"""Clients whose balance a cycle asks for at most."""


@dataclass
class RelayDaemon:
    """One wallet in one federation. `cycle` reads one block, decides, sends at most one transaction, and says what it
    did. `keep_days` is for how long what was taken is kept; `ticks` gives seconds, of whatever beginning."""

    address: Address
    federation: Federation
    transactions: Outbox
    queue: Queue
    desk: RelayDesk
    journal: Journal
    log: FilteringBoundLogger
    keep_days: int = 90
    metrics: Metrics = field(default_factory=Metrics)
    ticks: Callable[[], float] = time.monotonic
    _head: tuple[str, float] = ("", 0.0)
    _known: tuple[object, ...] = ()
    _over: int = 0
    _to_look_at: deque[Address] = field(default_factory=deque)
    _owed: dict[Address, int] = field(default_factory=dict)
    _refused_at: str = ""
    _forgot_on: int = 0

    def cycle(self) -> RelayAction:
        block = self.federation.block()
        if keep_up(self.federation, self.transactions, self.journal, block, self.metrics):
            self.queue.doubt()
            self._known, self._over, self._refused_at = (), 0, ""
        view = self.federation.round_view(at=block)
        self.metrics.head(block.number, block.timestamp)
        self.metrics.round(view.round, view.phase.name.lower())
        self.desk.looked(block, view)
        action = decide_relay(self._situation(view, block))
        while isinstance(action, Flush) and not self._all_wanted(action, block):
            action = decide_relay(self._situation(view, block))
        if isinstance(action, Flush) and block.hash == self._refused_at:
            return Wait("the contract refused it at this block")
        self.act(action, block)
        if isinstance(action, Wait) and day_of(block.timestamp) != self._forgot_on:
            self.queue.forget(block.timestamp - self.keep_days * DAY)
            self._forgot_on = day_of(block.timestamp)
        return action

    def act(self, action: RelayAction, block: Block) -> None:
        """Does what was decided: with one transaction at most."""
        match action:
            case Flush():
                self._flush(action, block)
            case Pass():
                self._pass(action.taken)
            case PayOut():
                self._pay_out(action, block)

    # ---------------------------------------------------------------------------------------------------- reading

    def _situation(self, view: RoundView, block: Block) -> RelaySituation:
        pending = self.transactions.pending()
        updates: tuple[Taken, ...] = ()
        if view.phase is Phase.TRAINING:
            self._finish_listed(view, block)
            updates = self.queue.updates(view.round, view.sealing_key)
        return RelaySituation(
            now=self._now(block),
            round=view,
            updates=updates,
            calls=() if pending else self._calls(view, block),
            owed={} if pending or self.desk.claim_threshold is None else self._claimable(view, block),
            claim_threshold=self.desk.claim_threshold,
            batch=self.desk.batch,
            transaction_pending=pending,
        )

    def _now(self, block: Block) -> int:
        """The chain's time: a chain without transactions may make no blocks, and time passes all the same."""
        if self._head[0] != block.hash:
            self._head = (block.hash, self.ticks())
        return block.timestamp + int(self.ticks() - self._head[1])

    def _finish_listed(self, view: RoundView, block: Block) -> None:
        """What the round's list has is done, whoever sent it; the list is read only where it has changed."""
        state = (view.round, view.sealing_key, view.digest)
        if view.update_count == 0 or state == self._known:
            return
        listed = {line.client for line in self.federation.updates(at=block)}
        for each in self.queue.updates(view.round, view.sealing_key):
            if each.handed.client in listed:
                self.queue.finish(each, "the round's list has it")
        self._known = state

    def _all_wanted(self, flush: Flush, block: Block) -> bool:
        """Whether all that is about to be sent would be accepted: gas for what would be skipped is wasted."""
        unwanted = [each for each in flush.taken if not self._wanted(each, block)]
        return not unwanted

    def _wanted(self, taken: Taken, block: Block) -> bool:
        """Clients may have declined or left by themselves, or another relay was faster."""
        client = self.federation.round_view(taken.handed.client, at=block).client
        if client.update is not None or client.declined:
            self.queue.finish(taken, "the round has it")
        elif not client.selected:
            self.queue.finish(taken, "its client has left")
        else:
            return True
        return False

    def _calls(self, view: RoundView, block: Block) -> tuple[Taken, ...]:
        """The first registration or leaving that is still to be done, if there is one."""
        for each in self.queue.calls(view.round):
            client = self.federation.round_view(each.handed.client, at=block).client
            if isinstance(each.handed, HandedRegistration) and client.member:
                self.queue.finish(each, "it is registered")
            elif not isinstance(each.handed, HandedRegistration) and not (client.member or client.stake or client.owed):
                self.queue.finish(each, "it has left")
            else:
                return (each,)
        return ()

    def _claimable(self, view: RoundView, block: Block) -> dict[Address, int]:
        """What clients that were served could claim; each is looked at once after each round."""
        over = view.round if view.phase.over else view.round - 1
        if over > self._over:
            self._over = over
            self._to_look_at, self._owed = deque(self.queue.served()), {}
        for _ in range(min(LOOKED_AT, len(self._to_look_at))):
            client = self._to_look_at.popleft()
            owed, _stake = self.federation.balance_of(client, at=block)
            if owed >= max(self.desk.claim_threshold or 0, 1):
                self._owed[client] = owed
        return self._owed

    # ----------------------------------------------------------------------------------------------------- acting

    def _flush(self, flush: Flush, block: Block) -> None:
        updates = [each.handed for each in flush.taken if isinstance(each.handed, HandedUpdate)]
        first = updates[0]
        call = self.federation.submit_updates(
            first.round, bytes.fromhex(first.sealing_key), [update.signed for update in updates]
        )
        try:
            self.transactions.send("relayed", call, first.round, updates=len(updates))
        except Reverted as error:  # the round has moved on, or somebody was faster
            self.log.warning("not relayed", round=first.round, updates=len(updates), error=str(error))
            self._refused_at = block.hash

    def _pass(self, taken: Taken) -> None:
        handed = taken.handed
        kind = "registered" if isinstance(handed, HandedRegistration) else "left"
        try:
            self.transactions.send(kind, call_of(self.federation, handed), handed.round, client=handed.client)
        except Reverted as error:
            self.queue.finish(taken, str(error))
            self.log.warning("not relayed", step=kind, client=handed.client, error=str(error))

    def _pay_out(self, payment: PayOut, block: Block) -> None:
        del self._owed[payment.client]
        call = self.federation.claim_for(payment.client)
        try:
            price = quote(self.federation.web3, self.address, call, ceiling=self.desk.ceiling)
        except Reverted as error:  # it has claimed by itself, or its account takes nothing
            self.log.warning("not claimed", client=payment.client, error=str(error))
            return
        day = day_of(block.timestamp)
        if refused := over_budget(self.desk.budget, self.queue.spent(day, payment.client), price.gas):
            self.log.warning("not claimed", client=payment.client, reason=refused)
            return
        self.queue.spend(day, payment.client, CLAIM, price.gas)
        amount = self.federation.asset().format(payment.amount)
        self.transactions.send("claimed", call, client=payment.client, amount=amount)
