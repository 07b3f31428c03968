"""The package `koinon`: found wherever a checkout lies and in a wheel, and as light as what is used of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import koinon
from processor.chain.federation import Federation
from processor.learning.trained import load_model

CHECKOUT = Path(__file__).parents[2]
LOOK = """
import json, sys
from koinon import Federation
import koinon, processor
heavy = {"torch", "sklearn", "scipy", "pyarrow"} & set(sys.modules)
print(json.dumps({"koinon": koinon.__file__, "processor": processor.__file__, "of": Federation.__module__,
                  "heavy": sorted(heavy), "names": dir(koinon)}))
"""


def look(folder: Path, path: Path | None = None) -> dict[str, Any]:
    """What a Python that is started in a folder finds, with another folder on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-c", LOOK]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["of"] == "processor.chain.federation" and found["heavy"] == []
    assert {"Federation", "load_model"} <= set(found["names"])
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel is made of, in a folder called koinon."""
    folder = tmp_path_factory.mktemp("projects") / "koinon"
    folder.mkdir()
    for name in ("koinon", "processor"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(CHECKOUT / name, folder / name)
    return folder


def test_it_is_found_inside_a_checkout_that_is_called_koinon(checkout: Path) -> None:
    assert look(checkout)["koinon"] == str(checkout / "koinon" / "__init__.py")


def test_the_checkout_next_to_which_python_starts_does_not_hide_what_is_installed(checkout: Path) -> None:
    assert look(checkout.parent)["koinon"] == str(CHECKOUT / "koinon" / "__init__.py")


def test_a_wheel_brings_it_with_its_types(checkout: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--no-index", "--wheel-dir", str(tmp_path), "."]
    built = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("koinon-*.whl")
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    found = look(tmp_path, unpacked)
    for package in ("koinon", "processor"):
        assert found[package] == str(unpacked / package / "__init__.py")
        assert (unpacked / package / "py.typed").is_file()
    assert {path.name for path in unpacked.iterdir() if path.suffix != ".dist-info"} == {"koinon", "processor"}


def test_the_documentation_uses_names_that_it_has() -> None:
    pages = "\n".join(page.read_text() for page in (CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md")))
    used = {
        name.strip()
        for names in re.findall(r"^from koinon import (.*)$", pages, re.MULTILINE)
        for name in names.split(",")
    }
    assert used == set(koinon.__all__) and "from processor" not in pages


def test_its_names_are_what_they_stand_for() -> None:
    assert koinon.Federation is Federation and koinon.load_model is load_model
    assert set(koinon.__all__) <= set(dir(koinon))


def test_a_name_that_it_does_not_have_is_answered_with_those_that_it_has() -> None:
    with pytest.raises(AttributeError, match="koinon has no 'Federations': expected one of Federation, load_model"):
        _ = koinon.Federations  # type: ignore[attr-defined]  # a type checker knows the names, and notices
    assert not hasattr(koinon, "__path_of_no_name__")
