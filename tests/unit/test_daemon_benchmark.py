"""The benchmark of daemons counts whole families of processes, and says in a table and a file what it measured."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ASKED_FOR = {"idle_mib", "after_round_mib", "sigterm_s", "first_step_cold_s", "first_step_warm_s", "reorganization_s"}
REACTIONS = {"training_mib", "sigterm_s", "reorganization_s"}
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "held = bytearray(64 << 20); print(flush=True); input()"], stdin=-1)
child.wait()
"""


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield


@pytest.fixture
def benchmark(on_path: None) -> ModuleType:
    return importlib.import_module("daemon")


def test_memory_is_that_of_the_process_and_of_everything_below_it(on_path: None) -> None:
    memory = importlib.import_module("resident_memory")
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        own, child = memory.family(parent.pid)
        assert own == parent.pid and memory.resident_mib(child) > 64
        together = memory.resident_mib(own)
        os.kill(child, 9)
        parent.wait()
    assert together > 64
    assert memory.family(parent.pid) == [parent.pid] and memory.resident_mib(parent.pid) == 0


def measured(benchmark: ModuleType, add: float, react: bool) -> dict[str, float]:
    keys = [key for _, key, _ in benchmark.ROWS if react or key not in REACTIONS]
    return {key: number + add for number, key in enumerate(keys, start=1)}


def test_the_table_has_a_row_for_each_measurement_and_a_column_for_each_data_set(benchmark: ModuleType) -> None:
    found = {"digits": measured(benchmark, 0, react=False), "mnist": measured(benchmark, 100, react=True)}
    head, line, *rows = benchmark.table(found).splitlines()
    assert (head, line) == ("| | digits | mnist |", "| --- | --- | --- |")
    assert rows[0] == "| client, idle, MiB | 1 | 101 |"
    assert [row.split(" | ")[1] for row in rows[: len(benchmark.ROWS)]][-2:] == ["", ""]
    assert len(rows) == len(benchmark.ROWS) + 2 and "at most 104 MiB, where 120 are allowed" in rows[-1]


def test_what_nobody_measured_has_no_row(benchmark: ModuleType) -> None:
    found = measured(benchmark, 0, react=True)
    without = {key: value for key, value in found.items() if "flower" not in key}
    assert "Flower" in benchmark.table({"digits": found}) and "Flower" not in benchmark.table({"digits": without})


def test_the_file_has_what_was_asked_for_of_the_largest_data_set_and_each_data_sets_own(benchmark: ModuleType) -> None:
    digits, mnist = measured(benchmark, 0, react=False), measured(benchmark, 100, react=True)
    said = benchmark.as_json({"digits": digits, "mnist": mnist})
    assert said.keys() >= ASKED_FOR and {key: said[key] for key in mnist} == mnist
    assert (said["digits"], said["mnist"]) == (digits, mnist)
    alone = benchmark.as_json({"digits": measured(benchmark, 0, react=True)})
    assert alone.keys() >= ASKED_FOR and "mnist" not in alone
