"""All that the chain's state says of a federation at one block, read at once: a usual node forgets the past within
minutes."""

from __future__ import annotations

from dataclasses import dataclass

from processor.chain.snapshot import Snapshot
from processor.protocol.walk.start import Start, start_of
from processor.types import Address, FederationTerms, Result


@dataclass(frozen=True)
class ChainState(Start):
    """Where the walk starts, and what its rounds and their money are held against."""

    terms: FederationTerms
    results: tuple[Result, ...]
    members: tuple[Address, ...]
    carried: int
    holdings: int

    def result(self, round: int) -> Result:
        return self.results[round - 1]


def read_state(snapshot: Snapshot) -> ChainState:
    """Raises ChainError where the chain cannot be read."""
    return ChainState(
        **vars(start_of(snapshot)),
        terms=snapshot.terms,
        results=snapshot.results,
        members=snapshot.members,
        carried=snapshot.carried,
        holdings=snapshot.holdings,
    )
