"""Runs the brownie scripts of a checkout on a node: how the demo and the tests put the contracts on a chain.

brownie gets a home of its own, so that it sees this node alone and nobody's accounts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processor.demo.nodes import CHECKOUT
from processor.errors import KoinonError

NETWORK = "koinon"
TIMEOUT = 300


@dataclass(frozen=True)
class Scripts:
    """The scripts on one chain, signed by one keystore. `home` and `deployments` are folders of this run; without the
    latter the scripts choose where they write a factory down. They run in `folder`, and send without asking unless
    `yes` is False."""

    rpc_url: str
    chain_id: int
    keystore: Path
    passphrase_file: Path
    home: Path
    deployments: Path | None
    folder: Path = CHECKOUT
    yes: bool = True

    def run(self, name: str, arguments: Mapping[str, str] | None = None) -> str:
        """What the script printed. Raises KoinonError with its last lines where it fails."""
        done = self.execute(self.command(name, arguments or {}))
        if done.returncode != 0:
            raise KoinonError(f"the script `{name}` failed: {(done.stderr or done.stdout).strip()[-2000:]}")
        return done.stdout

    def command(self, name: str, arguments: Mapping[str, str]) -> list[str]:
        """What runs a script, for `execute`."""
        pairs = [f"{key}={value}" for key, value in arguments.items()]
        return [sys.executable, "-m", "scripts", name, *pairs, "--network", NETWORK]

    def execute(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command with the environment that the scripts have."""
        self.write_network()
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """This process' environment, with what the scripts are told by theirs and no other setting."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KOINON_")}
        told = {
            "HOME": str(self.home),
            "PYTHONPATH": str(CHECKOUT),
            "SOLCX_BINARY_PATH": str(CHECKOUT / ".home" / ".solcx"),
            "KOINON_ACCOUNT": str(self.keystore),
            "KOINON_PASSPHRASE_FILE": str(self.passphrase_file),
            "PYTHONWARNINGS": "ignore",
        }
        if self.deployments is not None:
            told["KOINON_DEPLOYMENTS"] = str(self.deployments)
        return {**kept, **told, **({"KOINON_YES": "yes"} if self.yes else {})}

    def write_network(self) -> None:
        """Tells brownie of this node, and of no other."""
        folder = self.home / ".brownie"
        folder.mkdir(parents=True, exist_ok=True)
        here = {"id": NETWORK, "name": NETWORK, "host": self.rpc_url, "chainid": str(self.chain_id)}
        networks = {"live": [{"name": NETWORK, "networks": [here]}], "development": []}
        (folder / "network-config.yaml").write_text(json.dumps(networks), "utf-8")  # JSON is YAML
