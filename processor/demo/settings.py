"""The knobs of the demo, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processor.chain.asset import Asset
from processor.errors import ChainError, ConfigurationError
from processor.types import ZERO_ADDRESS, Admission

# The chain's own coin and the play money both have as many decimals.
DECIMALS = 18
UNIT = 10**DECIMALS

# What everybody starts with in coins; the wage of a second of compute, in coins or in play money.
BALANCE = 10 * UNIT
REWARD_RATE_CAP = UNIT // 500
CLAIM_THRESHOLD = UNIT // 200
MAX_GAS_PER_DAY = 10**9  # gas is free here
MOST_STAKE = 1000 * UNIT

# Basis points of a stake: the most that a round may slash, and what the plan does slash.
MAX_SLASH_RATE = 5_000
SLASH_RATE = 2_500

# Seconds. A round ends as soon as everybody is done: these are for when somebody is not.
TRAINING_PERIOD = 120
AGGREGATION_PERIOD = 120
MAX_COMPUTE_MS = 60_000
BLOCK_TIME = 1
POLL_INTERVAL = 0.2
WORKER_KEEP = 3600.0  # the whole run: nobody imports torch twice
VOUCHER_PERIOD = 24 * 3600
REQUESTS_PER_MINUTE = 600  # of all clients together: they share an address

# What the demo asks of itself: with every class in the federation, ten rounds reach this accuracy.
ACCURACY_TARGET = 0.85
CLIENTS_FOR_TARGET = 5
ROUNDS_FOR_TARGET = 10


@dataclass(frozen=True)
class DemoSettings:
    """What the command line asks for. Without `ipfs` and `store`, a private IPFS node where there is a program.

    With `token` rewards and stakes are in play money instead of coins. `stake` is in the smallest unit of either. With
    `relay` the clients hold no coins: a relay sends what they sign.
    """

    clients: int = 5
    rounds: int = 10
    seed: int = 0
    json: Path | None = None
    ipfs: str | None = None
    store: Path | None = None
    keep: Path | None = None
    token: bool = False
    stake: int = 0
    admission: Admission = Admission.OPEN
    relay: bool = False

    def __post_init__(self) -> None:
        if self.relay and self.stake:
            raise ConfigurationError("--relay with --stake: nobody stakes for another, so clients without coins cannot")

    @property
    def reward(self) -> int:
        """What is escrowed with each round: everybody's wage for the most time that may be claimed."""
        return self.clients * MAX_COMPUTE_MS * REWARD_RATE_CAP // 1000


def stake_of(text: str) -> int:
    """The stake that a person asks for, "0.5", in smallest units. Raises ConfigurationError for what is none."""
    try:
        stake = Asset(ZERO_ADDRESS, "the asset", DECIMALS).parse(text)
    except ChainError as error:
        raise ConfigurationError(f"--stake: {error}") from None
    if stake > MOST_STAKE:
        raise ConfigurationError(f"--stake {text}: expected at most {MOST_STAKE // UNIT}")
    return stake
