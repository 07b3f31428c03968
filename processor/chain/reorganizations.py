"""Notices that the chain is another one than it was: blocks that were seen are compared with those that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from processor.journal import Journal
from processor.types import Block

FEWEST_KEPT = 16
"""Blocks whose hashes are kept at least, where the confirmation depth is smaller: that costs nothing."""


@dataclass(frozen=True)
class Reorganization:
    """Blocks after `common` were taken out of the chain; `common` is None where no block that was seen is left.

    `depth` counts the blocks from the highest that was seen down to the last one in common.
    """

    common: int | None
    depth: int


def observe(
    journal: Journal, head: Block, hash_of: Callable[[int], str | None], confirmations: int
) -> Reorganization | None:
    """Remembers the head, and says what became of the blocks that were seen before; None where all of them stand. What
    the journal took for final in blocks that are gone is so no more.

    `hash_of` gives the hash of the block of a number, None where the chain has no such block; it is not asked for the
    block before the head, whose hash the head names. A chain whose head went back was reorganized too: what it loses
    may return with other content.
    """
    seen = journal.blocks()
    common = next((number for number, hash in seen if _stands(number, hash, head, hash_of)), None)
    changed = bool(seen) and seen[0][0] != common
    if changed:  # before the blocks are forgotten: a daemon that is killed here notices again
        journal.doubt_intents(above=-1 if common is None else common)
        journal.doubt_updates(above=-1 if common is None else common)
        journal.forget_blocks(above=-1 if common is None else common)
    journal.record_block(head.number, head.hash, keep=max(confirmations, FEWEST_KEPT))
    if not changed:
        return None
    lowest = seen[-1][0] - 1 if common is None else common
    return Reorganization(common, seen[0][0] - lowest)


def _stands(number: int, hash: str, head: Block, hash_of: Callable[[int], str | None]) -> bool:
    if number >= head.number:
        return (number, hash) == (head.number, head.hash)
    if number == head.number - 1 and head.parent is not None:
        return hash == head.parent
    return hash_of(number) == hash
