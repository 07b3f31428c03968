"""The benchmark of aggregation measures what runs today, and memory follows neither tensors nor clients."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CLIENTS, ELEMENTS = 4, 4_000_000
TENSOR_MIB = ELEMENTS * 4 / (1 << 20)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    """What combining says, then combining as if there were many clients, then settling the same updates."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    rounds = importlib.import_module("aggregation_files")
    files = rounds.Files(tmp_path / "round", CLIENTS, ELEMENTS)

    def run(what: str, *more: str) -> dict[str, float]:
        script = [sys.executable, str(BENCHMARKS / "aggregation_ours.py")]
        ran = subprocess.run(
            [*script, what, str(files.folder), str(CLIENTS), str(ELEMENTS), *more],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        found: dict[str, float] = json.loads(ran.stdout)
        return found

    rounds.make(files)
    combined = {"combine": run("combine"), "combine many": run("combine", "--as-if", "60")}
    rounds.seal(files)
    return combined | {"settle": run("settle")}


def test_combining_takes_less_memory_than_one_tensor_and_settling_less_than_one_for_each_client(
    measured: dict[str, dict[str, float]],
) -> None:
    assert measured["combine"]["extra_mib"] < TENSOR_MIB
    assert measured["combine many"]["extra_mib"] < TENSOR_MIB
    assert measured["settle"]["extra_mib"] < CLIENTS * TENSOR_MIB
    assert all(found["seconds"] > 0 for found in measured.values())
