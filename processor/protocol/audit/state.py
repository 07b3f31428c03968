"""All that the chain's state says of a federation at one block, read at once: a usual node forgets the past within
minutes."""

from __future__ import annotations

from dataclasses import dataclass

from processor.chain.federation import Federation
from processor.errors import ChainError
from processor.types import (
    Address,
    Adjustment,
    Block,
    FederationTerms,
    Phase,
    Release,
    Result,
    RoundView,
    Submitted,
)

NO_SECRET = bytes(32)


@dataclass(frozen=True)
class State:
    """`updates` is the list of the latest round where state still has all of it, else None: once a round is over,
    whoever leaves takes a line along. `adjustments` are those of a finalized round, as far as they are left.
    `last_secret` is that of the last finalization.
    """

    chain_id: int
    federation: Address
    terms: FederationTerms
    view: RoundView
    record: bytes
    results: tuple[Result, ...]
    members: tuple[Address, ...]
    latest: Release
    carried: int
    holdings: int
    updates: tuple[Submitted, ...] | None
    adjustments: tuple[Adjustment, ...]
    last_secret: bytes

    @property
    def head(self) -> int:
        """The latest round, 0 before the first."""
        return self.view.round

    @property
    def chained(self) -> int:
        """The last round that the record chains: the next opening chains one that was abandoned."""
        return self.head if self.view.phase is Phase.FINALIZED else max(0, self.head - 1)

    def result(self, round: int) -> Result:
        return self.results[round - 1]


def read_state(federation: Federation, block: Block) -> State:
    view = federation.round_view(at=block)
    finalized = view.phase is Phase.FINALIZED
    return State(
        chain_id=federation.chain_id,
        federation=federation.address,
        terms=federation.terms(),
        view=view,
        record=federation.record(at=block),
        results=tuple(federation.results(at=block)),
        members=tuple(federation.members(at=block)),
        latest=federation.latest_release(at=block),
        carried=federation.carried(at=block),
        holdings=federation.holdings(at=block),
        updates=_list(federation, view, block),
        adjustments=_adjustments(federation, block) if finalized else (),
        last_secret=federation.secret(at=block),
    )


def _list(federation: Federation, view: RoundView, block: Block) -> tuple[Submitted, ...] | None:
    if view.phase is Phase.FINALIZED:
        return None
    try:
        return tuple(federation.updates(at=block))
    except ChainError:
        if view.phase.live:
            raise
        return None


def _adjustments(federation: Federation, block: Block) -> tuple[Adjustment, ...]:
    return tuple(
        Adjustment(update.client, update.compute_ms, update.slash_rate)
        for update in sorted(federation.update_views(at=block), key=lambda update: int(update.client, 16))
        if update.adjusted
    )
