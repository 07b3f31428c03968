"""Measures what transactions cost and compares it with snapshots/ (`make gas`; `make gas-update` accepts the figures).

Each under two price tables, which tests/foundry/gas/Prices.sol holds with their sources: today's, and that of the next
fork, in which a new slot costs five times as much. More gas fails, and so does less: a snapshot that is not lowered at
once would let the same amount grow back unseen. The ceilings themselves are in tests/foundry/Gas.t.sol.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.forge import ROOT, environment

KEPT = ROOT / "snapshots"
MEASURED = ROOT / "build" / "snapshots"
COMMAND = ("forge", "test", "--match-path", "tests/foundry/Gas.t.sol")
TODAY, AFTER = ": today", ": after the fork"


def read_figures(folder: Path) -> dict[str, int]:
    """Gas by what was measured, as forge wrote it."""
    return {
        f"{path.stem}: {name}": int(gas)
        for path in sorted(folder.glob("*.json"))
        for name, gas in json.loads(path.read_text()).items()
    }


def table(figures: Mapping[str, int]) -> Iterator[str]:
    """A line for each transaction, with its gas today and after the fork."""
    yield f"{'':<60}{'today':>12}{'after':>12}"
    for name, gas in figures.items():
        if name.endswith(TODAY):
            transaction = name.removesuffix(TODAY)
            yield f"{transaction:<60}{gas:>12,}{figures[transaction + AFTER]:>12,}"


def differences(kept: Mapping[str, int], measured: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each figure that is not what it was."""
    for name in sorted(kept.keys() | measured.keys()):
        before, after = kept.get(name), measured.get(name)
        if before is None:
            yield f"{name}: {after:,} gas, of which snapshots/ knows nothing"
        elif after is None:
            yield f"{name}: not measured, was {before:,} gas"
        elif after != before:
            yield f"{name}: {after:,} gas, {abs(after - before):,} {'more' if after > before else 'less'} than before"


def measure() -> None:
    """Fills MEASURED. Raises SystemExit with what forge printed where a ceiling is broken."""
    shutil.rmtree(MEASURED, ignore_errors=True)
    added = {"FORGE_SNAPSHOT_EMIT": "true", "FOUNDRY_SNAPSHOTS": str(MEASURED.relative_to(ROOT))}
    done = subprocess.run(
        COMMAND,
        check=False,
        cwd=ROOT,
        env={**environment(), **added},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout)


def main() -> int:
    measure()
    if "--update" in sys.argv[1:]:
        shutil.rmtree(KEPT, ignore_errors=True)
        shutil.copytree(MEASURED, KEPT)
    figures = read_figures(MEASURED)
    print("\n".join(table(figures)))
    changed = list(differences(read_figures(KEPT), figures))
    for sentence in changed:
        print(sentence, file=sys.stderr)
    if changed:
        print("Where this is meant, `make gas-update` accepts it.", file=sys.stderr)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
