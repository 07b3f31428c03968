"""Two daemons share neither a state folder nor, on one chain, a key."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from processor.cli.daemon import only_daemon
from processor.errors import JournalError


@pytest.fixture
def address() -> str:
    return "0x" + secrets.token_hex(20)


def test_two_daemons_never_share_a_state_folder(tmp_path: Path, address: str) -> None:
    with (
        only_daemon(tmp_path, 1, address),
        pytest.raises(JournalError, match="choose another state folder"),
        only_daemon(tmp_path, 1, "0x" + secrets.token_hex(20)),
    ):
        pass


def test_two_daemons_never_share_a_key_on_a_chain(tmp_path: Path, address: str) -> None:
    with (
        only_daemon(tmp_path / "one", 1, address),
        pytest.raises(JournalError, match="a wallet of its own for each federation"),
        only_daemon(tmp_path / "two", 1, address),
    ):
        pass


def test_several_wallets_and_chains_do_not_interfere(tmp_path: Path, address: str) -> None:
    with (
        only_daemon(tmp_path / "one", 1, address),
        only_daemon(tmp_path / "two", 5, address),
        only_daemon(tmp_path / "three", 1, "0x" + secrets.token_hex(20)),
    ):
        pass
    with only_daemon(tmp_path / "one", 1, address):
        pass
