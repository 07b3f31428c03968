"""What a report says of a client's own update, looked into once: nobody else knows how many samples are in it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from processor.artifacts.plan import PLAN
from processor.artifacts.report import REPORT, Report
from processor.errors import ArtifactError, NewerVersion, StorageError
from processor.journal import Journal
from processor.metrics import Metrics
from processor.protocol.own_update import OwnUpdate, reported
from processor.storage.library import Library
from processor.types import Address, Cid, Phase, RoundView

EVERY = 60.0
"""Seconds between two attempts to read a report that cannot be had."""


@dataclass
class OwnReports:
    """Compares reports with what the journal of the client `address` knows of its updates."""

    address: Address
    library: Library
    journal: Journal
    metrics: Metrics
    log: FilteringBoundLogger
    _checked: Cid | None = None
    _check_after: float = 0.0

    def look(self, view: RoundView) -> None:
        """Logs and counts what the latest report says, unless that is done; one that cannot be had is tried later."""
        cid = view.released.report or view.base.report
        if cid is None or cid == self._checked or time.monotonic() < self._check_after:
            return
        if not any(update.seen_at is not None for update in self.journal.updates()):
            return
        try:
            report = self.library.read(REPORT, cid)
            max_weight = self.library.read(PLAN, report.plan).aggregation.max_weight
        except StorageError as error:
            self._check_after = time.monotonic() + EVERY
            self.log.info("the report cannot be had yet", report=cid, error=str(error))
            return
        except NewerVersion as error:  # it may well say what we know
            self._checked = cid
            self.log.warning("the report cannot be read by this version", report=cid, error=str(error))
            return
        except ArtifactError as error:
            self._checked = cid
            self.metrics.reported("differs")
            self.log.warning("the report cannot be used", report=cid, error=str(error))
            return
        self._checked = cid
        self._compare(report, cid, max_weight, view)

    def _compare(self, report: Report, cid: Cid, max_weight: int, view: RoundView) -> None:
        saved = self.journal.update_in(report.round, report.opening.value().sealing_key)
        if saved is None or saved.seen_at is None:
            return
        latest = view.phase is Phase.FINALIZED and view.round == report.round and view.client.update is not None
        credited, slash_rate = (view.client.compute_ms, view.client.slash_rate) if latest else (None, None)
        own = OwnUpdate(saved.cid, saved.samples, saved.claimed_ms, credited, slash_rate)
        found = reported(report, self.address, own, max_weight)
        self.metrics.reported(found.outcome)
        facts = {"round": report.round, "report": cid, "update": saved.cid}
        if found.differs:
            self.log.warning("the report differs from what we know", differs="; ".join(found.differs), **facts)
        if found.reason is not None:
            self.log.warning("our update was not taken as it is", reason=found.reason, **facts)
