"""A command's file is new and whole, or there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from processor.cli.new_file import new_file
from processor.cli.tree import app
from processor.config import client_template, organization_template
from processor.errors import ConfigurationError, KoinonError
from processor.learning.tasks import get_task
from processor.worker.jobs.reading import own_data


def test_a_file_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("precious")
    with pytest.raises(ConfigurationError, match="exists already"), new_file(out):
        raise AssertionError("the work began")
    assert out.read_text() == "precious"


@pytest.mark.parametrize("out", ["none/out", "file/out"])
def test_a_file_that_cannot_be_written_is_said_before_the_work(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written .*--out"), new_file(tmp_path / out):
        raise AssertionError("the work began")


@pytest.mark.parametrize("trouble", [KoinonError("damaged"), KeyboardInterrupt(), OSError(28, "No space left")])
def test_work_that_fails_leaves_no_file(tmp_path: Path, trouble: BaseException) -> None:
    with pytest.raises((KoinonError, KeyboardInterrupt)), new_file(tmp_path / "out") as out:
        out.write_text("half")
        raise trouble
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("role", "template"), [("client", client_template()), ("organization", organization_template())]
)
def test_init_writes_the_commented_configuration(role: str, template: str, tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    result = CliRunner().invoke(app, [role, "init", "--out", str(out)])
    assert result.exit_code == 0 and f"--config {out}" in result.output
    assert out.read_text() == template


def test_data_is_one_partys_share_of_the_digits(tmp_path: Path) -> None:
    out = tmp_path / "digits.npz"
    result = CliRunner().invoke(app, ["data", "digits", "--client", "1", "--out", str(out), "--json"])
    found = json.loads(result.output)
    assert found["file"] == str(out) and len(found["classes"]) == 2
    assert len(own_data(get_task("digits", {}), out)) == found["samples"]
