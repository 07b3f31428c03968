"""The readme and the page on installing say what is so, in an order that works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.unit.cli.command_lines import parse

CHECKOUT = Path(__file__).parents[2]
README, INSTALL, OPERATIONS = (
    (CHECKOUT / name).read_text("utf-8") for name in ("README.md", "docs/install.md", "docs/operations.md")
)


def lines_of(page: str) -> list[str]:
    """The lines of the blocks that are command lines."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [line for language, block in blocks if not language for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in lines_of(README + INSTALL) if line.startswith("koinon ")])
def test_a_command_of_the_pages_is_one_that_the_program_takes(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words != ["--version"]:
        parse(words)


@pytest.mark.parametrize("page", [README, OPERATIONS], ids=["readme", "operations"])
def test_a_client_reads_the_plan_before_it_registers_and_registers_before_it_runs(page: str) -> None:
    lines = [line for line in lines_of(page) if line.startswith("koinon client ") and "--dry-run" not in line]
    order = [
        next(place for place, line in enumerate(lines) if f"client {name} " in line)
        for name in ("join", "register", "run")
    ]
    assert order == sorted(order)
    assert "FEDERATION" not in lines[order[0]], "the configuration names it"


def test_installing_says_how_to_get_the_build_of_torch_without_cuda() -> None:
    [line] = [line for line in lines_of(INSTALL) if "torch" in line]
    words = shlex.split(line, comments=True)
    wanted, index = Requirement(words[2]), words[words.index("--index-url") + 1]
    assert words[:2] == ["pip", "install"]
    [project] = re.findall(r'^    "(torch[^"]*)",$', (CHECKOUT / "pyproject.toml").read_text(), re.MULTILINE)
    assert wanted == Requirement(project)
    for other in ("tools/setup", "examples/Dockerfile"):
        assert index in (CHECKOUT / other).read_text()
    assert lines_of(INSTALL).index(line) < lines_of(INSTALL).index("pip install .")
    assert "docs/install.md" in README


@pytest.mark.parametrize(("page", "folder"), [(README, "."), (INSTALL, "docs")], ids=["readme", "install"])
def test_the_pages_link_to_files_that_are_there(page: str, folder: str) -> None:
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)[^)]*\)", page):
        assert (CHECKOUT / folder / target).exists(), target
