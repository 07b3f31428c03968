"""Every command explains itself, and its example is one that it takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from processor.cli.tree import app

ROOT: Any = typer.main.get_command(app)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every group and command with the words that lead to it."""
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, (*path, name))


TREE = dict(commands(ROOT))


@pytest.mark.parametrize("path", TREE, ids=lambda path: " ".join(("koinon", *path)))
def test_help_says_what_a_command_does_and_shows_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example: koinon" in result.output
    assert TREE[path].help


@pytest.mark.parametrize("path", TREE, ids=lambda path: " ".join(("koinon", *path)))
def test_the_example_is_a_command_with_options_that_it_has(path: tuple[str, ...]) -> None:
    program, *words = shlex.split(TREE[path].epilog.removeprefix("Example: "))
    named = max((known for known in TREE if tuple(words[: len(known)]) == known), key=len)
    assert program == "koinon"
    assert named[: len(path)] == path
    options = {option for parameter in TREE[named].params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options


@pytest.mark.parametrize("path", TREE, ids=lambda path: " ".join(("koinon", *path)))
def test_every_option_is_explained_in_the_words_that_were_written(path: tuple[str, ...]) -> None:
    for parameter in TREE[path].params:
        assert parameter.help
        assert "[" not in parameter.help  # which the page would take for markup, and leave out


@pytest.mark.parametrize("words", [["stauts"], ["status"], ["demo", "--clients", "1"], ["model", "get", "0x12"]])
def test_a_command_line_that_cannot_be_read_is_status_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2
