"""Blocks are remembered as deep as a reorganization may reach."""

from __future__ import annotations

from processor.journal import Journal


def test_a_block_takes_the_place_of_that_at_its_height_and_leaves_those_above_to_be_judged(journal: Journal) -> None:
    for number in (1, 2, 3, 4):
        journal.record_block(number, f"0x{number}", keep=2)
    assert journal.blocks() == [(4, "0x4"), (3, "0x3"), (2, "0x2")]
    journal.record_block(3, "0xother", keep=2)
    assert journal.blocks() == [(4, "0x4"), (3, "0xother"), (2, "0x2")]
    journal.forget_blocks(above=3)
    assert journal.blocks() == [(3, "0xother"), (2, "0x2")]
