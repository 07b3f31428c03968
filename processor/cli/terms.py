"""What the terms of a federation may be, for the command and for the script that create one."""

from __future__ import annotations

from typing import NamedTuple

from processor.protocol.rewards import BASIS_POINTS


class Limits(NamedTuple):
    """The smallest and the largest whole number that fits."""

    least: int
    most: int

    def allow(self, value: int) -> bool:
        return self.least <= value <= self.most


_SHORT = 2**16 - 1

# As `contracts/libraries/Terms.sol` packs them: the stake in 16 bytes, rate, spread and idle rounds in two each, the
# salt in eight.
STAKE = Limits(0, 2**128 - 1)
MAX_SLASH_RATE = Limits(0, BASIS_POINTS)
MAX_SPREAD = Limits(1, _SHORT)
IDLE_ROUNDS = Limits(0, _SHORT)
SALT = Limits(0, 2**64 - 1)
