"""Measures how much of contracts/ Foundry's unit tests run, and asks for all of it (`make coverage`).

`forge coverage` compiles without optimizer and intermediate representation: only then does every instruction belong to
one place of the source. Mocks are not counted. The invariants do not count either: what a campaign happens to reach is
no test of it, and under coverage it takes minutes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from tools.forge import ROOT, environment

TRACE = ROOT / "build" / "coverage" / "lcov.info"
COMMAND = (
    *("forge", "coverage", "--report", "summary", "--report", "lcov", "--report-file", str(TRACE), "--exclude-tests"),
    *("--no-match-coverage", "node_modules|contracts/mocks", "--no-match-contract", "Gas"),
    *("--no-match-path", "tests/foundry/{invariants,symbolic}/*"),
)
TABLE = ("╭", "|", "+", "╰")


def missed(trace: str) -> Iterator[str]:
    """A sentence for each line and each branch of an lcov trace that nothing ran."""
    source = ""
    for record in trace.splitlines():
        kind, _, value = record.partition(":")
        fields = value.split(",")
        if kind == "SF":
            source = value
        elif kind == "DA" and fields[1] == "0":
            yield f"{source}:{fields[0]}: no test runs this line"
        elif kind == "BRDA" and fields[3] in ("0", "-"):
            yield f"{source}:{fields[0]}: no test takes branch {fields[2]} of decision {fields[1]}"


def counted(trace: str) -> set[str]:
    """The files that the trace tells of."""
    return {line.removeprefix("SF:") for line in trace.splitlines() if line.startswith("SF:")}


def with_code() -> set[str]:
    """The files of contracts/ that have code: an interface has none."""
    paths = [path.relative_to(ROOT) for path in (ROOT / "contracts").rglob("*.sol")]
    return {path.as_posix() for path in paths if not {"mocks", "interfaces"} & set(path.parts)}


def main() -> int:
    TRACE.parent.mkdir(parents=True, exist_ok=True)
    TRACE.unlink(missing_ok=True)
    done = subprocess.run(
        COMMAND, check=False, cwd=ROOT, env=environment(profile="test"), stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0 or not TRACE.exists():
        print(done.stdout)
        print("The tests have to pass before anything can be said of their coverage.", file=sys.stderr)
        return 1
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith(TABLE)))
    trace = TRACE.read_text()
    problems = [*missed(trace), *(f"{name}: not measured" for name in sorted(with_code() - counted(trace)))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
