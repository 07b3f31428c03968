"""Gathers what is said of a federation's rounds: by state, by the reports that lead from one to the next, by a kept
folder, and by the logs of a node that has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from processor.artifacts.report import REPORT_LIMIT, AbandonedRound, Report
from processor.artifacts.round import ROUND_LIMIT, RoundFile
from processor.chain.federation import Federation
from processor.chain.logs import rounds_from_logs
from processor.errors import ArtifactError, ArtifactUnavailable, ChainError
from processor.protocol.audit.claims import Claims
from processor.protocol.audit.kept import Kept
from processor.protocol.audit.state import State
from processor.storage.base import Storage, get_bytes
from processor.types import Block, Cid


@dataclass(frozen=True)
class Broken:
    """An artifact that is there and is not what it should be. `round` is the one that it is about."""

    round: int
    subject: str
    why: str


@dataclass
class Sources:
    """`missing` says of every artifact that could not be had why not; `listed` gives the digests of the lists that were
    found under the CIDs that reports name."""

    state: State
    storage: Storage
    kept: Kept | None
    claims: Claims
    missing: dict[Cid, str] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
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
        if self.state.latest.report is not None:
            todo.append((self.state.latest.report, self.state.chained))
        while todo:
            cid, latest = todo.popleft()
            report = self._report(cid, latest)
            if report is not None:
                todo.extend(_reports_before(report))
                for one in _abandoned_in(report):
                    self._read_list(one)

    def _report(self, cid: Cid, latest: int) -> Report | None:
        """A report that was not read yet, of a round up to `latest`."""
        if not self._may_ask(cid):
            return None
        try:
            report = Report.decode(self._bytes(cid, REPORT_LIMIT))
        except ArtifactUnavailable as error:
            self.missing[cid] = str(error)
            return None
        except ArtifactError as error:
            self.missing[cid] = str(error)
            self.broken.append(Broken(latest, f"report {cid}", str(error)))
            return None
        if report.round > latest:
            why = f"it is of round {report.round}, and a report of round {latest} or before is expected there"
            self.broken.append(Broken(latest, f"report {cid}", why))
            return None
        self.claims.add_report(cid, report)
        return report

    def _read_list(self, named: AbandonedRound) -> None:
        if not self._may_ask(named.list):
            return
        try:
            file = RoundFile.decode(self._bytes(named.list, ROUND_LIMIT))
            self.listed[named.list] = self.claims.add_file(file)
        except ArtifactUnavailable as error:
            self.missing[named.list] = str(error)
        except ArtifactError as error:
            self.missing[named.list] = str(error)
            self.broken.append(Broken(named.round, f"list {named.list}", str(error)))

    def _may_ask(self, cid: Cid) -> bool:
        """Each artifact once, and not without end: whoever lies could name any number."""
        if cid in self._asked or len(self._asked) > 3 * self.state.head:
            return False
        self._asked.add(cid)
        return True

    def _bytes(self, cid: Cid, limit: int) -> bytes:
        data = self.kept.artifact(cid) if self.kept is not None else None
        return get_bytes(self.storage, cid, limit) if data is None else data


def _reports_before(report: Report) -> list[tuple[Cid, int]]:
    """The reports that one leads to, with the rounds that they may be of; the rounds of most are named."""
    named = {finished.report: finished.round for finished in report.before}
    if report.opening.base_report is not None:
        named.setdefault(report.opening.base_report, report.round - 1)
    return [(cid, min(round, report.round - 1)) for cid, round in named.items()]


def _abandoned_in(report: Report) -> list[AbandonedRound]:
    return [*report.abandoned, *(one for finished in report.before for one in finished.abandoned)]


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
