"""A chain that is another one than it was is noticed, and how deep the change goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.chain.reorganizations import Reorganization, SteppedBack, observe
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.types import Block

FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
CLIENT = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"


class Chain:
    """Blocks by number; `fork` replaces the last ones by others."""

    def __init__(self, names_parents: bool = True) -> None:
        self.hashes = ["0xgenesis"]
        self.made = 0
        self.names_parents = names_parents
        self.asked: list[int] = []

    def grow(self, count: int = 1) -> Block:
        for _ in range(count):
            self.made += 1
            self.hashes.append(f"0x{self.made}")
        return self.head

    def fork(self, depth: int, grow: int) -> Block:
        del self.hashes[len(self.hashes) - depth :]
        return self.grow(grow)

    @property
    def head(self) -> Block:
        parent = self.hashes[-2] if self.names_parents and len(self.hashes) > 1 else None
        return Block(len(self.hashes) - 1, self.hashes[-1], 0, parent)

    def hash_of(self, number: int) -> str | None:
        self.asked.append(number)
        return self.hashes[number] if number < len(self.hashes) else None


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal", 1, FEDERATION, CLIENT) as journal:
        yield journal


@pytest.fixture
def chain() -> Chain:
    return Chain()


Seen = Reorganization | SteppedBack | None


@pytest.fixture
def look(journal: Journal, chain: Chain) -> Callable[[], Seen]:
    return lambda: observe(journal, chain.head, chain.hash_of, confirmations=4)


def test_a_chain_that_grows_is_the_same_chain(look: Callable[[], Seen], chain: Chain) -> None:
    for blocks in (1, 1, 0, 7, 30):
        chain.grow(blocks)
        assert look() is None


def test_a_head_that_follows_directly_says_itself_that_it_does(look: Callable[[], Seen], chain: Chain) -> None:
    for blocks in (1, 1, 0, 1):
        chain.grow(blocks)
        assert look() is None
    assert chain.asked == []
    chain.fork(depth=2, grow=3)
    assert look() == Reorganization(common=1, depth=2)


def test_blocks_that_were_replaced_are_counted(look: Callable[[], Seen], chain: Chain) -> None:
    for _ in range(5):
        chain.grow()
        look()
    chain.fork(depth=3, grow=4)
    assert look() == Reorganization(common=2, depth=3)
    assert look() is None


def test_a_head_that_went_back_is_a_node_that_is_behind_until_a_block_is_seen_to_be_another_one(
    look: Callable[[], Seen], chain: Chain
) -> None:
    for _ in range(5):
        chain.grow()
        look()
    chain.fork(depth=2, grow=0)
    assert look() == look() == SteppedBack(2)
    chain.grow(1)
    assert look() == Reorganization(common=3, depth=2)
    chain.grow(4)
    assert look() is None


def test_a_node_that_is_behind_now_and_then_loses_nothing(
    journal: Journal, look: Callable[[], Seen], chain: Chain
) -> None:
    chain.grow(9)
    look()
    journal.save_update(
        update := SavedUpdate(1, b"k" * 32, "base", "cid", updates_folder(journal.path.parent) / "u", 5, 6, 7)
    )
    journal.see_update(update, 9, claimed_ms=5)
    for _ in range(3):
        before, chain.hashes = chain.hashes, chain.hashes[:-1]
        assert look() == SteppedBack(1)
        chain.hashes = before
        assert look() is None
    assert [each.seen_at for each in journal.updates()] == [9]
    chain.hashes = chain.hashes[:-1]
    look()
    chain.fork(depth=1, grow=3)
    assert look() == Reorganization(common=None, depth=2)
    assert [each.seen_at for each in journal.updates()] == [None]


def test_a_block_that_the_node_does_not_know_is_not_gone(journal: Journal, chain: Chain) -> None:
    for _ in range(3):
        chain.grow(2)
        observe(journal, chain.head, chain.hash_of, confirmations=4)
    chain.grow(2)
    assert observe(journal, chain.head, lambda number: None, confirmations=4) is None
    assert [number for number, _ in journal.blocks()] == [8, 6, 4, 2]


def test_a_block_of_the_same_height_with_another_hash_is_another_block(look: Callable[[], Seen], chain: Chain) -> None:
    chain.grow(3)
    look()
    chain.fork(depth=1, grow=1)
    assert look() == Reorganization(common=None, depth=1)


def test_a_chain_with_nothing_in_common_is_noticed(journal: Journal, look: Callable[[], Seen], chain: Chain) -> None:
    for _ in range(5):
        chain.grow()
        look()
    chain.fork(depth=5, grow=9)
    assert look() == Reorganization(common=None, depth=5)
    assert journal.blocks() == [(9, chain.head.hash)]


def test_an_update_in_a_block_that_was_replaced_counts_as_not_seen_and_one_below_it_as_seen(
    journal: Journal, look: Callable[[], Seen], chain: Chain
) -> None:
    path = updates_folder(journal.path.parent) / "u"
    updates = [SavedUpdate(round, bytes([round] * 32), "base", f"cid {round}", path, 5, 6, 7) for round in (1, 2)]
    for update, block in zip(updates, (2, 4), strict=True):
        journal.save_update(update)
        journal.see_update(update, block, claimed_ms=5)
        journal.finish_updates(block)
    for _ in range(5):
        chain.grow()
        look()
    chain.fork(depth=3, grow=4)
    look()
    assert [(update.seen_at, update.final) for update in journal.updates()] == [(2, True), (None, False)]


STEPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=30)


@given(STEPS, st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_block_that_is_remembered_is_in_the_chain(
    tmp_path_factory: pytest.TempPathFactory, steps: list, names_parents: bool
) -> None:
    chain = Chain(names_parents)
    chain.grow(3)
    with Journal(tmp_path_factory.mktemp("journal") / "journal", 1, FEDERATION, CLIENT) as journal:
        for depth, grow in steps:
            before = journal.blocks()
            chain.fork(min(depth, len(chain.hashes) - 1), grow)
            changed = observe(journal, chain.head, chain.hash_of, confirmations=4)
            assert all(chain.hash_of(number) in (hash, None) for number, hash in journal.blocks())
            gone = any(chain.hash_of(number) not in (hash, None) for number, hash in before)
            assert isinstance(changed, Reorganization) == gone
