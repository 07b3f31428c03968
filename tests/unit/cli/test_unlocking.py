"""Whose a wallet is: said by its file, or by its key where the file does not name it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_account import Account

from processor import keystore
from processor.cli import unlocking
from processor.errors import KeystoreError
from processor.key_files import read_key_file, wallet_at

FAST = 2
PASSPHRASE = "bad weather 7"


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOINON_PASSPHRASE", raising=False)


@pytest.fixture
def wallet(tmp_path: Path) -> Path:
    keystore.create(tmp_path / "wallets", PASSPHRASE, iterations=FAST)
    return tmp_path / "wallets"


@pytest.fixture
def nameless(wallet: Path) -> Path:
    """A key file as Foundry writes it, without its address."""
    [(_, path)] = keystore.list_wallets(wallet)
    content = json.loads(path.read_text())
    del content["address"]
    path.write_text(json.dumps(content))
    return path


def passphrase_file(folder: Path) -> Path:
    keystore.write_private(folder / "passphrase", PASSPHRASE.encode())
    return folder / "passphrase"


def test_a_file_that_names_its_address_needs_no_passphrase(wallet: Path) -> None:
    assert unlocking.address_of(wallet, prompt=False) == read_key_file(wallet_at(wallet)).address


def test_a_file_that_names_none_has_the_address_of_its_key(nameless: Path, tmp_path: Path) -> None:
    secret = passphrase_file(tmp_path)
    address = Account.from_key(Account.decrypt(json.loads(nameless.read_text()), PASSPHRASE)).address
    assert unlocking.address_of(nameless, secret, prompt=False) == address
    assert unlocking.unlock(nameless.parent, secret, prompt=False).address == address


def test_without_a_passphrase_at_hand_it_is_said_that_the_file_does_not_name_its_address(nameless: Path) -> None:
    with pytest.raises(KeystoreError, match="does not name its address, so its passphrase is needed") as error:
        unlocking.address_of(nameless, prompt=False)
    assert "no passphrase: name a file as passphrase_file in the configuration" in str(error.value)
    assert "--passphrase-file" not in str(error.value)


def test_one_command_asks_for_the_passphrase_of_such_a_file_once(
    nameless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return PASSPHRASE

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", answer)
    address = unlocking.address_of(nameless, None)
    assert unlocking.unlock(nameless, None).address == address == unlocking.address_of(nameless.parent, None)
    assert len(asked) == 1


def test_what_is_no_wallet_is_said_before_a_passphrase_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no wallet")
    with pytest.raises(KeystoreError, match="is not a wallet"):
        unlocking.address_of(tmp_path / "notes")
    with pytest.raises(KeystoreError, match="is not a wallet: `koinon wallet new` makes one; there is no such file"):
        unlocking.address_of(tmp_path / "none")
