"""What goes wrong when, and to whom: drawn from a seed before anything runs. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GAP = (2.0, 4.5)  # seconds between two faults, which may overlap
HOLD = (1.0, 6.0)  # seconds that a fault lasts
FIRST = 2.0


@dataclass(frozen=True)
class Planned:
    """A fault to come: `at` seconds after the federation runs, for `seconds`, to the daemon with the number `victim`
    (0 is the organization). `seed` draws whatever else there is to draw."""

    number: int
    name: str
    at: float
    seconds: float
    victim: int
    seed: str

    def random(self) -> random.Random:
        return random.Random(self.seed)


@dataclass(frozen=True)
class Episode:
    """A part of a run: a federation of its own. `only` names the kinds of faults that come; all of them where it is
    empty."""

    number: int
    faults: int
    chain: str
    storage: str
    clients: int
    only: tuple[str, ...] = ()


def plan_faults(
    seed: int, episode: Episode, weights: Mapping[str, int], gap: tuple[float, float] = GAP
) -> list[Planned]:
    """The faults of an episode, each kind once before any comes again as its weight (0: never) has it."""
    draw = random.Random(f"{seed}/{episode.number}")
    names = sorted(name for name, weight in weights.items() if weight and (not episode.only or name in episode.only))
    order = draw.sample(names, len(names))
    planned, at = [], FIRST
    for number in range(episode.faults):
        name = order.pop() if order else draw.choices(names, [weights[each] for each in names])[0]
        victim, seconds = draw.randrange(episode.clients + 1), draw.uniform(*HOLD)
        planned.append(Planned(number, name, at, seconds, victim, f"{seed}/{episode.number}/{number}"))
        at += draw.uniform(*gap)
    return planned


def plan_episodes(
    faults: int, size: int, chains: Sequence[str], storages: Sequence[str], clients: int
) -> list[Episode]:
    """Episodes of about `size` faults each, over all pairs of chains and storages in turn."""
    pairs = [(chain, storage) for storage in storages for chain in chains]
    count = max(1, -(-faults // size))
    sizes = [faults // count + (number < faults % count) for number in range(count)]
    return [Episode(number, sizes[number], *pairs[number % len(pairs)], clients) for number in range(count)]
