"""A sealing key is found again for its very opening, until its secret is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from processor.errors import JournalError
from processor.journal import Journal
from tests.unit.journal.examples import BASE, CID, KEY, OTHER_KEY, SECRET


def test_a_sealing_secret_is_kept_as_the_caller_encrypted_it_and_once(journal: Journal) -> None:
    assert journal.secret_for(KEY) is None
    journal.save_secret(SECRET)
    assert journal.secret_for(KEY) == SECRET
    with pytest.raises(JournalError, match="already"):
        journal.save_secret(replace(SECRET, encrypted=b"another"))


def test_the_key_of_an_opening_is_found_again_for_that_very_opening(journal: Journal) -> None:
    journal.save_secret(SECRET)
    journal.save_secret(replace(SECRET, public_key=OTHER_KEY, plan=CID))
    assert journal.key_for_opening(3, BASE, "plan") == KEY
    assert journal.key_for_opening(3, BASE, CID) == OTHER_KEY
    for other in ((4, BASE, "plan"), (3, CID, "plan"), (3, BASE, "other")):
        assert journal.key_for_opening(*other) is None


def test_a_key_whose_secret_was_broadcast_is_good_for_no_opening_any_more(journal: Journal) -> None:
    journal.save_secret(SECRET)
    journal.save_secret(replace(SECRET, public_key=OTHER_KEY))
    journal.broadcast_secret(OTHER_KEY)
    assert journal.key_for_opening(3, BASE, "plan") == KEY
    journal.broadcast_secret(KEY)
    assert journal.key_for_opening(3, BASE, "plan") is None
    assert journal.secret_for(KEY) == replace(SECRET, broadcast=True)
