"""Plays answers at length: `python -m tests.fuzz [--answers N] [--seed N] [--resume]`.

All scripted answers, then so many random ones to each target. Every fault is told with the seed that makes it again;
with `--resume` a run goes on behind the seeds that passed, as long as nothing of processor/ or tests/fuzz/ has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import secrets
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from tests.fuzz import nodes
from tests.fuzz.frames import random_frames
from tests.fuzz.http_answers import answers
from tests.fuzz.play import Case, Play, faults, random_cases, scripted
from tests.fuzz.server import Answer
from tests.fuzz.storages import GATEWAY, NODE


@dataclass(frozen=True)
class Target:
    """All scripted cases, and those of so many seeds from one on."""

    scripted: Callable[[], Iterable[Case]]
    random: Callable[[int, int], Iterable[Case]]


def _http(plays: Sequence[tuple[Play, bytes]]) -> Target:
    """Whoever asks by HTTP."""
    return Target(
        lambda: [case for play, body in plays for case in scripted(play, answers(body))],
        lambda first, count: random_cases(plays, first, count),
    )


def _bytes(play: Play, told: Callable[[], dict[str, Answer]], chance: Callable[[int, bytes], Answer]) -> Target:
    """Whoever asks an Ethereum node in another way."""
    return Target(
        lambda: scripted(play, told()),
        lambda first, count: [
            Case(f"seed {seed}", play, chance(seed, nodes.CHAIN)) for seed in range(first, first + count)
        ],
    )


TARGETS = {
    "gateway": _http(GATEWAY),
    "node": _http(NODE),
    "chain by HTTP": _http(nodes.HTTP_NODE),
    "chain by WebSocket": _bytes(nodes.WEBSOCKET, nodes.messages, random_frames),
    "chain by IPC": _bytes(nodes.IPC, nodes.lines, nodes.random_line),
    "relay": _http(nodes.RELAY),
}

SECONDS = 0.5
AT_ONCE = 500
"""Answers after which it is noted what passed."""

ROOT = Path(__file__).resolve().parents[2]
PASSED = ROOT / "build" / "fuzz.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--answers", type=int, default=20_000, help="random answers for each target")
    parser.add_argument("--seed", type=int, default=None, help="the first seed; one by chance where none is given")
    parser.add_argument("--resume", action="store_true", help="go on where a run broke off")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    passed = _passed() if chosen.resume else {}
    first = passed.setdefault("seed", secrets.randbelow(10**9)) if chosen.seed is None else chosen.seed
    print(f"seed {first}", flush=True)
    failed = False
    for name, target in TARGETS.items():
        found = [] if name in passed else faults(target.scripted(), SECONDS)
        done = passed.get(name, 0)
        while done < chosen.answers and not found:
            count = min(AT_ONCE, chosen.answers - done)
            found = faults(target.random(first + done, count), SECONDS)
            done += 0 if found else count
            if chosen.resume and not found:
                _remember({**passed, name: done})
                passed[name] = done
        failed = failed or bool(found)
        print("\n".join([f"{name}: {done} random answers did no harm", *found]), flush=True)
    print("FAILED" if failed else "No answer does harm.")
    return 1 if failed else 0


def _passed() -> dict[str, int]:
    """What passed for this very code."""
    if not PASSED.exists():
        return {}
    remembered = json.loads(PASSED.read_text())
    return dict(remembered["passed"]) if remembered["of"] == _fingerprint() else {}


def _remember(passed: dict[str, int]) -> None:
    PASSED.parent.mkdir(exist_ok=True)
    PASSED.write_text(json.dumps({"of": _fingerprint(), "passed": passed}))


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for folder in ("processor", "tests/fuzz"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
