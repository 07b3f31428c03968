"""`make prove`: deep searches for broken promises, proofs for every input, and faults that nobody would notice.

A part that has passed is not done again until contracts or tests change; `--quick` is a short form of all of them, and
remembers nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.forge import ROOT, environment
from tools.mutation.trees import fingerprint

DONE = ROOT / "build" / "prove.json"
NO_GAS = ("--no-match-path", "tests/foundry/{Gas.t.sol,symbolic/*,invariants/*}")
INVARIANTS = ("--match-path", "tests/foundry/invariants/*")
STORIES = ("tools/brownie", "test", "tests/contracts/test_state_machine.py")
PYTHON = str(ROOT / ".venv" / "bin" / "python")


@dataclass(frozen=True)
class Part:
    """A command, with what it needs in its environment. One that `remembers` by itself what passed is always run: it is
    not about contracts."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    remembers: bool = False


def parts(quick: bool, seed: str) -> list[Part]:
    """What is done, in this order; forge searches from `seed`."""
    forge = {"FOUNDRY_FUZZ_SEED": seed, **environment(profile="test" if quick else "prove")}
    strangers = ("--answers", "100") if quick else ("--resume",)
    found = [
        Part("random inputs", ("forge", "test", *NO_GAS), forge),
        Part("random orders of events", ("forge", "test", *INVARIANTS), forge),
        Part("answers of strangers", (PYTHON, "-m", "tests.fuzz", *strangers), remembers=True),
    ]
    if not quick:
        found.append(Part("random stories on a chain", STORIES, {**os.environ, "KOINON_DEEP": "1"}))
        found.append(Part("arithmetic and seats", (PYTHON, "-m", "tools.halmos")))
        found.append(Part("faults of meaning", (PYTHON, "-m", "tools.mutation", "--semantic", "--resume")))
    faults = ("--quick",) if quick else ("--resume",)
    return [*found, Part("faults", (PYTHON, "-m", "tools.mutation", *faults))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short form, in about two minutes")
    quick = parser.parse_args().quick
    seed = "0x" + secrets.token_hex(8)
    print(f"seed {seed}")
    subject = fingerprint()
    done = set() if quick else _done(subject)
    failed = []
    for part in parts(quick, seed):
        if part.name in done:
            print(f"{part.name}: passed before")
            continue
        print(f"{part.name}: {' '.join(part.command)}", flush=True)
        if subprocess.run(part.command, cwd=ROOT, env={**os.environ, **part.variables}, check=False).returncode:
            failed.append(part.name)
            continue
        if part.remembers:
            continue
        done.add(part.name)
        if not quick:
            DONE.parent.mkdir(exist_ok=True)
            DONE.write_text(json.dumps({"of": subject, "passed": sorted(done)}))
    print(f"FAILED: {', '.join(failed)}" if failed else "All of it holds.")
    return 1 if failed else 0


def _done(subject: str) -> set[str]:
    """What passed for these very contracts and tests."""
    if not DONE.exists():
        return set()
    remembered = json.loads(DONE.read_text())
    return set(remembered["passed"]) if remembered["of"] == subject else set()


if __name__ == "__main__":
    sys.exit(main())
