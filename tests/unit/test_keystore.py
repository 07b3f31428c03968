"""Wallets: made, listed and unlocked, with their keys and passphrases never shown."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from processor import keystore
from processor.errors import KeystoreError
from processor.key_files import read_key_file

FAST = 2
KEY = "0x" + "4c" * 32
ADDRESS = Account.from_key(KEY).address
PASSPHRASE = "correct horse"
FOUNDRYS = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "8c4db20cbf3e30893e633347c7433a8e"},
        "ciphertext": "952ba8683bab59e15fc53966950551f19d53d2c5cf1d5306213c1831f948931a",
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": 2, "r": 8, "p": 1, "salt": "358c850b5882f7db13d0038862551cd8"},
        "mac": "e4620eb87d8ea8781abdbb818bd4f175dbedb1a67efd2229e76b582f91998642",
    },
    "id": "03a2e57e-8788-4b25-9cf2-27fe01caa013",
    "version": 3,
}
"""What `cast wallet` writes: it names no address."""


def new_wallet(directory: Path) -> Path:
    keystore.import_key(directory, KEY, PASSPHRASE, iterations=FAST)
    return keystore.list_wallets(directory)[0].path


def wallet_under(directory: Path, passphrase: str) -> Path:
    keystore.import_key(directory / "keys", KEY, passphrase, iterations=FAST)
    return directory / "keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_wallet_is_listed_and_unlocks_with_its_passphrase(tmp_path: Path) -> None:
    address = keystore.create(tmp_path / "keys", PASSPHRASE, iterations=FAST)
    [wallet] = keystore.list_wallets(tmp_path / "keys")
    assert wallet.address == address
    assert wallet.path.name.startswith("UTC--") and wallet.path.name.endswith("--" + address[2:].lower())
    assert keystore.unlock(wallet.path, PASSPHRASE).address == address


def test_a_wallet_and_its_directory_are_its_owners_alone(tmp_path: Path) -> None:
    path = new_wallet(tmp_path / "keys")
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_wallet_is_a_key_file_that_other_programs_read(tmp_path: Path) -> None:
    content = json.loads(new_wallet(tmp_path).read_text())
    assert content["version"] == 3 and content["crypto"]["kdf"] == "scrypt"
    assert Account.decrypt(content, PASSPHRASE).to_0x_hex() == KEY


def test_a_wallet_costs_what_geths_does_by_default(tmp_path: Path) -> None:
    keystore.create(tmp_path, PASSPHRASE)
    [wallet] = keystore.list_wallets(tmp_path)
    assert json.loads(wallet.path.read_text())["crypto"]["kdfparams"]["n"] == 262_144


@pytest.mark.parametrize("key", [KEY, KEY[2:], f" {KEY}\n", KEY.upper().replace("X", "x")])
def test_a_private_key_is_imported_however_it_is_written(tmp_path: Path, key: str) -> None:
    assert keystore.import_key(tmp_path, key, PASSPHRASE, iterations=FAST) == ADDRESS


@pytest.mark.parametrize("key", ["", "4c" * 31, "4c" * 33, "zz" * 32, "00" * 32, "ff" * 32])
def test_what_is_no_private_key_is_refused_without_showing_it(tmp_path: Path, key: str) -> None:
    with pytest.raises(KeystoreError, match="64 hexadecimal digits") as error:
        keystore.import_key(tmp_path, key, PASSPHRASE)
    assert not key or key not in str(error.value)
    assert error.value.__suppress_context__


def test_a_wallet_is_never_overwritten(tmp_path: Path) -> None:
    path = new_wallet(tmp_path)
    before = path.read_bytes()
    with pytest.raises(KeystoreError, match="already in"):
        keystore.import_key(tmp_path, KEY, "another", iterations=FAST)
    assert keystore.list_wallets(tmp_path) == [(ADDRESS, path)]
    assert path.read_bytes() == before


def test_only_wallets_are_listed(tmp_path: Path) -> None:
    assert keystore.list_wallets(tmp_path / "nothing") == []
    for name, content in [("a", ""), ("b", "[]"), ("c", '{"address": "12"}'), ("d", '{"address": 12}'), ("e", "\xff")]:
        (tmp_path / name).write_text(content, encoding="latin-1")
    (tmp_path / "directory").mkdir()
    path = new_wallet(tmp_path)
    assert keystore.list_wallets(tmp_path) == [(ADDRESS, path)]


def test_a_wrong_passphrase_is_said_to_be_wrong_and_not_shown(tmp_path: Path) -> None:
    path = new_wallet(tmp_path)
    with pytest.raises(KeystoreError, match="wrong passphrase") as error:
        keystore.unlock(path, "battery staple")
    assert "battery" not in str(error.value)


def test_a_missing_wallet_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="koinon wallet new"):
        keystore.unlock(tmp_path / "nothing", PASSPHRASE)


def changed(path: Path, change: Callable[[dict], object]) -> Path:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda wallet: wallet.update(address="12" * 20), "but its key is that of"),
        (lambda wallet: wallet.update(version=4), "not a wallet"),
        (lambda wallet: wallet.pop("crypto"), "not a wallet"),
        (lambda wallet: wallet["crypto"].pop("mac"), "damaged"),
        (lambda wallet: wallet["crypto"].update(kdf="none"), "damaged"),
        (lambda wallet: wallet["crypto"]["kdfparams"].update(n=3), "damaged"),
        (lambda wallet: wallet["crypto"].update(ciphertext="00" * 32), "wrong passphrase"),
    ],
)
def test_a_damaged_wallet_is_refused(tmp_path: Path, change: Callable[[dict], object], expected: str) -> None:
    with pytest.raises(KeystoreError, match=expected):
        keystore.unlock(changed(new_wallet(tmp_path), change), PASSPHRASE)


def test_an_unlocked_account_does_not_show_its_key(tmp_path: Path) -> None:
    account = keystore.unlock(new_wallet(tmp_path), PASSPHRASE)
    assert KEY[2:] not in repr(account) + str(account)


def passphrase_file(tmp_path: Path, content: str, permissions: int = 0o600) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(content)
    path.chmod(permissions)
    return path


def marked_file(tmp_path: Path, content: str) -> Path:
    return passphrase_file(tmp_path, "\ufeff" + content)


def test_a_byte_order_mark_is_no_part_of_a_passphrase_or_a_key(tmp_path: Path) -> None:
    assert keystore.passphrase(False, marked_file(tmp_path, "bad weather 7\n")) == "bad weather 7"
    assert keystore.first_line(marked_file(tmp_path, KEY)) == KEY
    assert keystore.import_key(tmp_path, "\ufeff" + KEY, PASSPHRASE, iterations=FAST) == ADDRESS


def test_a_wallet_that_opens_only_with_the_mark_in_its_passphrase_still_opens(tmp_path: Path) -> None:
    path = wallet_under(tmp_path, "\ufeffbad weather 7")
    assert keystore.unlock(path, "bad weather 7").address == ADDRESS
    assert keystore.unlock(path, keystore.passphrase(False, marked_file(tmp_path, "bad weather 7"))).address == ADDRESS


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_wallet_whose_passphrase_was_read_in_the_locales_encoding_opens_under_that_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    path = wallet_under(tmp_path, f"{mark}Grüße".encode().decode("latin-1"))
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")
    with pytest.raises(KeystoreError, match="wrong passphrase"):
        keystore.unlock(path, "Grüße")
    monkeypatch.setattr("locale.getencoding", lambda: "ISO-8859-1")
    assert keystore.unlock(path, "Grüße").address == ADDRESS


def test_a_key_file_without_an_address_unlocks_and_has_that_of_its_key(tmp_path: Path) -> None:
    path = changed(new_wallet(tmp_path), lambda wallet: wallet.pop("address"))
    assert read_key_file(path).address is None
    assert keystore.unlock(path, PASSPHRASE).address == ADDRESS


def test_a_key_file_of_foundry_unlocks(tmp_path: Path) -> None:
    (tmp_path / "wallet").write_text(json.dumps(FOUNDRYS))
    assert keystore.unlock(tmp_path / "wallet", "bad weather 7").address == "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


def test_a_wallet_with_a_mark_in_front_unlocks_and_so_does_the_one_in_a_folder(tmp_path: Path) -> None:
    path = new_wallet(tmp_path / "keys")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_key_file(path).address == ADDRESS
    assert keystore.unlock(path.parent, PASSPHRASE).address == ADDRESS


def test_a_passphrase_of_the_environment_is_utf_8_as_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"KOINON_PASSPHRASE", "Grüße".encode())
    assert keystore.passphrase(False) == "Grüße"
    monkeypatch.setitem(os.environb, b"KOINON_PASSPHRASE", "\ufeffGrüße".encode())
    assert keystore.passphrase(False) == "Grüße", "as a shell takes it from a file with a byte order mark"
    monkeypatch.setitem(os.environb, b"KOINON_PASSPHRASE", b"Gr\xfc\xdfe")
    with pytest.raises(KeystoreError, match="bytes that are no letters in this locale"):
        keystore.passphrase(False)


def test_a_folder_or_another_encoding_is_no_passphrase_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(KeystoreError, match="cannot be read: Is a directory: name a file") as error:
        keystore.passphrase(False, tmp_path / "folder")
    assert "Errno" not in str(error.value)
    path = passphrase_file(tmp_path, "")
    path.write_bytes("bad weather 7".encode("utf-16"))
    with pytest.raises(KeystoreError, match="UTF-16; save it as UTF-8"):
        keystore.passphrase(False, path)


def test_what_names_a_file_is_said_where_there_is_no_option_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOINON_PASSPHRASE", raising=False)
    with pytest.raises(KeystoreError, match="no passphrase: write it down, set KOINON_PASSPHRASE") as error:
        keystore.passphrase(False, name_a_file="write it down")
    assert "--passphrase-file" not in str(error.value)


def test_nothing_typed_is_refused_before_it_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "")
    with pytest.raises(KeystoreError, match="empty: nothing was typed"):
        keystore.passphrase(True, confirm=True)


@pytest.mark.parametrize("content", ["correct horse", "correct horse\n", "correct horse\r\n", "correct horse\nmore\n"])
def test_a_passphrase_is_the_first_line_of_its_file(tmp_path: Path, content: str) -> None:
    assert keystore.passphrase(False, passphrase_file(tmp_path, content)) == PASSPHRASE


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o660])
def test_a_passphrase_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, permissions: int) -> None:
    with pytest.raises(KeystoreError, match="chmod 600") as error:
        keystore.passphrase(False, passphrase_file(tmp_path, PASSPHRASE, permissions))
    assert PASSPHRASE not in str(error.value)


def test_a_named_file_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOINON_PASSPHRASE", "from the environment")
    assert keystore.passphrase(True) == "from the environment"
    assert keystore.passphrase(True, passphrase_file(tmp_path, PASSPHRASE)) == PASSPHRASE


def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    left = list(answers)
    monkeypatch.delenv("KOINON_PASSPHRASE", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda question: left.pop(0))


def test_a_passphrase_is_asked_for_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, PASSPHRASE)
    assert keystore.passphrase(True) == PASSPHRASE
    typed(monkeypatch, PASSPHRASE, PASSPHRASE)
    assert keystore.passphrase(True, confirm=True) == PASSPHRASE


def test_a_new_passphrase_has_to_be_typed_twice_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, PASSPHRASE, "correct hoarse")
    with pytest.raises(KeystoreError, match="differ"):
        keystore.passphrase(True, confirm=True)


def test_no_passphrase_names_its_three_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KOINON_PASSPHRASE", raising=False)
    with pytest.raises(KeystoreError, match="--passphrase-file.*KOINON_PASSPHRASE.*terminal"):
        keystore.passphrase(False)
    with pytest.raises(KeystoreError, match="cannot be read"):
        keystore.passphrase(False, tmp_path / "nothing")


def test_an_empty_passphrase_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="empty"):
        keystore.passphrase(False, passphrase_file(tmp_path, "\nsecond line"))
    monkeypatch.setenv("KOINON_PASSPHRASE", "")
    with pytest.raises(KeystoreError, match="empty: KOINON_PASSPHRASE"):
        keystore.passphrase(False)


def test_a_private_file_is_its_owners_alone_from_the_start(tmp_path: Path) -> None:
    keystore.write_private(tmp_path / "state" / "secret", b"first")
    keystore.write_private(tmp_path / "state" / "secret", b"second")
    assert (tmp_path / "state" / "secret").read_bytes() == b"second"
    assert mode(tmp_path / "state" / "secret") == 0o600 and mode(tmp_path / "state") == 0o700


@given(st.binary(max_size=300))
def test_state_decrypts_under_the_wallet_that_encrypted_it_alone(data: bytes) -> None:
    mine, other = (keystore.state_key(Account.from_key(key)) for key in (KEY, "0x" + "4d" * 32))
    stored = keystore.encrypt(mine, data)
    assert keystore.decrypt(mine, stored) == data
    assert keystore.encrypt(mine, data) != stored
    for key, content in [
        (other, stored),
        (mine, stored[:-1]),
        (mine, bytes([stored[0] ^ 1]) + stored[1:]),
        (mine, b""),
    ]:
        with pytest.raises(KeystoreError, match="cannot be decrypted"):
            keystore.decrypt(key, content)


def test_the_state_key_is_not_the_private_key() -> None:
    key = keystore.state_key(Account.from_key(KEY))
    assert len(key) == 32 and key.hex() != KEY[2:]


def test_the_address_of_a_wallet_needs_no_passphrase_and_is_as_the_chain_writes_it(tmp_path: Path) -> None:
    assert read_key_file(new_wallet(tmp_path)).address == ADDRESS != ADDRESS.lower()


def test_a_credential_of_systemd_may_look_as_if_a_group_could_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential, elsewhere = tmp_path / "credentials" / "passphrase", tmp_path / "passphrase"
    credential.parent.mkdir()
    for file in (credential, elsewhere):
        file.write_text(f"{PASSPHRASE}\n")
        file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credential.parent))
    assert keystore.passphrase(False, credential) == PASSPHRASE
    with pytest.raises(KeystoreError, match="chmod 600"):
        keystore.passphrase(False, elsewhere)
    credential.chmod(0o444)
    with pytest.raises(KeystoreError, match="chmod 600"):
        keystore.passphrase(False, credential)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    credential.chmod(0o440)
    with pytest.raises(KeystoreError, match="chmod 600"):
        keystore.passphrase(False, credential)
