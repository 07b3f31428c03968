"""A round has one update, whatever becomes of it, and its compute time is never lost."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.errors import JournalError
from processor.journal import Journal, SavedUpdate
from tests.unit.journal.examples import BASE, CID, KEY, OTHER_KEY, opened


def test_a_round_has_one_update(update: SavedUpdate, journal: Journal) -> None:
    assert journal.update_for(3, KEY, BASE) is None
    journal.save_update(update)
    assert journal.update_for(3, KEY, BASE) == update
    with pytest.raises(JournalError, match="round 3"):
        journal.save_update(update)


def test_a_round_of_the_same_number_with_another_key_or_base_model_is_another_round(
    update: SavedUpdate, journal: Journal
) -> None:
    journal.save_update(update)
    journal.keep_metered(3, KEY, 100)
    assert journal.update_for(3, OTHER_KEY, BASE) is None
    assert journal.update_for(3, KEY, CID) is None
    assert journal.metered_ms(3, OTHER_KEY) == 0


def test_an_update_is_sealed_and_then_seen_in_a_block_and_published_and_at_last_final(
    update: SavedUpdate, journal: Journal
) -> None:
    journal.save_update(update)
    journal.see_update(update, block=17, claimed_ms=1100)
    assert journal.update_for(3, KEY, BASE) == replace(update, seen_at=17, claimed_ms=1100)
    journal.publish_update(update)
    journal.finish_updates(17)
    final = replace(update, seen_at=17, claimed_ms=1100, published=True, final=True)
    assert journal.updates() == [final]


def test_an_update_that_a_reorganization_took_away_is_sealed_and_stays_published(
    update: SavedUpdate, journal: Journal
) -> None:
    journal.save_update(update)
    journal.see_update(update, block=17, claimed_ms=1100)
    journal.publish_update(update)
    journal.finish_updates(17)
    journal.miss_update(update)
    assert journal.update_for(3, KEY, BASE) == replace(update, published=True)


def test_what_is_noted_of_one_update_is_noted_of_no_other(update: SavedUpdate, journal: Journal) -> None:
    others = [replace(update, round=4), replace(update, sealing_key=OTHER_KEY), replace(update, base=CID)]
    for each in (update, *others):
        journal.save_update(each)
    journal.see_update(update, block=17, claimed_ms=1100)
    assert [each for each in journal.updates() if each.seen_at is None] == [*others[1:], others[0]]
    assert journal.update_in(3, KEY) == replace(update, seen_at=17, claimed_ms=1100)


def test_a_key_that_an_update_was_sealed_to_is_known_for_every_other_round(
    update: SavedUpdate, journal: Journal
) -> None:
    journal.save_update(update)
    assert journal.sealed_elsewhere(KEY, round=4) and not journal.sealed_elsewhere(KEY, round=3)
    assert not journal.sealed_elsewhere(OTHER_KEY, round=4)


@given(st.lists(st.integers(0, 2**50), min_size=1))
@settings(max_examples=15)
def test_metered_time_is_the_largest_that_was_ever_heard_and_never_a_sum(heard: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for half in (heard[::2], heard[1::2]):  # with a restart between
            with opened(Path(folder) / "journal.sqlite") as journal:
                for ms in half:
                    journal.keep_metered(3, KEY, ms)
                assert journal.metered_ms(3, OTHER_KEY) == 0
        with opened(Path(folder) / "journal.sqlite") as journal:
            assert journal.metered_ms(3, KEY) == max(heard)


def test_one_row_names_an_update_the_private_state_after_it_and_what_it_spent(update: SavedUpdate, path: Path) -> None:
    released = replace(update, state=CID, epsilon=0.5)
    with opened(path) as journal:
        assert journal.private_state() is None
        journal.save_update(released)
    with opened(path) as journal:
        assert journal.updates() == [released]
        assert journal.private_state() == CID


def test_the_private_state_is_that_of_the_release_that_was_kept_last_whatever_its_round(
    update: SavedUpdate, journal: Journal
) -> None:
    journal.save_update(replace(update, round=7, state=CID))
    journal.save_update(replace(update, round=6, state=BASE))
    assert journal.private_state() == BASE
    journal.save_update(replace(update, round=8))
    assert journal.private_state() == BASE


def test_what_the_chain_shows_since_a_block_that_is_deep_enough_is_final_in_every_round(
    update: SavedUpdate, journal: Journal
) -> None:
    for round, seen in ((3, 17), (4, 18), (5, 19), (6, None)):
        saved = replace(update, round=round)
        journal.save_update(saved)
        if seen is not None:
            journal.see_update(saved, seen, 1)
    assert not journal.finish_updates(16)
    assert journal.finish_updates(18)
    assert [each.round for each in journal.updates() if each.final] == [3, 4]
    assert not journal.finish_updates(18)
    assert journal.finish_updates(100)
    assert [each.round for each in journal.updates() if each.final] == [3, 4, 5]
