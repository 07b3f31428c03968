"""Proves what tests/foundry/symbolic claims, for every input there can be (`make halmos`).

Each `check_` has to hold without a panic of any kind, overflow included. Each `refute_` is a claim that is false: that
halmos finds an input against it shows that the proofs are no accident of how its questions are answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.forge import ROOT, environment

COMPILED = "halmos"
FOLDER = "tests/foundry/symbolic"
SOLVER = f"{ROOT / '.venv' / 'bin' / 'python'} -m tools.integers"
COMMAND = (
    *(ROOT / ".home" / "halmos" / "bin" / "halmos", "--forge-build-out", f"build/{COMPILED}", "--no-status"),
    *("--function", "(check|refute)_", "--panic-error-codes", "*"),
    *("--solver-command", SOLVER, "--solver-timeout-assertion", "180s", "--solver-threads", "2"),
)
PROVED, REFUTED = 0, 1  # halmos's codes for the end of a test


def judge(report: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """For each claim of halmos's report (its JSON): whether it ended as it should, and a sentence."""
    for results in report["test_results"].values():
        for result in results:
            name, code = result["name"].partition("(")[0], result["exitcode"]
            expected = REFUTED if name.startswith("refute_") else PROVED
            ends = {PROVED: "proved", REFUTED: "refuted by an example"}
            yield code == expected, f"{name}: {ends.get(code, 'neither proved nor refuted')}"


def main() -> int:
    only_these = {"FOUNDRY_SRC": FOLDER, "FOUNDRY_TEST": FOLDER, "FOUNDRY_SCRIPT": FOLDER}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        done = subprocess.run(
            [*COMMAND, "--json-output", path],
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
    for _, sentence in verdicts:
        print(sentence)
    if verdicts and all(good for good, _ in verdicts):
        return 0
    print(done.stdout, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
