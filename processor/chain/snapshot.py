"""What a federation says at one block: each thing is read when it is asked for, and no more than once.

What rounds that are over left never changes, so it is read once for all blocks; only a reorganization undoes it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import cached_property

from processor.chain.federation import Federation, Standing, VoucherStanding
from processor.types import (
    Address,
    Block,
    FederationTerms,
    Phase,
    Release,
    Result,
    RoundView,
    Submitted,
    UpdateView,
)

KEPT = 4
"""Blocks of which it is kept what was read: a cycle reads one, and those that follow compare with it."""

KEY_PREFIX = 12
"""Bytes of every sealing key of a finalized round that stand on chain."""


class Snapshots:
    """A federation as its blocks show it, and `client` in it. What was read is kept by the block's hash."""

    def __init__(self, federation: Federation, client: Address | None = None) -> None:
        self.federation = federation
        self._client = client
        self._kept: OrderedDict[str, Snapshot] = OrderedDict()
        self._settled: list[Result] = []

    def latest(self) -> Snapshot:
        """At the head of the chain. Raises ChainError where it cannot be read."""
        return self.at(self.federation.block())

    def at(self, block: Block) -> Snapshot:
        """At a block; nothing is read yet."""
        found = self._kept.pop(block.hash, None) or Snapshot(self.federation, block, self._client, self._settled)
        self._kept[block.hash] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def forget(self) -> None:
        """After a reorganization: rounds that were over may have other results."""
        self._kept.clear()
        self._settled = []


class Snapshot:
    """A federation at one block. Whatever is read raises ChainError where no node answers, or has dropped the block's
    state.

    `settled` holds what the rounds that are over left, as far as it was read at an earlier block of the same chain; it
    is added to.
    """

    def __init__(
        self,
        federation: Federation,
        block: Block,
        client: Address | None = None,
        settled: list[Result] | None = None,
    ) -> None:
        self.federation = federation
        self.block = block
        self._client = client
        self._settled = [] if settled is None else settled
        self._balances: dict[Address, tuple[int, int]] = {}
        self._with_voucher: dict[int, tuple[Standing, VoucherStanding]] = {}

    @property
    def terms(self) -> FederationTerms:
        return self.federation.terms()

    @cached_property
    def view(self) -> RoundView:
        """The latest round with the client in it; of phase NONE before the first opens."""
        return self.federation.round_view(self._client, at=self.block)

    @cached_property
    def release(self) -> Release:
        """What the next round starts from; from the first round on the view says it."""
        if self.view.phase is Phase.NONE:
            return self.federation.latest_release(at=self.block)
        return self.view.released if self.view.phase is Phase.FINALIZED else self.view.base

    @cached_property
    def standing(self) -> Standing:
        return self.federation.standing(at=self.block)

    def standing_with_voucher(self, id: int) -> tuple[Standing, VoucherStanding]:
        """As `standing`, and what becomes of the voucher with this id, in one request: for whoever needs both."""
        if id not in self._with_voucher:
            self._with_voucher[id] = self.federation.standing_with_voucher(id, at=self.block)
        return self._with_voucher[id]

    @property
    def closed(self) -> bool:
        return self.standing.closed

    @property
    def paused(self) -> bool:
        return self.standing.paused

    @property
    def carried(self) -> int:
        return self.standing.carried

    @property
    def member_count(self) -> int:
        return self.standing.member_count

    @cached_property
    def owner(self) -> Address:
        return self.federation.owner(at=self.block)

    @cached_property
    def operator(self) -> Address | None:
        return self.federation.operator(at=self.block)

    @cached_property
    def members(self) -> tuple[Address, ...]:
        """By position."""
        return tuple(self.federation.members(at=self.block))

    @cached_property
    def record(self) -> bytes:
        """What chains all rounds up to `view.chained`."""
        return self.federation.record(at=self.block)

    @cached_property
    def secret(self) -> bytes:
        """What the last finalization published, as `Federation.secret`."""
        return self.federation.secret(at=self.block)

    @cached_property
    def holdings(self) -> int:
        return self.federation.holdings(at=self.block)

    @cached_property
    def update_views(self) -> tuple[UpdateView, ...]:
        return tuple(self.federation.update_views(at=self.block, view=self.view))

    @cached_property
    def updates(self) -> tuple[Submitted, ...]:
        """The list of the latest round, as `Federation.updates`."""
        return tuple(self.federation.updates(at=self.block, view=self.view))

    @property
    def settled(self) -> tuple[Result, ...]:
        """What the rounds that the record chains left, in order."""
        known, chained = self._settled, self.view.chained
        if len(known) < chained:
            known += self.federation.results(at=self.block, first=len(known) + 1, last=chained)
        return tuple(known[:chained])

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """What every round left, the latest among them, in order."""
        latest = self.federation.results(at=self.block, first=self.view.chained + 1, last=self.view.round)
        return (*self.settled, *latest)

    def round_with_key(self, sealing_key: bytes) -> int | None:
        """The finalized round that had this key, whose secret may be known since; None where none had it."""
        prefix = sealing_key[:KEY_PREFIX]
        keys = [result.sealing_key for result in self.settled]
        return keys.index(prefix) + 1 if prefix in keys else None

    @property
    def rounds_without_key(self) -> tuple[int, ...]:
        """The rounds that are over and of whose sealing keys nothing stands on chain: those that were abandoned."""
        return tuple(number for number, result in enumerate(self.settled, 1) if not any(result.sealing_key))

    @property
    def clients(self) -> tuple[Address, ...]:
        """Whom state still names: the members, and who left with an update in the latest round."""
        return tuple(dict.fromkeys([*self.members, *(update.client for update in self.update_views)]))

    def balances(self, clients: Iterable[Address]) -> dict[Address, tuple[int, int]]:
        """What each client could claim, and what is left of its stake."""
        clients = list(clients)
        unknown = [client for client in clients if client not in self._balances]
        self._balances |= self.federation.balances_of(unknown, at=self.block)
        return {client: self._balances[client] for client in clients}
