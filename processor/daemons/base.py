"""What both daemons share."""

from __future__ import annotations

import shutil
from pathlib import Path

from processor.chain.blocks import hash_of_block
from processor.chain.federation import Federation
from processor.chain.reorganizations import Reorganization, SteppedBack, observe
from processor.daemons.outbox import Outbox
from processor.journal import Journal
from processor.keystore import private_directory
from processor.metrics import Metrics
from processor.types import Block


def journal_path(state: Path) -> Path:
    """Where a daemon with the folder `state` keeps its journal."""
    return state / "journal.sqlite"


def emptied(folder: Path) -> Path:
    """A private working folder without what a killed run left in it: updates in the clear are nobody else's to read."""
    if folder.exists():
        shutil.rmtree(folder)
    return private_directory(folder)


def keep_up(
    federation: Federation, transactions: Outbox, journal: Journal, block: Block, metrics: Metrics
) -> Reorganization | None:
    """What every cycle begins with: is the chain still the one it was, and what became of our transactions? None where
    the chain was not reorganized."""
    web3 = federation.web3
    changed = observe(journal, block, lambda number: hash_of_block(web3, number), transactions.confirmations)
    if isinstance(changed, SteppedBack):
        metrics.behind(changed.blocks)
        transactions.log.debug("the node is behind", head=block.number, blocks=changed.blocks)
        changed = None
    else:
        metrics.behind(0)
    if changed is not None:
        metrics.reorganization(changed.depth)
        too_deep = changed.depth > transactions.confirmations
        transactions.log.warning(
            "the chain was reorganized",
            depth=changed.depth,
            common_block=changed.common,
            deeper_than_confirmations=too_deep or None,
        )
    transactions.follow(block)
    return changed
