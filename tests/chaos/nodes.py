"""The nodes of a run: a chain whose past can be taken away, and IPFS nodes that are connected by hand."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from web3 import Web3
from web3.types import RPCEndpoint

from processor.chain.provider import connect
from processor.demo.nodes import CHECKOUT, IpfsNode, start_anvil, start_kubo
from processor.errors import ChainError, ConfigurationError
from tests.nodes import start_geth

BLOCK_TIME = 1
GWEI = 10**9
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def program(name: str) -> Path | None:
    """The program in KOINON_TEST_BIN, in the folder shared with the checkout, or on PATH."""
    for folder in (os.environ.get("KOINON_TEST_BIN"), str(CHECKOUT.parent / "shared" / "bin"), None):
        found = shutil.which(name, path=folder) if folder != "" else None
        if found:
            return Path(found).resolve()
    return None


def require(name: str) -> Path:
    """Raises ConfigurationError where there is no such program."""
    found = program(name)
    if found is None:
        raise ConfigurationError(f"there is no `{name}`: install it, or name its folder as KOINON_TEST_BIN")
    return found


@dataclass
class Chain:
    """A development chain as the harness sees it: directly, and with the powers that only such nodes give."""

    kind: str
    rpc_url: str
    web3: Web3

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.rpc_url)
        return str(parts.hostname), int(parts.port or 0)

    @property
    def anvil(self) -> bool:
        return self.kind == "anvil"

    @property
    def head(self) -> int:
        return int(self.web3.eth.block_number)

    def ask(self, method: str, *params: Any) -> Any:
        """Raises ChainError where the node refuses."""
        answer = self.web3.provider.make_request(RPCEndpoint(method), list(params))
        if "error" in answer:
            raise ChainError(f"{method}: {answer['error']}")
        return answer.get("result")

    def reorganize(self, depth: int) -> None:
        """Takes the last blocks away. Their transactions are gone, from the pool too, unless somebody sends them again;
        anvil puts as many empty blocks in their place at once, geth goes on from where it was set."""
        if self.anvil:
            self.ask("anvil_reorg", depth, [])
        else:
            self.ask("debug_setHead", hex(max(1, self.head - depth)))

    def price_gas(self, wei: int) -> None:
        """Sets the base fee of the next block, from which it falls by an eighth with every empty one."""
        self.ask("anvil_setNextBlockBaseFeePerGas", hex(wei))

    def stop_mining(self) -> None:
        self.ask("evm_setIntervalMining", 0)

    def go_on_mining(self) -> None:
        self.ask("evm_setIntervalMining", BLOCK_TIME)

    def empty_the_pool(self) -> None:
        self.ask("anvil_dropAllTransactions")


def start_chain(kind: str, folder: Path, stack: contextlib.ExitStack) -> Chain:
    """Raises ConfigurationError where the program is missing."""
    if kind == "anvil":
        node = stack.enter_context(start_anvil(folder, block_time=BLOCK_TIME))
    else:
        node = stack.enter_context(start_geth(require("geth"), folder))
    return Chain(kind, node.rpc_url, connect(node.rpc_url))


@dataclass
class Kubo:
    """An IPFS node that can be killed and comes back with what it had pinned."""

    folder: Path
    node: IpfsNode

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of its API."""
        _, _, host, _, port = self.node.api.split("/")
        return host, int(port)

    def kill(self) -> None:
        self.node.process.kill()
        self.node.process.wait()

    def restart(self) -> None:
        """Starts it again, with its API where it was."""
        self._configure("Addresses.API", self.node.api)
        self.node = start_kubo(require("ipfs"), self.folder, offline=False)

    def connect(self, other: Kubo) -> None:
        addresses = self.call("id")["Addresses"]
        other.call("swarm/connect", next(address for address in addresses if "/tcp/" in address))

    def _configure(self, name: str, value: str) -> None:
        environment = {**os.environ, "IPFS_PATH": str(self.folder / "ipfs")}
        subprocess.run([str(require("ipfs")), "config", name, value], env=environment, check=True)

    def call(self, name: str, *arguments: str) -> Any:
        host, port = self.address
        query = "&".join(f"arg={argument}" for argument in arguments)
        request = urllib.request.Request(f"http://{host}:{port}/api/v0/{name}?{query}", method="POST")
        with _DIRECT.open(request, timeout=20) as response:
            return json.loads(response.read())


def start_kubos(count: int, folder: Path, stack: contextlib.ExitStack) -> list[Kubo]:
    """IPFS nodes, each connected to all before it."""
    nodes: list[Kubo] = []
    for number in range(count):
        home = folder / f"kubo-{number}"
        nodes.append(Kubo(home, start_kubo(require("ipfs"), home, offline=False)))
        stack.callback(lambda kubo: kubo.node.stop(), nodes[-1])
    connect_all(nodes)
    return nodes


def connect_all(nodes: Sequence[Kubo]) -> None:
    for number, node in enumerate(nodes):
        for other in nodes[:number]:
            node.connect(other)
