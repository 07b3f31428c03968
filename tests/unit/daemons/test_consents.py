from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from processor.daemons.consents import agree, agreed, consent_path
from processor.errors import ConfigurationError

LOG: Any = structlog.get_logger()
FIRST, SECOND = "1" * 64, "2" * 64


def test_client_that_never_agreed_has_agreed_to_nothing(tmp_path: Path) -> None:
    assert agreed(tmp_path / "state", LOG) == frozenset()
    assert list(tmp_path.iterdir()) == []


def test_what_was_agreed_to_is_kept_next_to_what_was_before(tmp_path: Path) -> None:
    for digest in (SECOND, FIRST, SECOND):
        agree(tmp_path, digest, LOG)
    assert agreed(tmp_path, LOG) == {FIRST, SECOND}


def test_file_is_its_owners_alone_and_nothing_unfinished_is_left(tmp_path: Path) -> None:
    state = tmp_path / "state"
    agree(state, FIRST, LOG)
    assert consent_path(state).stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert list(state.iterdir()) == [consent_path(state)]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"agreed":[],"version":0}',
        b'{"agreed":[],"kind":"consent","version":1}',
        b'{"agreed":"' + FIRST.encode() + b'","version":1}',
        b'{"agreed":["' + FIRST.encode() + b'",7],"version":1}',
        b'{"agreed":["0x1234"],"version":1}',
    ],
)
def test_damaged_file_is_set_aside_with_a_message_and_counts_as_no_consent(damage: bytes, tmp_path: Path) -> None:
    path = consent_path(tmp_path)
    path.write_bytes(damage)
    with capture_logs() as said:
        assert agreed(tmp_path, LOG) == frozenset()
        assert agreed(tmp_path, LOG) == frozenset()
    assert [entry["event"] for entry in said] == ["consent lost"]
    assert str(path) in said[0]["error"] and "koinon client join" in said[0]["error"]
    assert not path.exists()
    assert path.with_name("consent.json.damaged").read_bytes() == damage
    agree(tmp_path, FIRST, LOG)
    assert agreed(tmp_path, LOG) == {FIRST}


def test_file_of_a_newer_version_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    path = consent_path(tmp_path)
    path.write_bytes(b'{"agreed":[],"since":1,"version":2}')
    for attempt in (lambda: agreed(tmp_path, LOG), lambda: agree(tmp_path, FIRST, LOG)):
        with pytest.raises(ConfigurationError, match="this consent has version 2, this program reads up to 1: update"):
            attempt()
    assert path.read_bytes() == b'{"agreed":[],"since":1,"version":2}'


def test_file_that_cannot_be_read_or_written_is_said_in_words(tmp_path: Path) -> None:
    consent_path(tmp_path).mkdir()
    with pytest.raises(ConfigurationError, match="what you agreed to, cannot be read: Is a directory"):
        agreed(tmp_path, LOG)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be"):
        agree(tmp_path / "file", FIRST, LOG)
