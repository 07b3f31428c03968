"""What a worker learns of its daemon's environment: what is on the list, and nothing that somebody forgot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.worker.environment import DEFAULTS, allowed


@pytest.mark.parametrize(
    "name",
    ["PATH", "LC_ALL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "AWS_SECRET_ACCESS_KEY", "TMPDIR"],
)
def test_language_threads_gpus_and_the_credentials_of_data_come_along(name: str) -> None:
    assert allowed({name: "x"})[name] == "x"


@pytest.mark.parametrize(
    "name",
    [
        "KOINON_PASSPHRASE",
        "KOINON_RPC",
        "KOINON_LOG",
        "CREDENTIALS_DIRECTORY",
        "WEB3_PROVIDER_URI",
        "PRIVATE_KEY",
        "RPC",
    ],
)
def test_no_key_no_passphrase_and_no_address_of_a_node_comes_along(name: str) -> None:
    assert name not in allowed({name: "secret"})


@given(st.dictionaries(st.text("ABCDEFKOINRTUSY_", min_size=1).map("KOINON_".__add__), st.text(max_size=5)))
def test_nothing_of_koinon_comes_along(environment: dict[str, str]) -> None:
    assert allowed(environment) == DEFAULTS


def test_numpy_starts_no_threads_in_a_parent_unless_that_is_wanted() -> None:
    assert allowed({})["OPENBLAS_NUM_THREADS"] == "1"
    assert allowed({"OPENBLAS_NUM_THREADS": "4"})["OPENBLAS_NUM_THREADS"] == "4"


def test_places_in_the_python_path_are_the_daemons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = allowed({"PYTHONPATH": os.pathsep.join(("here", "/there", ""))})["PYTHONPATH"]
    assert path.split(os.pathsep) == [str(tmp_path / "here"), "/there"]
    assert "PYTHONPATH" not in allowed({"PYTHONPATH": ""})
