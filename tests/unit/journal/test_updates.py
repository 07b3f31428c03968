"""A round has one update, whatever becomes of it, and its compute time is never lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

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
    journal.add_metered(3, KEY, 100)
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
    journal.finish_update(update)
    final = replace(update, seen_at=17, claimed_ms=1100, published=True, final=True)
    assert journal.updates() == [final]


def test_an_update_that_a_reorganization_took_away_is_sealed_and_stays_published(
    update: SavedUpdate, journal: Journal
) -> None:
    journal.save_update(update)
    journal.see_update(update, block=17, claimed_ms=1100)
    journal.publish_update(update)
    journal.finish_update(update)
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


def test_metered_time_adds_up_over_restarts(path: Path) -> None:
    for ms in (100, 20, 3):
        with opened(path) as journal:
            journal.add_metered(3, KEY, ms)
    with opened(path) as journal:
        assert journal.metered_ms(3, KEY) == 123
