"""Where commands that only read look for artifacts: a folder that is not there is a mistake, and nothing makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.cli.connections import open_chain_and_storage
from processor.errors import ConfigurationError


def test_a_folder_that_is_not_there_is_refused_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ConfigurationError, match=f"there is no directory {missing}"):
        open_chain_and_storage("http://127.0.0.1:1", None, missing, None)
    monkeypatch.setenv("KOINON_STORAGE", f"/ip4/127.0.0.1/tcp/1,{tmp_path.as_uri()},{missing.as_uri()}")
    with pytest.raises(ConfigurationError, match=f"there is no directory {missing}"):
        open_chain_and_storage("http://127.0.0.1:1", None, None, None)
    assert not missing.exists()
