"""`koinon` as the tests run it: the real program as a process, without a terminal or with one."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tomli_w

from processor.demo.processes import environment, koinon
from tests import warm
from tests.warm import Done

PASSPHRASE = "correct horse battery staple"
FAST = 2  # rounds of scrypt, for wallets that hold nothing


def run(*arguments: str | Path, folder: Path, said: str = "", **variables: str) -> Done:
    """What `koinon` answers, asked without a terminal."""
    return warm.run([str(argument) for argument in arguments], folder, {**environment(), **variables}, said)


def succeeds(*arguments: str | Path, folder: Path, said: str = "", **variables: str) -> str:
    """What it prints, where it must succeed."""
    result = run(*arguments, folder=folder, said=said, **variables)
    assert result.returncode == 0, result.stderr
    return result.stdout


def fails(*arguments: str | Path, folder: Path, said: str = "", **variables: str) -> str:
    """What it complains about, where the user can mend it: status 1, a message, no result, and no traceback."""
    result = run(*arguments, folder=folder, said=said, **variables)
    assert result.returncode == 1, result
    assert result.stdout.strip() == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def together(*commands: Sequence[str | Path], folder: Path) -> list[Done]:
    """What several commands answer, run side by side."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda command: run(*command, folder=folder), commands))


def all_fail(*commands: Sequence[str | Path], folder: Path, **variables: str) -> list[str]:
    """What each of several commands complains about, run side by side."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda command: fails(*command, folder=folder, **variables), commands))


def at_a_terminal(*arguments: str | Path, answers: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """The status of `koinon`, and all that a terminal showed to somebody who types `answers` when asked."""
    return typed(koinon(*map(str, arguments)), answers, folder, environment())


def typed(
    command: Sequence[str], answers: Mapping[str, str], folder: Path, variables: Mapping[str, str]
) -> tuple[int, str]:
    """The same for any command, in this environment."""
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, env=variables, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        shown, waiting = "", list(answers.items())
        while True:
            try:
                shown += os.read(keyboard, 4096).decode(errors="replace")
            except OSError:  # how a terminal says that nobody is left on the other side
                break
            if waiting and waiting[0][0] in shown:
                os.write(keyboard, waiting.pop(0)[1].encode() + b"\n")
    os.close(keyboard)
    return process.returncode, shown


def write(path: Path, settings: dict[str, Any]) -> Path:
    path.write_text(tomli_w.dumps(settings))
    return path
