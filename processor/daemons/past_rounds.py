"""What a daemon knows of the rounds before the latest: their sealing keys, and which plans have come to their end.

The chain keeps a part of the key of every finalized round and nothing of an abandoned one's; what a report says only
the report says. So both are remembered as rounds go by, and what a daemon did not see it reads in the reports that lead
back from the latest, as far as they can be had. One that cannot be had says nothing: it ends no plan.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from processor.artifacts.canonical import Fields
from processor.artifacts.report import REPORT, Report
from processor.artifacts.round import ROUND, RoundFile
from processor.artifacts.versions import Kind
from processor.chain.snapshot import Snapshot
from processor.daemons.kept import KeptRounds
from processor.errors import ArtifactError, StorageError
from processor.journal import Journal, NamedList, ReadReport
from processor.protocol.history import digest_of_file
from processor.protocol.references import lists_before, reports_before
from processor.storage.library import Library
from processor.types import Cid, RoundView

SECONDS, LEAST = 10.0, 1.0
"""How long one look may take to read reports and lists, and how much of that has to be left to begin with another; what
is left is read at the next look."""
EVERY, LONGEST = 60.0, 3600.0
"""Seconds between two looks that do not get everything, and between two attempts to read the same: those are doubled
each time, up to the longest. So nobody holds a daemon up by naming much that cannot be had."""
REPORTS_A_ROUND = 3
"""Reports that are read for each round at most: whoever lies could name any number."""
UNDONE = 3
"""Rounds that are read about again after a reorganization."""

Value = TypeVar("Value", bound=Fields)


@dataclass
class PastRounds:
    """What one daemon remembers, in its journal. `ticks` is a monotonic clock, in seconds."""

    library: Library
    journal: Journal
    log: FilteringBoundLogger
    ticks: Callable[[], float] = time.monotonic
    _seen: tuple[int, bytes] | None = field(default=None, init=False)
    _looked_at: Cid | None = field(default=None, init=False)
    _resting_at: Cid | None = field(default=None, init=False)
    _rest_until: float = field(default=0.0, init=False)
    _retry: dict[Cid, tuple[float, float]] = field(default_factory=dict, init=False)
    _told: tuple[int, ...] = field(default=(), init=False)

    def see(self, view: RoundView) -> None:
        """Remembers the key of the latest round, before another takes its place."""
        seen = (view.round, view.sealing_key)
        if view.round and seen != self._seen:
            self.journal.see_key(*seen)
            self._seen = seen

    def forget(self, view: RoundView) -> None:
        """After a reorganization: what the latest reports said may be undone, and is read again."""
        self.journal.forget_reports(max(1, view.round - UNDONE))
        self._looked_at = None

    def look(self, view: RoundView) -> None:
        """Reads what leads back from the latest report and was not read before. It ends after `SECONDS`, but for a
        source that falls silent; without news it does nothing, and what it could not get it asks for after a pause."""
        latest, now = view.released.report or view.base.report, self.ticks()
        if latest is None or latest == self._looked_at or (latest == self._resting_at and now < self._rest_until):
            return
        until, whole = now + SECONDS, True
        known, todo, met = self.journal.read_reports(), deque([(latest, view.round)]), {latest}
        most = REPORTS_A_ROUND * view.round
        while todo and len(met) <= most:
            cid, round = todo.popleft()
            read = known.get(cid) or self._report(cid, round, until)
            whole = whole and read is not None
            for before in () if read is None else read.before:
                if before not in met:
                    met.add(before)
                    todo.append((before, round - 1))
        for one in self.journal.named_lists():
            whole = self._list(one, until) and whole
        self._looked_at, self._resting_at = (latest, None) if whole else (None, latest)
        self._rest_until = self.ticks() + EVERY

    def report(self, cid: Cid) -> Report | None:
        """A report, if it can be had; one that could not is asked for again after a pause."""
        return self._read(REPORT, cid, self.ticks() + SECONDS)

    def ended(self, plan: Cid) -> str | None:
        """Why no round follows under a plan, by the first report that was read and says so; None where none does."""
        report = self.journal.stopped(plan)
        if report is None:
            return None
        return f"the report of round {report.round}, {report.cid}, says that no round follows under it ({report.stop})"

    def round_with_key(self, snapshot: Snapshot, number: int, key: bytes) -> int | None:
        """Another round than that of a number which had a sealing key, as far as is known; None where none had it."""
        found = snapshot.round_with_key(key)
        return self.journal.key_of_another(key, number) if found is None else found

    def take(self, kept: KeptRounds) -> None:
        """Remembers the keys of rounds that are kept next to the journal: another journal may have seen them."""
        known = self.journal.rounds_with_known_keys()
        for number in kept.numbers():
            file = kept.read(number) if number not in known else None
            if file is not None:
                self.journal.see_key(number, file.opening.value().sealing_key)

    def tell(self, snapshot: Snapshot) -> None:
        """Says once which rounds have keys that are not known: those were abandoned, and no report that was read names
        their lists."""
        known = self.journal.rounds_with_known_keys()
        missing = tuple(number for number in snapshot.rounds_without_key if number not in known)
        if missing and missing != self._told:
            self.log.warning(
                "sealing keys of abandoned rounds are unknown",
                rounds=", ".join(map(str, missing[-10:])),
                count=len(missing),
                advice="no report that can be had names them: whether the round repeats one of them is not checked",
            )
        self._told = missing

    def _report(self, cid: Cid, latest: int, until: float) -> ReadReport | None:
        report = self._read(REPORT, cid, until)
        if report is None:
            return None
        if report.round > latest:  # no report of a round so early
            return ReadReport(cid, report.round, report.plan, None, ())
        opening = report.opening.value()
        found = ReadReport(cid, report.round, report.plan, report.stop, tuple(reports_before(report)))
        self.journal.see_key(report.round, opening.sealing_key)
        self.journal.keep_report(found, self._unread(report))
        return found

    def _unread(self, report: Report) -> list[NamedList]:
        known = self.journal.rounds_with_known_keys()
        named = [one for one in lists_before(report) if one.round not in known and one.round < report.round]
        return [NamedList(one.list, one.round, bytes.fromhex(one.digest)) for one in named]

    def _list(self, named: NamedList, until: float) -> bool:
        """Whether the list is read."""
        file = self._read(ROUND, named.cid, until)
        if file is None:
            return False
        if file.round == named.round and _digest(file) == named.digest:
            self.journal.see_key(file.round, file.opening.value().sealing_key)
        self.journal.done_with_list(named.cid)
        return True

    def _read(self, kind: Kind[Value], cid: Cid, until: float) -> Value | None:
        """An artifact, if it can be had in the time that is left; one that could not is left alone for a while."""
        now = self.ticks()
        pause, not_before = self._retry.get(cid, (EVERY, now))
        if until - now < LEAST or now < not_before:
            return None
        try:
            return self.library.read(kind, cid, until - now)
        except (StorageError, ArtifactError) as error:
            self._retry[cid] = (min(2 * pause, LONGEST), self.ticks() + pause)
            self.log.info("not read", artifact=f"{kind.name} {cid}", error=str(error))
            return None


def _digest(file: RoundFile) -> bytes | None:
    """None for what the contract could not hold."""
    try:
        return digest_of_file(file)
    except ArtifactError:
        return None
