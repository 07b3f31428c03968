"""The brownie scripts, each as a process of its own, from an interpreter that has loaded brownie: to load it costs more
than most of what a script does. A server process loads it once, and forks before it knows of a network."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from processor.demo.nodes import CHECKOUT
from processor.demo.scripts import NETWORK, TIMEOUT, Scripts

STREAMS = ("stdout", "stderr")


@dataclass(frozen=True)
class WarmScripts(Scripts):
    """`Scripts` whose `python -m scripts` is forked; every other command is run as ever."""

    def execute(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        if command[:3] != [sys.executable, "-m", "scripts"]:
            return super().execute(command)
        with tempfile.TemporaryDirectory() as streams:
            told = {
                "arguments": command[3:],
                "folder": str(self.folder),
                "variables": self.environment(),
                "network": {"host": self.rpc_url, "chainid": str(self.chain_id)},
                "streams": streams,
            }
            server = _server()
            assert server.stdin is not None and server.stdout is not None
            server.stdin.write(json.dumps(told) + "\n")
            server.stdin.flush()
            status = server.stdout.readline()
            assert status, "the server that scripts are forked from has ended"
            said, complained = ((Path(streams) / name).read_text("utf-8") for name in STREAMS)
        return subprocess.CompletedProcess(command, int(status), said, complained)


@cache
def _server() -> subprocess.Popen[str]:
    """The server that scripts are forked from, which ends with this process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.warm_scripts"],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        scripts = Scripts("http://unused", 0, home, home, home, deployments=home)
        scripts.write_network()
        os.environ.clear()
        os.environ.update(scripts.environment())
        _serve()


def _serve() -> None:
    import scripts.common  # noqa: F401

    for line in sys.stdin:
        script = multiprocessing.get_context("fork").Process(target=_become_script, args=(json.loads(line),))
        script.start()
        script.join(TIMEOUT)
        if script.exitcode is None:
            script.kill()
            script.join()
        print(script.exitcode, flush=True)


def _become_script(told: dict[str, Any]) -> None:
    import runpy

    from brownie._config import CONFIG

    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["variables"])
    for descriptor, name in enumerate(STREAMS, start=1):
        with Path(told["streams"], name).open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    CONFIG.networks[NETWORK].update(told["network"])
    sys.argv = ["scripts", *told["arguments"]]
    runpy.run_module("scripts", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
