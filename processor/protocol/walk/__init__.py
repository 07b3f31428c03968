"""The walk over a federation's rounds: back from the state of one block, through reports, kept files and logs, none of
which is believed. The record that state holds decides what is true (`processor.protocol.history`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from processor.artifacts.report import Report
from processor.artifacts.round import RoundFile
from processor.protocol.walk.claims import Claims, RoundList, Step, walk
from processor.protocol.walk.sources import Sources, Unusable
from processor.protocol.walk.start import Start
from processor.storage.library import Library
from processor.types import Cid


@dataclass(frozen=True)
class Walk:
    """Every round by its number, from the first to the latest, as far as the sources prove it.

    `listed` gives the digests of the lists that were found under the CIDs that reports name. Of what was there,
    `broken` is not what it should be, and `newer` is of versions that this program does not know.
    """

    start: Start
    steps: Mapping[int, Step]
    claims: Claims
    listed: Mapping[Cid, bytes]
    broken: tuple[Unusable, ...]
    newer: tuple[Unusable, ...]

    @property
    def proved(self) -> bool:
        """Whether nothing is left without a proof."""
        return all(step.proved for step in self.steps.values())

    @property
    def files(self) -> tuple[RoundFile, ...]:
        """The rounds that are proved, in order; the list of a live one is as far as it was at the block."""
        return tuple(
            RoundFile.of(
                chain_id=self.start.chain_id,
                federation=self.start.federation,
                opening=step.list.opening,
                updates=step.list.updates,
                record_before=self.start.record if step.link is None else step.link.record_before,
                outcome=None if step.link is None else step.link.outcome,
            )
            for step in self.steps.values()
            if step.proved and step.list is not None
        )

    @property
    def lists(self) -> tuple[RoundList, ...]:
        """The lists that were found, in order of their rounds, proved or not."""
        return tuple(step.list for step in self.steps.values() if step.list is not None)

    def report_of(self, round: int) -> tuple[Cid | None, Report | None]:
        """The report that the round's finalization named; where nothing proves which, one that says it is the
        round's."""
        known, link = self.claims.reports.get(round, {}), self.steps[round].link
        cid = next(iter(known), None)
        if link is not None:
            cid = link.outcome.report if link.outcome is not None else None
        return cid, known.get(cid) if cid is not None else None


def walk_back(
    start: Start,
    library: Library,
    kept: Sequence[RoundFile] = (),
    logged: Callable[[], Sequence[RoundFile]] | None = None,
) -> Walk:
    """Walks back to the first round. What `logged` gives is asked for only where something is missing without it."""
    claims = Claims(start.chain_id, start.federation)
    claims.add_state(start)
    sources = Sources(start, library, claims)
    sources.read(kept)
    steps = walk(start, claims, sources.missing)
    if logged is not None and not all(step.proved for step in steps):
        sources.read(logged())
        steps = walk(start, claims, sources.missing)
    by_round = {step.round: step for step in reversed(steps)}
    return Walk(start, by_round, claims, sources.listed, tuple(sources.broken), tuple(sources.newer))
