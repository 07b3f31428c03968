"""Compiles the contracts into the ABI and bytecode that the package ships (`make abi`).

Settings are foundry.toml's, the compiler is the one that forge and brownie use, and the same sources give the same
bytes on every machine: tests/unit/test_shipped_abi.py fails when what is shipped no longer is what is written.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "processor" / "chain" / "abi"
WANTED = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
# The token is the demo's.
CONTRACTS = {
    "Federation": "contracts/Federation.sol",
    "FederationFactory": "contracts/FederationFactory.sol",
    "Token": "contracts/mocks/Token.sol",
}


def compiler_settings() -> dict[str, Any]:
    """What foundry.toml decides, in the compiler's words."""
    profile = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    return {
        "evmVersion": profile["evm_version"],
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "viaIR": profile["via_ir"],
        "metadata": {"bytecodeHash": profile["bytecode_hash"]},
        "remappings": profile["remappings"],
    }


def compile_contracts() -> dict[str, str]:
    """The files to ship, by name. Raises SystemExit with the compiler's errors."""
    request = {
        "language": "Solidity",
        "sources": {path: {"content": (ROOT / path).read_text()} for path in CONTRACTS.values()},
        "settings": {**compiler_settings(), "outputSelection": {"*": {"*": WANTED, "": ["ast"]}}},
    }
    answer = subprocess.run(
        [ROOT / "tools" / "solc", "--standard-json"],
        input=json.dumps(request),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    compiled = json.loads(answer.stdout)
    errors = [error["formattedMessage"] for error in compiled.get("errors", []) if error["severity"] == "error"]
    if errors:
        raise SystemExit("\n".join(errors))
    variables = {
        node["id"]: node["name"]
        for source in compiled["sources"].values()
        for node in _nodes(source["ast"])
        if node["nodeType"] == "VariableDeclaration"
    }
    files = {}
    for name, path in CONTRACTS.items():
        contract = compiled["contracts"][path][name]
        deployed = contract["evm"]["deployedBytecode"]
        shipped = {
            "contractName": name,
            "abi": contract["abi"],
            "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
            "deployedBytecode": "0x" + deployed["object"],
            # Where the constructor writes what it fixes: by variable, the first byte of every 32.
            "immutables": {
                variables[int(identity)]: [place["start"] for place in places]
                for identity, places in deployed["immutableReferences"].items()
            },
        }
        files[f"{name}.json"] = json.dumps(shipped, indent=1, sort_keys=True) + "\n"
    return files


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of a syntax tree."""
    if isinstance(tree, list):
        for item in tree:
            yield from _nodes(item)
    elif isinstance(tree, dict):
        if "nodeType" in tree:
            yield tree
        for item in tree.values():
            yield from _nodes(item)


def main() -> None:
    SHIPPED.mkdir(parents=True, exist_ok=True)
    for name, content in compile_contracts().items():
        (SHIPPED / name).write_text(content)
        size = len(json.loads(content)["bytecode"]) // 2 - 1
        print(f"{(SHIPPED / name).relative_to(ROOT)}: {size} bytes of code")


if __name__ == "__main__":
    main()
