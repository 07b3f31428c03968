"""Command lines against the program, without running what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from processor.cli.tree import app

ROOT: Any = typer.main.get_command(app)


def parse(words: Sequence[str]) -> dict[str, Any]:
    """The values of the options and arguments; raises an error of usage for what `koinon` would not take."""
    command, path, rest = ROOT, ["koinon"], list(words)
    while hasattr(command, "commands"):
        path.append(rest.pop(0))
        command = command.commands[path[-1]]
    values: dict[str, Any] = command.make_context(" ".join(path), rest).params
    return values
