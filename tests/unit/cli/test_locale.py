"""Under any locale the same files are read alike, and what is said can be written."""

from __future__ import annotations

import codecs
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processor import keystore
from processor.cli.app import main
from processor.config import client_template
from processor.demo.nodes import CHECKOUT
from processor.key_files import read_key_file, wallet_at

FAST = 2
ASCII = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
UTF_8 = {"LC_ALL": "C.UTF-8"}
READ = """
import json, os, sys
from pathlib import Path
from processor import keystore
from processor.config import client_template, load_client
from processor.errors import ConfigurationError
from processor.texts import write_text
settings = load_client({}, Path("client.toml"), {})
write_text(Path("template.toml"), client_template(), "the template", ConfigurationError)
state = os.fsencode(settings.state).decode()
address = keystore.unlock(settings.wallet, keystore.passphrase(False, settings.passphrase_file)).address
in_environment = keystore.unlock(settings.wallet, keystore.passphrase(False)).address
print(json.dumps([sys.getfilesystemencoding(), address, in_environment, state]))
"""


@pytest.fixture(scope="module")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A locale of ISO 8859-1, made for these tests."""
    program, folder, name = shutil.which("localedef"), tmp_path_factory.mktemp("locales"), "xx.ISO-8859-1"
    if program is not None:
        subprocess.run([program, "-i", "POSIX", "-f", "ISO-8859-1", folder / name], capture_output=True, check=False)
    if not (folder / name).is_dir():
        pytest.skip("no localedef here that can make a locale")
    return {"LOCPATH": str(folder), "LC_ALL": name}


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(CHECKOUT), **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    keystore.create(folder / "wallets", "Grüße", iterations=FAST)
    keystore.write_private(folder / "passphrase", "\ufeffGrüße\n".encode())
    (folder / "client.toml").write_bytes(
        "\ufeff# Größe\n"
        '[network]\nrpc = "http://node"\nstore = "Größe 数"\n'
        '[client]\nfederation = "0x1111111111111111111111111111111111111111"\n'
        'wallet = "wallets"\npassphrase_file = "passphrase"\ndata = "d"\nstate = "Größe"\n'.encode()
    )
    return folder


@pytest.mark.parametrize("locale", ["utf_8", "ascii", "latin_1"])
def test_the_same_files_mean_the_same_under_every_locale(
    folder: Path, locale: str, request: pytest.FixtureRequest
) -> None:
    chosen = {"utf_8": UTF_8, "ascii": ASCII}.get(locale) or request.getfixturevalue(locale)
    done = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=folder,
        env=environment(**chosen, KOINON_PASSPHRASE="Grüße"),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    encoding, address, in_environment, state = json.loads(done.stdout)
    assert codecs.lookup(encoding) == codecs.lookup(locale)
    assert address == in_environment == read_key_file(wallet_at(folder / "wallets")).address
    assert state == str(folder / "Größe")  # the same folder on the disk, by its bytes
    assert (folder / "template.toml").read_text("utf-8") == client_template()


def test_what_a_command_says_can_be_written_where_the_locale_lacks_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "ascii"))
    monkeypatch.setattr("sys.argv", ["koinon", "wallet", "address", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert ended.value.code == 0 and b"Example: koinon wallet address" in written.getvalue()


def test_what_is_wrong_with_a_file_is_one_sentence_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("processor.keystore.list_wallets", lambda _: (tmp_path / "none").read_bytes())
    monkeypatch.setattr("sys.argv", ["koinon", "wallet", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"koinon: {tmp_path / 'none'}: No such file or directory: check the path\n"


def test_a_command_that_ctrl_c_ended_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("processor.keystore.list_wallets", interrupted)
    monkeypatch.setattr("sys.argv", ["koinon", "wallet", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130 and capsys.readouterr().err == "koinon: interrupted\n"
