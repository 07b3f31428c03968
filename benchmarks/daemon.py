"""What a daemon holds, and how soon it reacts: `python benchmarks/daemon.py [--json FILE] [--quick]`, in four minutes.

A private chain with a block a second, a store in a folder, an organization and a client, both as processes with their
workers. Memory is what is resident (RSS) in the daemon and every process below it, summed: before its first round, and
after some once the worker has ended. Two peers are measured in the same run: the same daemon with the learning in its
own process, its imports, torch and the data; and Flower's SuperNode while it waits, where `benchmarks/aggregation.py`
has installed Flower. `--quick` leaves MNIST away, which is taken from ../shared/data/mnist where it is there.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from daemon_data import Subject, digits, mnist
from daemon_federation import KEEP, POLL, memory, reactions, world
from daemon_flower import supernode_mib

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
TARGET_MIB = 120.0
Measured = dict[str, float]


def run(subject: Subject, folder: Path, flower: float | None, react: bool) -> Measured:
    """All measurements with one data set, next to the MiB that Flower holds; how a daemon reacts only where asked."""
    with world(subject, folder) as there:
        found = memory(there) | peer(there.data)
        if react:
            found |= reactions(there)
    found |= {f"ratio_{when}_to_peer": found[f"{when}_mib"] / found["peer_mib"] for when in ("idle", "after_round")}
    if flower is not None:
        found |= {"flower_mib": flower, "ratio_idle_to_flower": found["idle_mib"] / flower}
    return found


def peer(data: Path) -> Measured:
    """A process that imports what a daemon and its learning import, then holds the data."""
    ran = subprocess.run(
        [sys.executable, HERE / "daemon_peer.py", data], check=False, stdout=subprocess.PIPE, text=True
    )
    if ran.returncode:
        raise SystemExit(f"daemon_peer.py failed with status {ran.returncode}: see above")
    said = json.loads(ran.stdout)
    return {"peer_imported_mib": said["imported_mib"], "peer_mib": said["resident_mib"]}


ROWS = [
    ("client, idle, MiB", "idle_mib", 0),
    ("organization, idle, MiB", "organization_idle_mib", 0),
    ("client, after rounds, MiB", "after_round_mib", 0),
    ("organization, after rounds, MiB", "organization_after_round_mib", 0),
    ("client, while its worker trains, shared pages counted twice, MiB", "training_mib", 0),
    ("with torch in the daemon's process, MiB", "peer_imported_mib", 0),
    ("the same with the data loaded, MiB", "peer_mib", 0),
    ("client, idle, of the latter", "ratio_idle_to_peer", 2),
    ("client, after rounds, of the latter", "ratio_after_round_to_peer", 2),
    ("Flower's SuperNode, idle, MiB", "flower_mib", 0),
    ("client, idle, of that", "ratio_idle_to_flower", 2),
    ("opened round to first step, no worker there, s", "first_step_cold_s", 2),
    ("opened round to first step, worker there, s", "first_step_warm_s", 2),
    ("reorganization to its line in the log, while training, s", "reorganization_s", 2),
    ("SIGTERM to the end with a checkpoint, while training, s", "sigterm_s", 2),
]


def table(found: dict[str, Measured]) -> str:
    """The measurements for people, a column for each data set."""
    lines = [f"| | {' | '.join(found)} |", "| --- |" + " --- |" * len(found)]
    for said, key, places in (row for row in ROWS if any(row[1] in of for of in found.values())):
        values = [f"{of[key]:,.{places}f}" if key in of else "" for of in found.values()]
        lines.append(f"| {said} | {' | '.join(values)} |")
    worst = max(of[key] for of in found.values() for key in of if key.endswith(("idle_mib", "after_round_mib")))
    lines.append(
        f"\nBetween rounds a daemon holds at most {worst:,.0f} MiB, where {TARGET_MIB:,.0f} are allowed. It looks at "
        f"the chain every {POLL:g} s; workers stay {KEEP:g} s."
    )
    return "\n".join(lines)


def as_json(found: dict[str, Measured]) -> dict[str, Any]:
    """The largest data set's measurements, and under its name those of each."""
    *_, last = found.values()
    together: dict[str, Any] = {}
    for of in (*found.values(), last):
        together |= of
    return together | found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", type=Path, help="where to write the measurements")
    arguments.add_argument("--quick", action="store_true", help="the digits alone")
    given = arguments.parse_args()
    subjects = [digits()]
    large = None if given.quick else mnist()
    if large is not None:
        subjects.append(large)
    elif not given.quick:
        print("MNIST is left away: no ../shared/data/mnist", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that nodes and daemons end
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="flower-", dir=BUILD) as folder:
        flower = supernode_mib(Path(folder))
    if flower is None:
        print("Flower is left away: benchmarks/aggregation.py installs it", file=sys.stderr)
    found = dict[str, Measured]()
    for subject in subjects:
        with tempfile.TemporaryDirectory(prefix="daemon-", dir=BUILD) as folder:
            found[subject.name] = run(subject, Path(folder), flower, react=subject is subjects[-1])
    print(table(found))
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
