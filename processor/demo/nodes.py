"""Private nodes for one run: a development chain and an IPFS node, each on ports and in a folder of its own.

Nodes belong to whoever started them: each is the leader of its own process group (so that Ctrl-C reaches the run, which
then ends its nodes in order), and all of them end at the latest when the process that started them exits.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from processor.errors import ConfigurationError, KoinonError

CHECKOUT = Path(__file__).resolve().parents[2]
CHAIN_ID = 31337
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # these nodes are on this machine
Running = TypeVar("Running", bound="Node")


@dataclass(frozen=True)
class Node:
    """A running program; ends with `stop`, with its `with` block, or with this process."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Asks the program to end, so that it can write what it keeps, and insists after some seconds."""
        atexit.unregister(self.stop)
        if self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True)
class ChainNode(Node):
    """An Ethereum node."""

    rpc_url: str


@dataclass(frozen=True)
class IpfsNode(Node):
    """An IPFS node; `api` is the multiaddr of its RPC API."""

    api: str


def anvil_binary() -> Path:
    """The checkout's anvil, else the one on PATH. Raises ConfigurationError where there is none."""
    found = shutil.which("anvil", path=CHECKOUT / "node_modules" / ".bin") or shutil.which("anvil")
    if found is None:
        raise ConfigurationError(
            "No anvil, the development chain: `make setup` in a checkout installs it, "
            "or install Foundry (https://getfoundry.sh) so that `anvil` is on PATH."
        )
    return Path(found).resolve()


def start_anvil(
    directory: Path,
    *,
    dump_state: Path | None = None,
    load_state: Path | None = None,
    block_time: int | None = None,
    chain_id: int = CHAIN_ID,
) -> ChainNode:
    """Starts a development chain that keeps the state of every past block.

    Without `block_time` (seconds) every transaction is a block. `dump_state` is written when the node stops and is what
    `load_state` reads.
    """
    port = free_port()
    command = [str(anvil_binary()), "--silent", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--chain-id", str(chain_id), "--preserve-historical-states", "--cache-path", str(directory / "cache")]
    command += ["--dump-state", str(dump_state)] if dump_state else []
    command += ["--load-state", str(load_state)] if load_state else []
    command += ["--block-time", str(block_time)] if block_time else []
    return start_chain("anvil", command, directory, port)


def start_chain(name: str, command: Sequence[str], directory: Path, port: int) -> ChainNode:
    """Starts an Ethereum node that answers on `port` of this machine."""
    rpc_url = f"http://127.0.0.1:{port}"
    request = urllib.request.Request(
        rpc_url,
        data=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode(),
        headers={"Content-Type": "application/json"},
    )
    process, log = _start(name, command, directory, {}, lambda: _answers(request))
    return _until_exit(ChainNode(process, log, rpc_url))


def start_kubo(binary: Path, directory: Path, *, offline: bool = True) -> IpfsNode:
    """Starts an IPFS node with a repository of its own in `directory`, connected to nobody.

    One that is not `offline` can be connected to others by hand.
    """
    repository = directory / "ipfs"
    environment = {"IPFS_PATH": str(repository), "IPFS_TELEMETRY": "off"}
    if not repository.exists():
        directory.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            [str(binary), "init", "--profile=test"],
            check=False,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        if made.returncode != 0:
            raise KoinonError(f"`{binary} init` failed: {made.stderr.strip()}")
    address = repository / "api"  # written by the daemon, which picks a free port itself
    address.unlink(missing_ok=True)

    def ready() -> bool:
        if not address.exists() or not (api := address.read_text("utf-8").strip()):
            return False
        url = f"http://127.0.0.1:{api.rsplit('/', 1)[1]}/api/v0/version"
        return _answers(urllib.request.Request(url, method="POST"))

    options = ["--offline"] if offline else []
    process, log = _start("ipfs", [str(binary), "daemon", *options], directory, environment, ready)
    return _until_exit(IpfsNode(process, log, address.read_text("utf-8").strip()))


def free_port() -> int:
    """A TCP port that nobody uses now, below the range from which systems number outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _start(
    name: str, command: Sequence[str], directory: Path, environment: dict[str, str], ready: Callable[[], bool]
) -> tuple[subprocess.Popen[bytes], Path]:
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    starting = Node(process, log)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if process.poll() is not None:
                raise KoinonError(f"{name} ended at once with status {process.returncode}: {_tail(log)}")
            if time.monotonic() > deadline:
                raise KoinonError(f"{name} did not answer within {START_TIMEOUT:.0f} s: {_tail(log)}")
            time.sleep(0.05)
    except BaseException:
        starting.stop()
        raise
    return process, log


def _until_exit(node: Running) -> Running:
    atexit.register(node.stop)
    return node


def _answers(request: urllib.request.Request) -> bool:
    try:
        with _DIRECT.open(request, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace").strip()[-1000:] or "it said nothing"
