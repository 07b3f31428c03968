"""Proves what tests/foundry/symbolic claims, for every input there can be (`make halmos`).

Each `check_` has to hold without a panic of any kind, overflow included. Each `refute_` is a claim that is false: that
halmos finds an input against it shows that the proofs are no accident of how its questions are answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.forge import ROOT, environment

COMPILED = "halmos"
FOLDER = "tests/foundry/symbolic"
COMMAND = (
    *(ROOT / ".home" / "halmos" / "bin" / "halmos", "--forge-build-out", f"build/{COMPILED}", "--no-status"),
    *("--function", "(check|refute)_", "--panic-error-codes", "*"),
    *("--solver-timeout-assertion", "180s", "--solver-threads", "2"),
)
# Products and quotients of 256 bits are decided over the integers; what only moves bits, by halmos's own solver.
INTEGERS = ("--solver-command", f"{ROOT / '.venv' / 'bin' / 'python'} -m tools.integers")
SOLVERS: Mapping[str, tuple[str, ...]] = {
    "RewardsSymbolic": INTEGERS,
    "SeatsSymbolic": (),
    "SelectionSymbolic": INTEGERS,
}
PROVED, REFUTED = 0, 1  # halmos's codes for the end of a test


def judge(report: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """For each claim of halmos's report (its JSON): whether it ended as it should, and a sentence."""
    for results in report["test_results"].values():
        for result in results:
            name, code = result["name"].partition("(")[0], result["exitcode"]
            expected = REFUTED if name.startswith("refute_") else PROVED
            ends = {PROVED: "proved", REFUTED: "refuted by an example"}
            yield code == expected, f"{name}: {ends.get(code, 'neither proved nor refuted')}"


def prove(contract: str, solver: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Runs halmos on one contract of claims; where one ended otherwise than it should, its own words go to stderr."""
    only_these = {"FOUNDRY_SRC": FOLDER, "FOUNDRY_TEST": FOLDER, "FOUNDRY_SCRIPT": FOLDER}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        done = subprocess.run(
            [*COMMAND, *solver, "--contract", contract, "--json-output", path],
            check=False,
            cwd=ROOT,
            env={**environment(folder=COMPILED), **only_these},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if not path.exists():
            raise SystemExit(done.stdout)
        verdicts = list(judge(json.loads(path.read_text())))
    if not verdicts:
        yield False, f"{contract}: no claim was found"
    yield from verdicts
    if not all(good for good, _ in verdicts):
        print(done.stdout, file=sys.stderr)


def main() -> int:
    failed = False
    for contract, solver in SOLVERS.items():
        for good, sentence in prove(contract, solver):
            print(sentence, flush=True)
            failed |= not good
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
