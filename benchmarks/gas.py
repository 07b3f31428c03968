"""What rounds cost in gas, today and after the next fork: `python benchmarks/gas.py` prints the tables.

Ours are those of the gas snapshot (snapshots/, which `make gas` measures again and refuses to let grow). The others'
were measured for the design on contracts that are not part of this project: a commit with a reveal, or one submission
that grows with history; and settlements that write to every client. They cannot be run from here, and nobody has priced
them after the fork.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots"
PRICES = ("today", "after the fork")
NATIVE = {
    "createFederation": "create a federation",
    "register": "register",
    "registerSigned": "register, signed and relayed",
    "submitUpdate, first of the client": "submit, the client's first",
    "submitUpdate": "submit, every later one",
    "submitUpdate, books a slash": "submit, and book a slash",
    "submitUpdates, each of 50, first of the client": "submit in a batch of 50, each, the client's first",
    "submitUpdates, each of 50": "submit in a batch of 50, each, every later one",
    "decline": "decline",
    "openRound": "open a round",
    "openRound, after an abandoned one": "open a round after an abandoned one",
    "finalizeRound": "finalize, with any number of clients",
    "claim, ten rounds": "claim, one round or ten",
    "leave": "leave, with stake and rewards",
    "retire": "retire somebody",
    "post": "post",
}
SETTLEMENT = {
    "adjustment that slashes": "each adjustment, whether it slashes or not",
    "1000 clients, all adjusted and slashed": "finalize 1,000 clients, all adjusted and slashed",
}
# What the best of the others take today, from and to.
PEERS = {
    "submitUpdate": (111_000, 119_000),
    "8 clients": (759_000, 759_000),
    "16 clients": (2_090_000, 2_090_000),
}


def rows() -> Iterator[tuple[str, str, str]]:
    """What is done, and its gas by both price tables."""
    for group, named in (("native", NATIVE), ("settlement", SETTLEMENT)):
        figures = _figures(group)
        for name, said in named.items():
            today, after = (f"{figures[name, price]:,}" for price in PRICES)
            yield said, today, after


def comparisons() -> Iterator[tuple[str, str, str, str]]:
    """What is done, our gas today, the best of the others', and how many times ours that is."""
    figures = _figures("native") | _figures("settlement")
    for name, (low, high) in PEERS.items():
        gas = figures[name, "today"]
        said = "a client's submission" if name == "submitUpdate" else f"a settlement of {name}"
        best = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        yield said, f"{gas:,}", best, f"{low / gas:.1f}"


def _figures(group: str) -> dict[tuple[str, str], int]:
    """Gas by transaction and price table."""
    kept = json.loads((SNAPSHOTS / f"{group}.json").read_text())
    return {tuple(name.rsplit(": ", 1)): int(gas) for name, gas in kept.items()}


def main() -> None:
    print("| | today | after the fork |\n| --- | --- | --- |")
    for row in rows():
        print("| " + " | ".join(row) + " |")
    print("\n| | gas today | best of the others | times ours |\n| --- | --- | --- | --- |")
    for comparison in comparisons():
        print("| " + " | ".join(comparison) + " |")


if __name__ == "__main__":
    main()
