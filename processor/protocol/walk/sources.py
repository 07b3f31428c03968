"""Gathers what is said of a federation's rounds: by state, by the reports that lead from one to the next, by a kept
folder, and by the logs of a node that has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from processor.artifacts.report import REPORT, AbandonedRound, Report
from processor.artifacts.round import ROUND, RoundFile
from processor.chain.federation import Federation
from processor.chain.logs import rounds_from_logs
from processor.errors import ArtifactError, ArtifactUnavailable, ChainError, NewerVersion
from processor.protocol.references import lists_before, reports_before
from processor.protocol.walk.claims import Claims
from processor.protocol.walk.start import Start
from processor.storage.library import Library
from processor.types import Block, Cid


@dataclass(frozen=True)
class Unusable:
    """An artifact that is there and cannot be used. `round` is the one that it is about."""

    round: int
    subject: str
    why: str


@dataclass
class Sources:
    """`missing` says of every artifact that could not be had or used why not. Of those that are there, `broken` are not
    what they should be, and `newer` are of versions that this program does not know. `listed` gives the digests of the
    lists that were found under the CIDs that reports name."""

    start: Start
    library: Library
    claims: Claims
    missing: dict[Cid, str] = field(default_factory=dict)
    broken: list[Unusable] = field(default_factory=list)
    newer: list[Unusable] = field(default_factory=list)
    listed: dict[Cid, bytes] = field(default_factory=dict)
    _asked: set[Cid] = field(default_factory=set)

    def read(self, files: Sequence[RoundFile] = ()) -> None:
        """Takes in files of rounds, and every report that state, files and other reports lead to."""
        todo = deque[tuple[Cid, int]]()
        for file in files:
            try:
                self.claims.add_file(file)
            except ArtifactError:
                continue  # of no round that the contract could hold
            if file.outcome is not None:
                todo.append((file.outcome.report, file.round))
            if file.opening.base_report is not None:
                todo.append((file.opening.base_report, file.round - 1))
        if self.start.latest.report is not None:
            todo.append((self.start.latest.report, self.start.view.chained))
        while todo:
            cid, latest = todo.popleft()
            report = self._report(cid, latest)
            if report is not None:
                todo.extend(reports_before(report).items())
                for one in lists_before(report):
                    self._read_list(one)

    def _report(self, cid: Cid, latest: int) -> Report | None:
        """A report that was not read yet, of a round up to `latest`."""
        if not self._may_ask(cid):
            return None
        try:
            report = self.library.read(REPORT, cid)
        except ArtifactUnavailable as error:
            self.missing[cid] = str(error)
            return None
        except ArtifactError as error:
            self._unusable(latest, f"report {cid}", cid, error)
            return None
        if report.round > latest:
            why = f"it is of round {report.round}, and a report of round {latest} or before is expected there"
            self.broken.append(Unusable(latest, f"report {cid}", why))
            return None
        self.claims.add_report(cid, report)
        return report

    def _read_list(self, named: AbandonedRound) -> None:
        if not self._may_ask(named.list):
            return
        try:
            file = self.library.read(ROUND, named.list)
            self.listed[named.list] = self.claims.add_file(file)
        except ArtifactUnavailable as error:
            self.missing[named.list] = str(error)
        except ArtifactError as error:
            self._unusable(named.round, f"list {named.list}", named.list, error)

    def _unusable(self, round: int, subject: str, cid: Cid, error: ArtifactError) -> None:
        self.missing[cid] = str(error)
        into = self.newer if isinstance(error, NewerVersion) else self.broken
        into.append(Unusable(round, subject, str(error)))

    def _may_ask(self, cid: Cid) -> bool:
        """Each artifact once, and not without end: whoever lies could name any number."""
        if cid in self._asked or len(self._asked) > 3 * self.start.head:
            return False
        self._asked.add(cid)
        return True


def logged_rounds(federation: Federation, first: int, block: Block) -> tuple[list[RoundFile], str | None]:
    """What the node's logs say from the block `first` on, and why they say nothing where the node refuses them."""
    try:
        logged = rounds_from_logs(federation, first, block.number)
    except ChainError as error:
        return [], str(error)
    return [
        RoundFile.of(federation.chain_id, federation.address, one.opening, one.updates, one.record_before, one.outcome)
        for one in logged
    ], None
