"""Where a walk over a federation's rounds starts: what state says of them at one block."""

from __future__ import annotations

from dataclasses import dataclass

from processor.chain.snapshot import Snapshot
from processor.errors import ChainError
from processor.types import Address, Adjustment, Phase, Release, RoundView, Submitted

NO_SECRET = bytes(32)


@dataclass(frozen=True)
class Start:
    """`updates` is the list of the latest round where state still has all of it, else None: once a round is over,
    whoever leaves takes a line along. `adjustments` are those of a finalized round, as far as they are left.
    `last_secret` is that of the last finalization.
    """

    chain_id: int
    federation: Address
    view: RoundView
    record: bytes
    latest: Release
    updates: tuple[Submitted, ...] | None
    adjustments: tuple[Adjustment, ...]
    last_secret: bytes

    @property
    def head(self) -> int:
        """The latest round, 0 before the first."""
        return self.view.round


def start_of(snapshot: Snapshot) -> Start:
    """Reads at once what a walk starts from: a usual node forgets the past within minutes. Raises ChainError."""
    view = snapshot.view
    finalized = view.phase is Phase.FINALIZED
    return Start(
        chain_id=snapshot.federation.chain_id,
        federation=snapshot.federation.address,
        view=view,
        record=snapshot.record,
        latest=snapshot.release,
        updates=None if finalized else _list(snapshot),
        adjustments=_adjustments(snapshot) if finalized else (),
        last_secret=view.secret if finalized else snapshot.secret,
    )


def _list(snapshot: Snapshot) -> tuple[Submitted, ...] | None:
    try:
        return snapshot.updates
    except ChainError:
        if snapshot.view.phase.live:
            raise
        return None


def _adjustments(snapshot: Snapshot) -> tuple[Adjustment, ...]:
    return tuple(
        Adjustment(update.client, update.compute_ms, update.slash_rate)
        for update in sorted(snapshot.update_views, key=lambda update: int(update.client, 16))
        if update.adjusted
    )
