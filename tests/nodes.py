"""The real programs that tests run against: found, or the test is skipped with the reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from processor.demo.nodes import ChainNode, IpfsNode, free_port, start_anvil, start_chain, start_kubo

__all__ = [
    "ChainNode",
    "IpfsNode",
    "connect_kubo",
    "find_program",
    "free_port",
    "kubo_gateway",
    "start_anvil",
    "start_geth",
    "start_kubo",
]


def find_program(name: str) -> Path:
    """The program in the folder that KOINON_TEST_BIN names, else on PATH; else skips the test."""
    folder = os.environ.get("KOINON_TEST_BIN")
    found = (folder and shutil.which(name, path=folder)) or shutil.which(name)
    if not found:
        pytest.skip(f"needs `{name}` on PATH, or in the folder that KOINON_TEST_BIN names")
    return Path(found).resolve()


def start_geth(binary: Path, directory: Path) -> ChainNode:
    """A real Ethereum client with chain id 1337, a block a second, and one unlocked account that has all the coins."""
    port = free_port()
    command = [str(binary), "--dev", "--dev.period", "1", "--datadir", str(directory / "geth")]
    command += ["--http", "--http.port", str(port), "--http.api", "eth,net,web3,debug,txpool"]
    command += ["--authrpc.port", str(free_port()), "--port", "0", "--nodiscover", "--maxpeers", "0", "--ipcdisable"]
    return start_chain("geth", command, directory, port)


def connect_kubo(binary: Path, node: IpfsNode, other: IpfsNode) -> None:
    """Connects two IPFS nodes that were not started offline, so that each finds what the other has."""

    def ipfs(at: IpfsNode, *arguments: str) -> str:
        environment = {**os.environ, "IPFS_PATH": str(at.log.parent / "ipfs")}
        done = subprocess.run([binary, *arguments], check=True, env=environment, capture_output=True, text=True)
        return done.stdout

    addresses = json.loads(ipfs(other, "id"))["Addresses"]
    ipfs(node, "swarm", "connect", next(address for address in addresses if "/tcp/" in address))


def kubo_gateway(node: IpfsNode) -> str:
    """The address of a node's HTTP gateway."""
    return (node.log.parent / "ipfs" / "gateway").read_text().strip()
