"""The accepted updates of a round, opened together and read block by block."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import local

import numpy as np

from processor.aggregation.facts import Facts
from processor.artifacts.plan import Plan
from processor.artifacts.update import UpdateFile, open_update
from processor.errors import MachineError
from processor.tensors import BLOCK, Array
from processor.types import Address


@dataclass(frozen=True)
class Accepted:
    """An opened update that passed every check, its integer weight (samples, at most the plan's `max_weight`), and what
    `facts_of` found in it."""

    client: Address
    update: Path
    weight: int
    facts: Facts


@dataclass(frozen=True)
class Input:
    """An update's open file, what it weighs, and the factor that brings its Fisher information under the cap."""

    update: UpdateFile
    weight: int
    fisher_scale: float


Block = Callable[[int, int], Array]
"""Elements `start` to `stop` of one tensor of the next model, at most `BLOCK`, in memory of their own."""

Term = Callable[[Input, int, int, Array], None]
"""Writes what elements `start` to `stop` of one update give to a sum into an array of float64."""

Values = Callable[[Input, int, int], Array]
"""Elements `start` to `stop` of one update, in memory of their own."""


LEAST_FILES, AMPLE_FILES = 64, 256
"""Open files as well as those of the updates: connections, databases, logs."""


class _Memory(local):
    """Each thread's own: a block of an update as it is read, and one of what is added to a sum."""

    def __init__(self) -> None:
        self.read = np.empty(BLOCK, np.float32)
        self.weighted = np.empty(BLOCK, np.float64)


class Inputs:
    """All updates of a round, at least one, in ascending order of their clients' addresses.

    Several threads may ask for blocks.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._inputs = tuple(inputs)
        self._weight = float(sum(one.weight for one in inputs))
        self._memory = _Memory()

    def values(self, name: str) -> Term:
        """The elements of a float32 tensor, by its full name, as they are."""

        def term(one: Input, start: int, stop: int, out: Array) -> None:
            out[:] = one.update.read_range(name, start, stop, into=self._memory.read)

        return term

    def capped(self, name: str) -> Term:
        """The elements of a tensor of Fisher information, scaled as its update's whole has to be."""
        values = self.values(name)

        def term(one: Input, start: int, stop: int, out: Array) -> None:
            values(one, start, stop, out)
            out *= one.fisher_scale

        return term

    def mean(self, term: Term) -> Block:
        """sum(x_j n_j) / sum(n_j) in float64, one update after the other."""

        def block(start: int, stop: int) -> Array:
            total = np.zeros(stop - start, np.float64)
            for place, one in enumerate(self._inputs):
                weighted = self._memory.weighted[: stop - start] if place else total
                term(one, start, stop, weighted)
                weighted *= float(one.weight)
                if place:
                    total += weighted
            total /= self._weight
            return total

        return block

    def largest(self, values: Values) -> Block:
        """The largest of all, element by element, in the type of the values."""

        def block(start: int, stop: int) -> Array:
            first, *rest = self._inputs
            largest = values(first, start, stop)
            for one in rest:
                np.maximum(largest, values(one, start, stop), out=largest)
            return largest

        return block


@contextmanager
def opened(accepted: Sequence[Accepted], plan: Plan) -> Iterator[Inputs]:
    """Opens updates, whose order does not matter; ValueError for none, or a weight below 1, MachineError where so many
    files cannot be open."""
    if not accepted or any(one.weight < 1 for one in accepted):
        raise ValueError("aggregation needs at least one update, and weights of at least 1")
    _allow_open_files(len(accepted))
    with ExitStack() as stack:
        yield Inputs(
            [
                Input(stack.enter_context(open_update(one.update)), one.weight, _fisher_scale(one.facts, plan))
                for one in sorted(accepted, key=lambda one: int(one.client, 16))
            ]
        )


def _fisher_scale(facts: Facts, plan: Plan) -> float:
    if not plan.sends_fisher:
        return 1.0
    length, cap = facts.fisher_norm, plan.ewc.fisher_cap
    if length is None:
        raise ValueError("the plan caps Fisher information, and the facts do not say how large it is")
    return cap / length if length > cap else 1.0


def _allow_open_files(updates: int) -> None:
    """Raises this process's own limit where it is lower: a round of 1,000 updates passes the usual 1,024 files.

    MachineError where it may not be raised to what they need next to the least that a daemon has open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted, needed = updates + AMPLE_FILES, updates + LEAST_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise MachineError(
            f"this program may open {hard} files, and the round needs {needed} at once: start it where `ulimit -Hn` "
            f"says at least {needed} (in a systemd unit, LimitNOFILE={needed})"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
