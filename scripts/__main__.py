"""Runs a script as `brownie run` does: `python -m scripts NAME [name=value ...] [--network NETWORK]`.

`brownie run` imports a script by its whole path, and fails in folders such as /tmp/tmp.x/koinon or /code/koinon.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

from brownie import network, project
from brownie._config import CONFIG

FOLDER = Path(__file__).resolve().parent
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__main__", "common"))
DEVELOPMENT_CHAINS = ("1337", "31337")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts")
    parser.add_argument("name", choices=SCRIPTS)
    parser.add_argument("arguments", nargs="*", metavar="name=value")
    parser.add_argument("--network", default="development")
    given = parser.parse_args()

    loaded = project.load(FOLDER.parent, "Koinon")
    loaded.load_config()
    with tempfile.TemporaryDirectory() as records:
        if str(CONFIG.networks[given.network].get("chainid")) in DEVELOPMENT_CHAINS:
            # brownie keeps a record of what it deployed for every chain id, and refuses a chain that lacks it, as does
            # every new development chain.
            loaded._build_path = Path(records)
            (loaded._build_path / "deployments").mkdir()
        network.connect(given.network)
        importlib.import_module(f"scripts.{given.name}").main(*given.arguments)


main()
