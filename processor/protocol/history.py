"""What the chain's record says of rounds, recomputed, and what a report says of the rounds before its own.

The record chains one link for each round that is over. A link names the round's digest, and the digest its opening and
its list of updates: whatever a file or a report says is true exactly if it hashes to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processor.artifacts.committed import AdjustmentFields
from processor.artifacts.report import MAX_ABANDONED, AbandonedRound, FinishedRound, Report
from processor.artifacts.round import ROUND, RoundFile
from processor.chain.commitments import NO_RECORD, digest_of, next_record, outcome_of
from processor.cid import cid_of
from processor.errors import ArtifactError
from processor.types import Cid, Outcome


@dataclass(frozen=True)
class Link:
    """What the record chains of one round; no outcome where it was abandoned."""

    round: int
    record_before: bytes
    digest: bytes
    update_count: int
    claimed_ms: int
    outcome: Outcome | None

    def record(self) -> bytes:
        """The record with this round. Raises ArtifactError for what the contract could not hold."""
        return next_record(
            self.record_before, self.round, self.digest, self.update_count, self.claimed_ms, outcome_of(self.outcome)
        )


# --------------------------------------------------------------------------------------------------- files of rounds


def digest_of_file(file: RoundFile) -> bytes:
    """The digest of a round's opening and list."""
    return digest_of(file.chain_id, file.federation, file.opening.value(), file.submitted)


def link_of_file(file: RoundFile) -> Link:
    """What the record chains of the round, if the file is true and the round is over."""
    return Link(
        round=file.round,
        record_before=bytes.fromhex(file.record_before),
        digest=digest_of_file(file),
        update_count=len(file.updates),
        claimed_ms=sum(line.compute_ms for line in file.updates),
        outcome=None if file.outcome is None else file.outcome.value(),
    )


def record_of_file(file: RoundFile) -> bytes:
    """The record of all rounds with this one, if the file is true and the round is over."""
    return link_of_file(file).record()


# ---------------------------------------------------------------------------------------------------- from reports


def digest_of_report(report: Report) -> bytes:
    """The digest of the opening and the list that a report gives."""
    return digest_of(report.chain_id, report.federation, report.opening.value(), report.submitted)


def outcome_of_report(report: Report, cid: Cid, secret: bytes) -> Outcome:
    """What the finalization said that named this report; `secret` is zero under the audit policy `appointed`."""
    return Outcome(report.model, cid, secret, report.credited_ms, report.adjustments)


def link_of_report(report: Report, cid: Cid, secret: bytes) -> Link:
    """What the record chains of the report's round, if the report is true."""
    return Link(
        round=report.round,
        record_before=bytes.fromhex(report.record_before),
        digest=digest_of_report(report),
        update_count=len(report.updates),
        claimed_ms=report.claimed_ms,
        outcome=outcome_of_report(report, cid, secret),
    )


def file_of_report(report: Report, cid: Cid, secret: bytes) -> RoundFile:
    """The file of the report's round: what its keeper lost, the report gives back."""
    return RoundFile.of(
        chain_id=report.chain_id,
        federation=report.federation,
        opening=report.opening.value(),
        updates=report.submitted,
        record_before=bytes.fromhex(report.record_before),
        outcome=outcome_of_report(report, cid, secret),
    )


# ------------------------------------------------------------------------------------------- what a report has to say


@dataclass(frozen=True)
class Published:
    """The report of the last round that was finalized, its CID, and the secret that the finalization published."""

    report: Report
    cid: Cid
    secret: bytes


@dataclass(frozen=True)
class ReportHistory:
    """The fields `before` and `abandoned` of a report."""

    before: tuple[FinishedRound, ...]
    abandoned: tuple[AbandonedRound, ...]

    def record(self) -> bytes:
        """The record to which this leads: the one before the report's round, if nothing is missing."""
        return record_after(bytes.fromhex(self.before[0].record) if self.before else NO_RECORD, self.abandoned)


def report_history(last: Published | None, abandoned: Iterable[RoundFile]) -> ReportHistory:
    """What the next report says of the rounds before its own.

    `last` is the report before, None before the first; `abandoned` are the files of the rounds since, which the report
    names by their CIDs: whoever publishes it publishes their bytes (`RoundFile.encode`) too. Of more rounds than a
    report can name, the latest are named.
    """
    named = tuple(abandoned_round(file) for file in sorted(abandoned, key=lambda file: file.round))
    before = () if last is None else (finished_round(last), *last.report.before[:1])
    return ReportHistory(before, named[-MAX_ABANDONED:])


def abandoned_round(file: RoundFile) -> AbandonedRound:
    """How a report names a round that was abandoned."""
    if file.outcome is not None:
        raise ArtifactError(f"round {file.round} was finalized: a report lists those that were abandoned")
    link = link_of_file(file)
    return AbandonedRound(file.round, link.digest.hex(), link.update_count, link.claimed_ms, cid_of(ROUND.encode(file)))


def finished_round(last: Published) -> FinishedRound:
    """How a report names the round that was finalized before."""
    report, link = last.report, link_of_report(last.report, last.cid, last.secret)
    return FinishedRound(
        round=report.round,
        record_before=report.record_before,
        record=link.record().hex(),
        digest=link.digest.hex(),
        update_count=link.update_count,
        claimed_ms=link.claimed_ms,
        credited_ms=report.credited_ms,
        model=report.model,
        report=last.cid,
        secret=last.secret.hex(),
        adjustments=tuple(AdjustmentFields.of(item) for item in report.adjustments),
        abandoned=report.abandoned,
    )


# ----------------------------------------------------------------------------------------- what a report says, as links


def record_after(record: bytes, abandoned: Sequence[AbandonedRound]) -> bytes:
    """The record once these abandoned rounds are chained to it."""
    for link in links_of_abandoned(record, abandoned):
        record = link.record()
    return record


def links_of_abandoned(record: bytes, abandoned: Sequence[AbandonedRound]) -> tuple[Link, ...]:
    """The links of abandoned rounds, the first of which follows the record."""
    links = []
    for one in abandoned:
        link = Link(one.round, record, bytes.fromhex(one.digest), one.update_count, one.claimed_ms, None)
        links.append(link)
        record = link.record()
    return tuple(links)


def link_of_finished(finished: FinishedRound) -> Link:
    """The link of a round that a later report names."""
    return Link(
        round=finished.round,
        record_before=bytes.fromhex(finished.record_before),
        digest=bytes.fromhex(finished.digest),
        update_count=finished.update_count,
        claimed_ms=finished.claimed_ms,
        outcome=finished.outcome,
    )
