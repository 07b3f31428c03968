"""What a daemon holds that learns in its own process: `python benchmarks/daemon_peer.py DATA.npz`, RSS in MiB as JSON.

It imports what a client's daemon and a round's training import, and holds the data set and one step's gradients.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from resident_memory import resident_mib

import processor.learning.local  # noqa: F401
from processor.data.npz import read_npz
from processor.learning.ewc import import_ahead


def main() -> None:
    import_ahead()
    imported = resident_mib(os.getpid())
    data = read_npz(Path(sys.argv[1]))
    module = torch.nn.Sequential(
        torch.nn.Linear(data.features.shape[1], 400), torch.nn.ReLU(), torch.nn.Linear(400, 10)
    )
    outputs = module(torch.from_numpy(data.features[:64]))
    torch.nn.functional.cross_entropy(outputs, torch.from_numpy(data.labels[:64])).backward()
    print(json.dumps({"imported_mib": imported, "resident_mib": resident_mib(os.getpid())}))


if __name__ == "__main__":
    main()
