"""What rounds cost in gas, beside the best figures known of other federations on chain: `python benchmarks/gas.py`.

Ours are those of the gas snapshot (snapshots/, which `make gas` measures again and refuses to let grow). The others'
were measured for the design on contracts that are not part of this project: a commit with a reveal, or one submission
that grows with history; and settlements that write to every client. They cannot be run from here.
"""

from __future__ import annotations

import json
from pathlib import Path

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots"
PEERS = {"submission": (111_000, 119_000), 8: (759_000, 759_000), 16: (2_090_000, 2_090_000)}


def rows() -> list[tuple[str, str, str, str]]:
    """What is done, our gas, the best peer's, and how many times ours the best peer's is."""
    native, settlement = (json.loads((SNAPSHOTS / f"{name}.json").read_text()) for name in ("native", "settlement"))
    submission = int(native["submitUpdate"])
    further = int(native["claim, 2 rounds"]) - int(native["claim, 1 round"])
    low, high = PEERS["submission"]
    found = [
        ("a client's round: its submission", f"{submission:,}", f"{low:,} to {high:,}", f"{low / submission:.2f}"),
        ("beside it, its claim, alone", f"{int(native['claim, 1 round']):,}", "", ""),
        ("beside it, its claim, in a batch", f"{further:,}", "", ""),
    ]
    for clients in (8, 16, 1000):
        gas, (peer, _) = int(settlement[f"{clients} clients"]), PEERS.get(clients, (0, 0))
        ratio = f"{peer / gas:.1f}" if peer else ""
        found.append((f"a settlement of {clients:,} clients", f"{gas:,}", f"{peer:,}" if peer else "", ratio))
    for name in ("1000 clients, all adjusted", "1000 clients, all adjusted and slashed"):
        found.append((f"a settlement of {name.replace('1000', '1,000')}", f"{int(settlement[name]):,}", "", ""))
    return found


def main() -> None:
    print("| | gas | best of the others | times ours |\n| --- | --- | --- | --- |")
    for row in rows():
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
