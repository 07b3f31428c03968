"""What a daemon says first and last: a line before anything large is loaded, a word at once where it is to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import structlog
from structlog.testing import capture_logs

from processor.cli.app import _first_line
from processor.cli.daemon import stopped_by_signals

LOG = structlog.get_logger()
PATIENCE = 60.0
LARGE = {"web3", "eth_account", "numpy", "pydantic", "requests", "typer", "click", "torch"}
TELL_WHAT_IS_LOADED = """
import sys
import structlog
from processor.cli.app import main
def tell(log, words):
    print(words, file=sys.stderr)
    print(*sorted(set(sys.modules)))
    sys.exit(0)
structlog.PrintLogger.msg = structlog.PrintLogger.info = tell
main()
"""

LOSES_AN_INTERRUPT = """
import builtins, signal
from processor.cli.app import main
load = builtins.__import__
def interrupted(name, *more):
    if name == "processor.cli.tree":
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            pass
    return load(name, *more)
builtins.__import__ = interrupted
main()
"""


def koinon(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "processor.cli", *arguments]


@pytest.mark.parametrize("role", ["client", "organization", "relay"])
def test_the_first_line_is_written_before_anything_large_is_loaded(role: str) -> None:
    """So that it comes within a second, on whatever machine."""
    command = [sys.executable, "-c", TELL_WHAT_IS_LOADED, role, "run", "--config", "nowhere"]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE, env={**os.environ, "KOINON_LOG": "json"}
    )
    said = json.loads(told.stderr)
    assert (said["event"], said["command"]) == ("starting", f"koinon {role} run")
    assert not LARGE.intersection(told.stdout.split())


@pytest.mark.parametrize(
    "arguments", ["client run --help", "client run --config x --dry-run", "client init", "wallet --help", "run", ""]
)
def test_what_runs_no_daemon_says_no_such_line(arguments: str) -> None:
    with capture_logs() as logs:
        _first_line(arguments.split())
    assert logs == []


def test_ctrl_c_while_it_starts_is_answered_in_words() -> None:
    with subprocess.Popen(
        koinon("client", "run", "--config", "/dev/stdin"), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stderr is not None and "starting" in daemon.stderr.readline()
        daemon.send_signal(signal.SIGINT)
        words = daemon.stderr.read()
        assert daemon.wait(PATIENCE) != 0
    assert "Traceback" not in words and words.strip()


def test_ctrl_c_is_not_lost_in_a_module_that_catches_everything_while_it_loads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOSES_AN_INTERRUPT, "wallet", "list"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "koinon: interrupted while it was starting\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_asks_to_stop_gets_a_word_at_once_and_a_last_one(number: signal.Signals) -> None:
    with capture_logs() as logs, stopped_by_signals(LOG) as stopping:
        os.kill(os.getpid(), number)
        assert stopping.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while not logs and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [entry["event"] for entry in logs] == ["stopping"]
    assert [entry["event"] for entry in logs] == ["stopping", "stopped"]
    assert number.name in logs[0]["reason"] and logs[1]["reason"] == number.name


def test_a_second_ctrl_c_ends_it_as_ctrl_c_does() -> None:
    with pytest.raises(KeyboardInterrupt), stopped_by_signals(LOG) as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.wait(PATIENCE)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_daemon_that_ends_by_itself_says_nothing_of_signals_and_leaves_none_behind() -> None:
    handlers, threads = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)], threading.enumerate()
    with capture_logs() as logs, stopped_by_signals(LOG) as stopping:
        pass
    assert logs == [] and not stopping.is_set()
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert set(threading.enumerate()) <= set(threads)
