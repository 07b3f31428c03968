"""The knobs of the demo, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ETHER = 10**18

# What everybody starts with, and what a round costs.
BALANCE = 10 * ETHER
REWARD = ETHER // 100
REWARD_RATE_CAP = ETHER // 500  # a second of compute
CLAIM_THRESHOLD = ETHER // 1000

# Seconds. A round ends as soon as everybody is done: these are for when somebody is not.
TRAINING_PERIOD = 120
AGGREGATION_PERIOD = 120
MAX_COMPUTE_MS = 60_000
BLOCK_TIME = 1
POLL_INTERVAL = 0.2

# What the demo asks of itself: with every class in the federation, ten rounds reach this accuracy.
ACCURACY_TARGET = 0.85
CLIENTS_FOR_TARGET = 5
ROUNDS_FOR_TARGET = 10


@dataclass(frozen=True)
class DemoSettings:
    """What the command line asks for. Without `ipfs` and `store`, a private IPFS node where there is a program."""

    clients: int = 5
    rounds: int = 10
    seed: int = 0
    json: Path | None = None
    ipfs: str | None = None
    store: Path | None = None
    keep: Path | None = None
