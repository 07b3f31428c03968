"""What Flower's client daemon, its SuperNode, holds while it waits for work: the peer that is named next to ours."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resident_memory import resident_mib

from processor.demo.nodes import free_port

PROGRAMS = Path(__file__).resolve().parent.parent / "build" / "peers" / "flower" / "bin"
"""Where `benchmarks/aggregation.py` installs Flower."""
PATIENCE, SETTLED = 120.0, 4.0


def supernode_mib(folder: Path) -> float | None:
    """MiB resident in a SuperNode and every process below it, connected to a SuperLink; None where Flower is not
    installed. `folder` is for its files."""
    if not (PROGRAMS / "flower-supernode").exists():
        return None
    fleet, own = free_port(), free_port()
    with (
        _running(folder.resolve(), "flower-superlink", fleet) as superlink,
        _running(folder.resolve(), "flower-supernode", own, "--superlink", f"127.0.0.1:{fleet}") as supernode,
    ):
        held = _once_it_rests(supernode)
        if superlink.poll() is not None or supernode.poll() is not None:
            raise SystemExit(f"Flower ended before it was measured: see {folder}")
    return held


@contextmanager
def _running(folder: Path, program: str, port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    own = {"FLWR_HOME": str(folder), "FLWR_TELEMETRY_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **own, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    command = [str(PROGRAMS / program), "--insecure", "--host", "127.0.0.1", "--port", str(port), *arguments]
    with (folder / f"{program}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _once_it_rests(process: subprocess.Popen[bytes]) -> float:
    """What it holds once that has not changed by a hundredth for some seconds."""
    deadline, since, held = time.monotonic() + PATIENCE, time.monotonic(), 0.0
    while time.monotonic() - since < SETTLED and time.monotonic() < deadline:
        time.sleep(0.5)
        now = resident_mib(process.pid)
        if abs(now - held) > now / 100:
            since, held = time.monotonic(), now
    return held
