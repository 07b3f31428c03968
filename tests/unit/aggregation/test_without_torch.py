"""What an audit repeats bit for bit does not lean on a library whose last bit differs between processors."""

from __future__ import annotations

import subprocess
import sys

IMPORT_ALL = """
import importlib, pkgutil, sys
import processor.aggregation as package
names = [module.name for module in pkgutil.walk_packages(package.__path__, "processor.aggregation.")]
for name in names:
    importlib.import_module(name)
print(len(names), "torch" in sys.modules)
"""


def test_aggregation_brings_no_torch_into_a_fresh_process() -> None:
    answer = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True, timeout=60)
    count, with_torch = answer.stdout.split()
    assert int(count) > 1 and with_torch == "False"
