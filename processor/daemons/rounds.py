"""What an organization keeps of its rounds as they go by, and says of them in its reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from structlog.typing import FilteringBoundLogger

from processor.artifacts.report import REPORT
from processor.artifacts.round import RoundFile
from processor.chain.snapshot import Snapshot
from processor.daemons.kept import KeptRounds
from processor.daemons.sealing_keys import SealingKeys
from processor.errors import ArtifactError, ChainError
from processor.protocol.history import (
    Published,
    ReportHistory,
    digest_of_file,
    file_of_report,
    record_of_file,
    report_history,
)
from processor.protocol.walk.sources import logged_rounds
from processor.storage.library import Library
from processor.types import Phase, Submitted

PATIENCE = 3
"""Attempts to read the list of an abandoned round from the chain, before it counts as lost there."""


@dataclass
class RoundKeeper:
    """Keeps the rounds of a federation as they go by, and says of them what the next report has to."""

    kept: KeptRounds
    library: Library
    keys: SealingKeys
    log: FilteringBoundLogger
    _done: tuple[bytes, bool] | None = None
    _failures: int = 0

    def keep(self, snapshot: Snapshot) -> None:
        """Keeps the latest round once its training is over, and its outcome once it is finalized: before clients submit
        again, and rewrite what the chain holds of it.

        Raises ChainError and StorageError where that cannot be read now. A list that the chain lost before it was kept
        is looked for in the node's logs; where it is in none of them, that is said, and the federation goes on.
        """
        view = snapshot.view
        finalized = view.phase is Phase.FINALIZED
        if not (view.phase is Phase.AGGREGATING or view.phase.over) or self._done == (view.digest, finalized):
            return
        known = self.kept.read(view.round)
        file = known if known is not None and digest_of_file(known) == view.digest else None
        if finalized:
            file = self._finalized(snapshot, file)
        elif file is None:
            file = self._over(snapshot)
        else:
            file = replace(file, outcome=None)  # a reorganization may have undone its finalization
        if file is not None and file != known:
            self.kept.write(file)
        if file is not None or finalized:
            self._done = (view.digest, finalized)

    def submitted(self, snapshot: Snapshot) -> tuple[Submitted, ...]:
        """The list of the latest round. Raises ChainError where it is neither kept nor on chain."""
        known = self.kept.read(snapshot.view.round)
        if known is not None and digest_of_file(known) == snapshot.view.digest:
            return known.submitted
        return snapshot.updates

    def before(self, snapshot: Snapshot) -> tuple[bytes, ReportHistory]:
        """The record of all rounds before the latest, which is live, and what its report says of them.

        A report from which nobody could walk back is better than none, since clients wait for it: then the audit needs
        logs, or the folder of somebody who kept the rounds.
        """
        record, last, latest = snapshot.record, self._last(snapshot), snapshot.view.round
        first = 1 if last is None else last.report.round + 1
        history = report_history(last, self._abandoned(map(self.kept.read, range(first, latest))))
        if history.record() == record:
            return record, history
        logged = [file for file in self._logged(snapshot) if first <= file.round < latest]
        found = report_history(last, self._abandoned(logged))
        if found.record() != record:
            self.log.error(
                "the report cannot lead back to the rounds before it",
                round=latest,
                advice="put what was kept of them into the folder of rounds; else an audit needs the logs of a node",
            )
            return record, history
        for file in logged:
            self.kept.write(file)
        return record, found

    def _finalized(self, snapshot: Snapshot, file: RoundFile | None) -> RoundFile | None:
        view, cid = snapshot.view, snapshot.view.released.report
        if cid is None or (file is not None and file.outcome is not None and file.outcome.report == cid):
            return file
        try:
            told = file_of_report(self.library.read(REPORT, cid), cid, view.secret)
        except ArtifactError as error:
            self.log.warning("the outcome of a round is not kept", round=view.round, report=cid, error=str(error))
            return file
        if file is None:
            file = told if digest_of_file(told) == view.digest else None
        file = None if file is None else replace(file, outcome=told.outcome)
        if file is None or record_of_file(file) != snapshot.record:
            self.log.error("the report of a round is not what the chain says of it", round=view.round, report=cid)
            return None
        return file

    def _over(self, snapshot: Snapshot) -> RoundFile | None:
        view, federation = snapshot.view, snapshot.federation
        try:
            updates = snapshot.updates
        except ChainError:
            self._failures += 1
            if view.phase.live or self._failures < PATIENCE:
                raise
            found = [file for file in self._logged(snapshot) if digest_of_file(file) == view.digest]
            if not found:
                self.log.error(
                    "the list of a round is lost",
                    round=view.round,
                    advice="reports cannot lead back to it: an audit needs the logs of a node",
                )
                self._done = (view.digest, False)
            return replace(found[0], outcome=None) if found else None
        self._failures = 0
        return RoundFile.of(federation.chain_id, federation.address, view.opening, updates, snapshot.record)

    def _last(self, snapshot: Snapshot) -> Published | None:
        """The report of the last round that was finalized, with the secret that is public since."""
        cid = snapshot.view.base.report
        if cid is None:
            return None
        report = self.library.read(REPORT, cid)
        kept = self.kept.read(report.round)
        if kept is not None and kept.outcome is not None and kept.outcome.report == cid:
            return Published(report, cid, bytes.fromhex(kept.outcome.secret))
        secret = self.keys.secret_of(report.opening.value().sealing_key)
        if secret is None:
            outcomes = [file.outcome for file in self._logged(snapshot) if file.round == report.round]
            secret = next((bytes.fromhex(each.secret) for each in outcomes if each is not None), bytes(32))
        return Published(report, cid, secret)

    def _logged(self, snapshot: Snapshot) -> list[RoundFile]:
        files, why = logged_rounds(snapshot.federation, 0, snapshot.block)
        if why is not None:
            self.log.warning("the node gives no logs", error=why)
        return files

    @staticmethod
    def _abandoned(files: Iterable[RoundFile | None]) -> list[RoundFile]:
        return [file for file in files if file is not None and file.outcome is None]
