"""Runs a script as `brownie run` does: `python -m scripts NAME [name=value ...] [--network NETWORK]`.

`brownie run` imports a script by its whole path, and fails in folders such as /tmp/tmp.x/koinon or /code/koinon.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from brownie import network

FOLDER = Path(__file__).resolve().parent
SHARED = ("__main__", "arguments", "common", "deployments")
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts")
    parser.add_argument("name", choices=SCRIPTS)
    parser.add_argument("arguments", nargs="*", metavar="name=value")
    parser.add_argument("--network", default="development")
    given = parser.parse_args()

    network.connect(given.network)
    importlib.import_module(f"scripts.{given.name}").main(*given.arguments)


main()
