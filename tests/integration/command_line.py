"""`koinon` as the tests run it: the real program as a process, without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tomli_w

from processor.demo.processes import environment
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


def write(path: Path, settings: dict[str, Any]) -> Path:
    path.write_text(tomli_w.dumps(settings))
    return path
