"""A relay's settings, from [network] and [relay]: read, and judged, as `processor.config` does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from processor import config
from processor.config import AMOUNT, ENDPOINT, DaemonSettings, NetworkSettings

TABLE = "relay"
MOST_IN_A_BATCH = 100
"""Updates in a transaction: 6.8 million gas for 50 under the prices to come, where a transaction may take 16.7."""


@dataclass(frozen=True, kw_only=True)
class RelaySettings(DaemonSettings):
    """What a relay's daemon needs. It answers at `listen` (host and port), and lets an address ask it
    `requests_per_minute` times.

    It promises at most `gas_per_day` in all, half of it for registrations, and `gas_per_client` for one client; sends
    at most `batch` updates in a transaction; and claims for clients that it served what they are owed from
    `claim_threshold` on, in the asset's smallest unit, never where that is None.
    """

    listen: tuple[str, int] = config._setting(ENDPOINT)
    batch: int = config._setting(config._whole(1, MOST_IN_A_BATCH), 50)
    gas_per_day: int = config._setting(config._whole(1), 30_000_000)
    gas_per_client: int = config._setting(config._whole(1), 1_000_000)
    claim_threshold: int | None = config._setting(AMOUNT, None)
    requests_per_minute: int = config._setting(config._whole(1, 6_000), 60)


def load_relay(
    options: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> RelaySettings:
    """A relay's settings: it needs the chain, and no storage. Raises ConfigurationError for all mistakes together."""
    reader = config._Reader(options, file, environment)
    network = reader.network(storage=False)
    values = reader.values(RelaySettings, TABLE)
    reader.finish()
    return RelaySettings(network=NetworkSettings(**network), **config._with_state(TABLE, values))


def relay_template() -> str:
    """A commented configuration of a relay to start from."""
    return files("processor").joinpath("templates/relay.toml").read_text("utf-8")
