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
        [forge, "build", "contracts", "--out", tmp_path / "out", "--cache-path", tmp_path / "cache"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    for name in CONTRACTS:
        artifact = json.loads((tmp_path / "out" / f"{name}.sol" / f"{name}.json").read_text())
        shipped = json.loads(compiled[f"{name}.json"])
        assert artifact["bytecode"]["object"] == shipped["bytecode"]
        assert artifact["deployedBytecode"]["object"] == shipped["deployedBytecode"]
        places = artifact["deployedBytecode"].get("immutableReferences", {}).values()
        assert sorted([place["start"] for place in found] for found in places) == sorted(shipped["immutables"].values())
        assert all(place["length"] == 32 for found in places for place in found)


def test_what_the_constructor_fixes_is_shipped_by_name_with_its_places(compiled: dict[str, str]) -> None:
    for name, fixed in {"Federation": {"FACTORY", "SELF"}, "FederationFactory": {"IMPLEMENTATION"}}.items():
        shipped = json.loads(compiled[f"{name}.json"])
        code = bytes.fromhex(shipped["deployedBytecode"].removeprefix("0x"))
        assert set(shipped["immutables"]) == fixed
        for starts in shipped["immutables"].values():
            assert starts and all(code[start : start + 32] == bytes(32) for start in starts)


def test_what_is_shipped_fits_onto_a_chain(compiled: dict[str, str]) -> None:
    """The limits of EIP-170 and EIP-3860."""
    for content in compiled.values():
        shipped = json.loads(content)
        assert len(shipped["deployedBytecode"]) // 2 - 1 <= 24_576
        assert len(shipped["bytecode"]) // 2 - 1 <= 49_152


def test_brownie_compiles_with_the_settings_of_foundry_toml() -> None:
    brownie = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]
    forge = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    assert brownie["evm_version"] == forge["evm_version"]
    assert brownie["solc"]["optimizer"] == {"enabled": forge["optimizer"], "runs": forge["optimizer_runs"]}
    assert brownie["solc"].get("viaIR", False) == forge["via_ir"]
    of_contracts = [line for line in forge["remappings"] if not line.startswith("tests:")]
    assert [line.replace("=", "/=") + "/" for line in brownie["solc"]["remappings"]] == of_contracts


def test_the_compiler_is_the_one_that_npm_pins() -> None:
    pinned = json.loads((ROOT / "package.json").read_text())["devDependencies"]["solc"]
    brownie = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]["solc"]["version"]
    answer = subprocess.run([ROOT / "tools" / "solc", "--version"], check=True, capture_output=True, text=True).stdout
    assert brownie == pinned
    assert f"Version: {pinned}+commit." in answer
