"""A daemon whose node holds it fast hears at once that it is to stop, and says so first and last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from processor import keystore
from tests.fuzz.http_answers import sized
from tests.fuzz.nodes import CHAIN
from tests.fuzz.server import Answer, Dribble, Endless, Server, answer
from tests.integration.command_line import FAST, environment, koinon, write

PATIENCE = 60.0
HOURS = 3_000
"""Seconds that a request may take by the configuration: nothing but the stop ends it in a test's time."""

HOLDING = {
    signal.SIGTERM: answer(b"HTTP/1.1 200 OK\r\n", Dribble(b"X: y\r\n" * 100_000)),
    signal.SIGINT: answer(Endless(b"HTTP/1.1 100 Continue\r\n\r\n", 0.02)),
}


@pytest.mark.parametrize("number", HOLDING)
def test_a_daemon_whose_node_holds_it_stops_when_it_is_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    keystore.create(tmp_path / "wallets", "good weather", iterations=FAST)
    [wallet] = (tmp_path / "wallets").iterdir()
    (tmp_path / "data.npz").write_bytes(b"not looked at yet")
    answers, is_held = [answer(sized(CHAIN), stay=True)], threading.Event()

    def told(first: str) -> Answer:
        if answers:
            return answers.pop()
        is_held.set()
        return HOLDING[number]

    with Server(told).running() as node:
        config = write(
            tmp_path / "client.toml",
            {
                "network": {"rpc": f"http://127.0.0.1:{node.port}", "store": str(tmp_path / "store"), "timeout": HOURS},
                "client": {
                    "federation": "0x" + "11" * 20,
                    "wallet": str(wallet),
                    "state": str(tmp_path / "state"),
                    "data": str(tmp_path / "data.npz"),
                },
            },
        )
        with subprocess.Popen(
            koinon("client", "run", "--config", str(config)),
            env={**environment(), "KOINON_LOG": "json", "KOINON_PASSPHRASE": "good weather"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as daemon:
            try:
                while not is_held.wait(0.1):
                    assert daemon.poll() is None, daemon.communicate()
                os.kill(daemon.pid, number)
                _, words = daemon.communicate(timeout=PATIENCE)
            finally:
                daemon.kill()
    said = [json.loads(line) for line in words.splitlines()]
    assert daemon.returncode == 0
    assert [line["event"] for line in said] == ["starting", "stopping", "interrupted", "stopped"]
    assert said[-1]["reason"] == number.name
