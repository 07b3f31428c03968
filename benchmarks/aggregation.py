"""What combining a round's updates costs, next to Flower: `python benchmarks/aggregation.py [--json FILE] [--quick]`.

Both start from the same 20 files of one float32 tensor of 25 million elements in the page cache, and end with the
model's bytes. Ours are on disk then, with their CID; Flower's are in memory. Runs alternate, each in a fresh process,
and medians are compared. Memory is the peak above what the process has after its imports. Flower is installed into an
environment of its own under build/peers; everything else that is written is deleted at the end (up to 8 GB).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from aggregation_files import Files, make, seal

from processor.tensors import TensorFile

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
FLOWER = "flwr==1.42.0"
CLIENTS, MANY = 20, 1_000
CLOSE = 1e-5
"""How far the two models may lie apart: Flower adds in float32."""

Measured = dict[str, float]


@dataclass(frozen=True)
class Size:
    """Elements of the tensor, those of it where 1,000 clients each have a sealed file of their own, and runs."""

    elements: int
    elements_of_many: int
    runs: int


FULL = Size(25_000_000, 250_000, runs=5)
QUICK = Size(1_000_000, 10_000, runs=3)


def flower() -> Path:
    """The Python of an environment with Flower and our numpy, made where it is missing."""
    folder = BUILD / "peers" / "flower"
    python = folder / "bin" / "python"
    wanted = [FLOWER, f"numpy=={np.__version__}"]
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text().split() != wanted:
        print(f"installing {' and '.join(wanted)} into {folder}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        installed = subprocess.run([*pip, *wanted], check=False, capture_output=True, text=True)
        if installed.returncode:
            last = installed.stderr.strip().splitlines()[-1:]
            raise SystemExit(f"pip could not install {' and '.join(wanted)} ({last}): is a package index within reach?")
        stamp.write_text("\n".join(wanted))
    return python


def measured(python: Path | str, script: str, *arguments: object) -> Measured:
    """What one run in a process of its own prints."""
    command = [str(python), str(HERE / script), *map(str, arguments)]
    ran = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        raise SystemExit(f"{script} failed with status {ran.returncode}: see above")
    found: Measured = json.loads(ran.stdout)
    return found


def ours(what: str, files: Files, *arguments: object) -> Measured:
    script = "aggregation_ours.py"
    return measured(sys.executable, script, what, files.folder, files.clients, files.elements, *arguments)


def paired(files: Files, runs: int) -> tuple[list[Measured], list[Measured]]:
    """Our runs and Flower's, in turn."""
    python, out = flower(), files.folder / "flower.npy"
    our_runs, flower_runs = [], []
    for _ in range(runs):
        _into_page_cache([files.base, *files.updates])
        our_runs.append(ours("combine", files))
        _into_page_cache(files.updates)
        flower_runs.append(measured(python, "aggregation_flower.py", out, files.elements, *files.updates))
    _check_close(files, out)
    return our_runs, flower_runs


def _into_page_cache(paths: Iterable[Path]) -> None:
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def _check_close(files: Files, flower_model: Path) -> None:
    """Both made the same model: Flower averaged the differences, which we add to the base."""
    with TensorFile(files.base) as base, TensorFile(files.folder / "model") as model:
        (name,) = base.names
        apart = np.abs(model.read(name) - base.read(name) - np.load(flower_model)).max()
    if not apart < CLOSE:
        raise SystemExit(f"the two models lie {apart} apart: expected less than {CLOSE}")


def run(size: Size, folder: Path) -> dict[str, Any]:
    """All measurements, as the JSON file has them: seconds, and MiB above the base."""
    files = Files(folder / "few", CLIENTS, size.elements)
    make(files)
    our_runs, flower_runs = paired(files, size.runs)
    as_if_many = ours("combine", files, "--as-if", MANY)
    seal(files)
    few = ours("settle", files)
    many_files = Files(folder / "many", MANY, size.elements_of_many)
    make(many_files)
    seal(many_files)
    many = ours("settle", many_files)
    combine_s, flower_s = _median(our_runs, "seconds"), _median(flower_runs, "seconds")
    facts_s, in_memory_s = _median(our_runs, "facts_s"), _median(flower_runs, "in_memory_s")
    return {
        "clients": CLIENTS,
        "elements": size.elements,
        "runs": size.runs,
        "combine_s": combine_s,
        "facts_s": facts_s,
        "flower_s": flower_s,
        "flower_in_memory_s": in_memory_s,
        "ratio_to_flower": combine_s / flower_s,
        "ratio_to_flower_with_facts": (combine_s + facts_s) / flower_s,
        "ratio_to_flower_in_memory": combine_s / in_memory_s,
        "combine_extra_mib": max(run["extra_mib"] for run in our_runs),
        "flower_extra_mib": max(run["extra_mib"] for run in flower_runs),
        "settle_s": few["seconds"],
        "settle_extra_mib": few["extra_mib"],
        "combine_1000_s": as_if_many["seconds"],
        "combine_1000_extra_mib": as_if_many["extra_mib"],
        "elements_settle_1000": size.elements_of_many,
        "settle_1000_s": many["seconds"],
        "settle_1000_extra_mib": many["extra_mib"],
        "extra_mib": max(run["extra_mib"] for run in (*our_runs, as_if_many, few, many)),
    }


def _median(runs: list[Measured], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def table(found: dict[str, Any]) -> str:
    """The measurements for people."""
    few, many = f"{CLIENTS} × {found['elements']:,}", f"{MANY:,} × {found['elements']:,}"
    small = f"{MANY:,} × {found['elements_settle_1000']:,}"
    rows = [
        ("combine, to disk and CID", few, "combine_s", "combine_extra_mib"),
        ("facts about the updates, one after the other", few, "facts_s", None),
        ("Flower, to bytes in memory", few, "flower_s", "flower_extra_mib"),
        ("Flower, its replies in memory already", few, "flower_in_memory_s", None),
        ("a whole settlement", few, "settle_s", "settle_extra_mib"),
        ("combine", many, "combine_1000_s", "combine_1000_extra_mib"),
        ("a whole settlement", small, "settle_1000_s", "settle_1000_extra_mib"),
    ]
    lines = ["| | clients × elements | seconds | MiB above the base |", "| --- | --- | --- | --- |"]
    for said, of, seconds, mib in rows:
        lines.append(f"| {said} | {of} | {found[seconds]:.2f} | {'' if mib is None else f'{found[mib]:,.0f}'} |")
    lines.append(
        f"\nCombining takes {found['ratio_to_flower']:.2f} of Flower's time, with the facts "
        f"{found['ratio_to_flower_with_facts']:.2f}; at most {found['extra_mib']:,.0f} MiB above the base."
    )
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", type=Path, help="where to write the measurements")
    arguments.add_argument("--quick", action="store_true", help="one million elements, three runs")
    given = arguments.parse_args()
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aggregation-", dir=BUILD) as folder:
        found = run(QUICK if given.quick else FULL, Path(folder))
    print(table(found))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
