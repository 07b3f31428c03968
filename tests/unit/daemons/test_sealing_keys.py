"""A round's sealing key: fresh, unless the very same opening was begun before; its secret is on disk before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.cid import cid_of
from processor.daemons import sealing_keys
from processor.daemons.recovery import saved_secrets
from processor.daemons.sealing_keys import TRIES, SealingKeys
from processor.errors import MachineError
from processor.journal import Journal
from processor.privacy.sealing import generate_key_pair, public_key_of
from tests.unit.artifacts.examples import FEDERATION

BASE, PLAN = cid_of(b"base model"), cid_of(b"plan")
STATE_KEY = bytes(range(32))


def unused(key: bytes) -> bool:
    return False


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite", 31337, FEDERATION, FEDERATION) as opened:
        yield opened


@pytest.fixture
def keys(journal: Journal, tmp_path: Path) -> SealingKeys:
    return SealingKeys(journal, tmp_path, STATE_KEY)


def test_every_opening_has_a_key_of_its_own_and_its_secret_is_known(keys: SealingKeys) -> None:
    first, second = (keys.for_opening(number, BASE, PLAN, unused) for number in (1, 2))
    assert first != second
    for key in (first, second):
        secret = keys.secret_of(key)
        assert secret is not None and public_key_of(secret) == key


def test_an_opening_that_was_lost_is_begun_again_under_its_key(keys: SealingKeys) -> None:
    key = keys.for_opening(1, BASE, PLAN, unused)
    assert keys.for_opening(1, BASE, PLAN, unused) == key
    assert keys.for_opening(1, cid_of(b"another base"), PLAN, unused) != key


def test_a_key_that_was_used_is_never_used_again(keys: SealingKeys) -> None:
    key = keys.for_opening(1, BASE, PLAN, unused)
    assert keys.for_opening(1, BASE, PLAN, lambda known: known == key) != key


def test_a_key_whose_secret_was_shown_is_never_used_again(keys: SealingKeys) -> None:
    key = keys.for_opening(1, BASE, PLAN, unused)
    keys.show(key)
    assert keys.for_opening(1, BASE, PLAN, unused) != key


def test_that_a_secret_was_shown_stands_in_its_file_as_well_as_in_the_journal(
    keys: SealingKeys, journal: Journal, tmp_path: Path
) -> None:
    key = keys.for_opening(1, BASE, PLAN, unused)
    assert [secret.broadcast for secret in saved_secrets(tmp_path)] == [False]
    keys.show(key)
    saved = journal.secret_for(key)
    assert saved is not None and saved.broadcast
    assert [secret.broadcast for secret in saved_secrets(tmp_path)] == [True]


def test_secrets_are_encrypted_on_disk(keys: SealingKeys, tmp_path: Path) -> None:
    secret = keys.secret_of(keys.for_opening(1, BASE, PLAN, unused))
    assert secret is not None
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes() and secret.hex().encode() not in path.read_bytes()


def test_nothing_is_known_of_a_key_that_is_somebody_elses(keys: SealingKeys) -> None:
    assert keys.secret_of(bytes(32)) is None
    keys.show(bytes(32))


def test_the_key_of_the_state_is_in_no_message(keys: SealingKeys) -> None:
    assert repr(STATE_KEY) not in repr(keys)


def test_a_machine_whose_random_numbers_repeat_opens_no_round_under_the_key_of_another(
    keys: SealingKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that was set back to an image of itself."""
    old, fresh = generate_key_pair(), generate_key_pair()
    drawn = [old, fresh, *[old] * TRIES]
    monkeypatch.setattr(sealing_keys, "generate_key_pair", lambda: drawn.pop(0))
    assert keys.for_opening(2, BASE, PLAN, lambda key: key == old.public) == fresh.public
    with pytest.raises(MachineError, match="the same random numbers again"):
        keys.for_opening(3, BASE, PLAN, lambda key: key == old.public)
    assert keys.secret_of(old.public) is None
