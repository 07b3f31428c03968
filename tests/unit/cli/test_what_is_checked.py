"""`koinon check` says what a daemon would only find in the middle of a round."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from processor.cli.check import _Checks
from processor.cli.checks import Result, Status
from processor.config import load_client
from processor.learning import device

DEVICE_OF = device.device_of
NOBODY = "0x000000000000000000000000000000000000dEaD"


def found(tmp_path: Path, check: str, network: str = "", client: str = "") -> list[Result]:
    """What the checks of a name find in a client's configuration with more lines in its tables."""
    file = tmp_path / "client.toml"
    file.write_text(
        f'[network]\nrpc = "http://127.0.0.1:1"\nstorage = "{tmp_path.as_uri()}"\n{network}\n'
        f'[client]\nfederation = "{NOBODY}"\nwallet = "w"\ndata = "d"\n{client}\n'
    )
    checks = _Checks(load_client({}, file, {}))
    checks._all = lambda: ((name, find) for name, find in _Checks._all(checks) if name == check)  # type: ignore[method-assign]
    return list(checks.run())


def test_a_quorum_of_more_than_there_are_has_failed(tmp_path: Path) -> None:
    (result,) = found(tmp_path, "quorum", network="quorum = 2")
    assert result.status is Status.FAILED and "lower network.quorum, or name more" in result.words
    (result,) = found(tmp_path, "quorum", network="quorum = 1")
    assert result.status is Status.OK


def test_a_gpu_that_is_asked_for_and_not_there_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for available, status in ((False, Status.FAILED), (True, Status.OK)):
        monkeypatch.setattr(device, "device_of", lambda setting, there=available: DEVICE_OF(setting, lambda: there))
        (result,) = found(tmp_path, "device", client='device = "cuda"')
        assert result.status is status
        assert available or "torch finds no GPU that it can use" in result.words


def test_a_state_folder_that_the_daemon_could_not_write_has_failed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    hindered, _ = found(tmp_path, "disk", client='state = "file/state"')
    assert hindered.status is Status.FAILED and f"{tmp_path / 'file' / 'state'} cannot be written" in hindered.words
    free, _ = found(tmp_path, "disk", client='state = "state"')
    assert free.status is not Status.FAILED and "are free at" in free.words
    assert not (tmp_path / "state").exists()


def test_a_machine_without_a_folder_for_temporary_files_has_failed_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    _, temporary = found(tmp_path, "disk", client='state = "state"')
    assert temporary.status is Status.FAILED and "No usable temporary directory" in temporary.words


def test_torch_that_cannot_be_imported_has_failed_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "processor.learning.device", None)
    (result,) = found(tmp_path, "device", client='device = "cuda"')
    assert result.status is Status.FAILED and "torch cannot be imported" in result.words
