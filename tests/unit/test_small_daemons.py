"""Daemons, commands and audit are small: what takes hundreds of megabytes and seconds to import is the worker's."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(getattr(found, "__path__", []), package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""
HEAVY = """
import sys
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "sklearn", "scipy", "pyarrow"}))
"""
HELP = """
import sys
from processor.cli.tree import app
for command in sys.argv[1:]:
    app([*command.split(), "--help"], standalone_mode=False)
"""


def heavy_after(program: str, *arguments: str) -> str:
    """Which of the heavy libraries a fresh process has imported, once it has run the program."""
    command = [sys.executable, "-c", program + HEAVY, *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return answer.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "packages", [("processor.daemons", "processor.protocol"), ("processor.cli",), ("processor.worker.process",)]
)
def test_imports_bring_nothing_heavy_into_a_fresh_process(packages: tuple[str, ...]) -> None:
    assert heavy_after(IMPORT_ALL, *packages) == ""


def test_help_brings_nothing_heavy_into_a_fresh_process() -> None:
    commands = ("", "organization run", "client run", "client join", "check", "audit", "model get", "data digits")
    assert heavy_after(HELP, *commands) == ""


def test_what_is_heavy_is_noticed() -> None:
    assert heavy_after("import scipy") == "scipy"
