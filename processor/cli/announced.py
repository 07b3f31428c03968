"""The plan that a federation's organization announced for rounds to come, as the chain's logs have it."""

from __future__ import annotations

from processor.chain.federation import Federation
from processor.chain.posts import PLAN, Posts
from processor.chain.snapshot import Snapshots
from processor.daemons.plan_news import LOOK_BACK, announced_by_organization
from processor.types import Block, Cid, RoundView


def announced_plan(federation: Federation, view: RoundView | None, block: Block) -> Cid | None:
    """The one announced last since the latest round opened, and within a week; None where there is none. `view` is the
    latest round, None before the first. Raises ChainError where the node gives no logs."""
    since = max(0 if view is None else view.opened_at, block.timestamp - LOOK_BACK)
    return announced_by_organization(Posts(federation, PLAN).read(since, block), Snapshots(federation).at(block))
