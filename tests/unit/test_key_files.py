"""Key files as far as they can be read without a passphrase, and folders with one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import KeystoreError
from processor.key_files import list_wallets, read_key_file, wallet_at

ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
FOUNDRYS = {"crypto": {"cipher": "aes-128-ctr"}, "id": "de1e7e", "version": 3}
GETHS = {**FOUNDRYS, "address": ADDRESS[2:].lower()}


def key_file(path: Path, content: Any, mark: str = "") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((mark + json.dumps(content)).encode())
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.lower(), ADDRESS[2:], ADDRESS[2:].lower()])
def test_the_address_is_that_of_the_file_however_it_is_written(tmp_path: Path, address: str, mark: str) -> None:
    path = key_file(tmp_path / "w", {**FOUNDRYS, "address": address}, mark)
    assert read_key_file(path).address == ADDRESS


@pytest.mark.parametrize("more", [{}, {"address": None}, {"address": ""}])
def test_a_key_file_may_name_no_address(tmp_path: Path, more: dict[str, object]) -> None:
    assert read_key_file(key_file(tmp_path / "w", FOUNDRYS | more)).address is None
    assert list_wallets(tmp_path) == [(None, tmp_path / "w")]


@pytest.mark.parametrize(
    "content",
    [
        [], "words", None, {}, {**GETHS, "version": 4}, {**GETHS, "crypto": "none"}, {"version": 3, "address": ADDRESS},
        {**GETHS, "address": 7}, {**GETHS, "address": "0x12"}, {**GETHS, "address": "zz" * 20},
    ],
)  # fmt: skip
def test_what_is_no_key_file_is_said_with_how_to_make_one(tmp_path: Path, content: object) -> None:
    with pytest.raises(KeystoreError, match="is not a wallet: expected a version 3 .*koinon wallet new"):
        read_key_file(key_file(tmp_path / "w", content))
    assert list_wallets(tmp_path) == []


@given(data=st.binary(max_size=200) | st.sampled_from([b"[" * 60_000, b"1" * 9_000, b'{"version":3,"crypto":' * 99]))
def test_any_bytes_are_a_key_file_or_a_sentence(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    with pytest.raises(KeystoreError):
        read_key_file(path)


def test_a_wallet_may_be_named_by_its_folder_where_that_has_one(tmp_path: Path) -> None:
    path = key_file(tmp_path / "wallets" / "mine", GETHS)
    (tmp_path / "wallets" / "notes.txt").write_text("no wallet")
    assert wallet_at(tmp_path / "wallets") == path == wallet_at(path)
    assert wallet_at(tmp_path / "none") == tmp_path / "none"


def test_a_folder_with_no_wallet_or_with_several_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match=f"{tmp_path} holds no wallet: `koinon wallet new` makes one in it"):
        wallet_at(tmp_path)
    for name in ("a", "b"):
        key_file(tmp_path / name, GETHS)
    with pytest.raises(KeystoreError, match="holds 2 wallets: name the file of one, such as a"):
        wallet_at(tmp_path)


def test_a_folder_that_is_a_file_is_no_folder_of_wallets(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="folder of wallets .* cannot be read: Not a directory"):
        list_wallets(key_file(tmp_path / "w", GETHS))
