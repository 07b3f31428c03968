from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prometheus_client import generate_latest

from processor.demo.nodes import CHECKOUT
from processor.metrics import Metrics
from tests.chaos.daemon import cycles_in, seen_from, steps_in


def test_a_wrong_clock_leaves_the_monotonic_one_alone() -> None:
    script = """
import time
from tests.chaos.daemon import shift_clock
before, ticks = time.time(), time.monotonic()
shift_clock(-3600.5)
assert -3601 < time.time() - before < -3600, time.time() - before
assert -3601e9 < time.time_ns() - before * 1e9 < -3600e9
assert 0 <= time.monotonic() - ticks < 60
"""
    subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=True)


def test_cycles_with_trouble_do_not_count_as_recovery() -> None:
    metrics = Metrics()
    assert cycles_in(generate_latest(metrics.registry)) == 0
    for outcome in ("waited", "waited", "trouble", "interrupted", "claim"):
        metrics.cycle(outcome)
    assert cycles_in(generate_latest(metrics.registry)) == 3


def test_a_training_is_under_way_between_its_first_and_its_last_step() -> None:
    metrics = Metrics()
    assert steps_in(generate_latest(metrics.registry)) == (0, 0)
    metrics.training(3, 10, None)
    assert steps_in(generate_latest(metrics.registry)) == (3, 10)


def test_a_folder_of_another_mount_namespace_is_seen_through_its_process() -> None:
    assert seen_from(None, Path("/tmp/state")) == Path("/tmp/state")
    assert seen_from(42, Path("/tmp/state")) == Path("/proc/42/root/tmp/state")
