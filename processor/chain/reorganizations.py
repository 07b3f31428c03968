"""Notices that the chain is another one than it was: blocks that were seen are compared with those that are there.

A block counts as gone where the chain has another one of its number, and not where a node knows none: behind one
address may be several nodes, and one of them behind.
"""

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


@dataclass(frozen=True)
class SteppedBack:
    """The head is so many blocks below the highest that was seen, and none is seen to be gone: the node is behind."""

    blocks: int


def observe(
    journal: Journal, head: Block, hash_of: Callable[[int], str | None], confirmations: int
) -> Reorganization | SteppedBack | None:
    """Remembers the head, and says what became of the blocks that were seen before; None where all of them stand. What
    the journal took for final in blocks that are gone is so no more.

    `hash_of` gives the hash of the block of a number, None where the node has no such block; it is not asked for the
    block before the head, whose hash the head names, nor for blocks above it: those are judged once the chain has
    others of their numbers.
    """
    seen = journal.blocks()
    common, changed = None, False
    for number, hash in seen:
        now = _now(number, head, hash_of)
        if now == hash:
            common = number
            break
        changed = changed or now is not None
    if changed:  # before the blocks are forgotten: a daemon that is killed here notices again
        journal.doubt_intents(above=-1 if common is None else common)
        journal.doubt_updates(above=-1 if common is None else common)
        journal.forget_blocks(above=-1 if common is None else common)
    journal.record_block(head.number, head.hash, keep=max(confirmations, FEWEST_KEPT))
    if changed:
        lowest = seen[-1][0] - 1 if common is None else common
        return Reorganization(common, seen[0][0] - lowest)
    return SteppedBack(seen[0][0] - head.number) if seen and seen[0][0] > head.number else None


def _now(number: int, head: Block, hash_of: Callable[[int], str | None]) -> str | None:
    """The hash of the chain's block of a number; None where the node does not know it."""
    if number >= head.number:
        return head.hash if number == head.number else None
    if number == head.number - 1 and head.parent is not None:
        return head.parent
    return hash_of(number)
