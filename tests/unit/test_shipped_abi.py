"""One compiler, one set of settings, one bytecode: what is shipped, what brownie deploys and what forge tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tools.abi import CONTRACTS, ROOT, SHIPPED, compile_contracts


@pytest.fixture(scope="module")
def compiled() -> dict[str, str]:
    return compile_contracts()


def test_the_package_ships_what_the_contracts_compile_to(compiled: dict[str, str]) -> None:
    for name, content in compiled.items():
        assert (SHIPPED / name).read_text() == content, f"{name} is older than contracts/: run `make abi`"


def test_forge_compiles_the_same_bytecode(compiled: dict[str, str], tmp_path: Path) -> None:
    forge = shutil.which("forge", path=f"{ROOT / 'node_modules' / '.bin'}:{os.environ['PATH']}")
    if forge is None:
        pytest.skip("needs `forge`, which npm has for Linux on x86-64 only")
    subprocess.run(
        [forge, "build", "--skip", "test", "--out", tmp_path / "out", "--cache-path", tmp_path / "cache"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    for name in CONTRACTS:
        artifact = json.loads((tmp_path / "out" / f"{name}.sol" / f"{name}.json").read_text())
        assert artifact["bytecode"]["object"] == json.loads(compiled[f"{name}.json"])["bytecode"]


def test_brownie_compiles_with_the_settings_of_foundry_toml() -> None:
    brownie = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]
    forge = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    assert brownie["evm_version"] == forge["evm_version"]
    assert brownie["solc"]["optimizer"] == {"enabled": forge["optimizer"], "runs": forge["optimizer_runs"]}
    assert brownie["solc"].get("viaIR", False) == forge["via_ir"]
    assert [line.replace("=", "/=") + "/" for line in brownie["solc"]["remappings"]] == forge["remappings"]


def test_the_compiler_is_the_one_that_npm_pins() -> None:
    pinned = json.loads((ROOT / "package.json").read_text())["devDependencies"]["solc"]
    brownie = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]["solc"]["version"]
    answer = subprocess.run([ROOT / "tools" / "solc", "--version"], check=True, capture_output=True, text=True).stdout
    assert brownie == pinned
    assert f"Version: {pinned}+commit." in answer
