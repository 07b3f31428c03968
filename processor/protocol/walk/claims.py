"""What all sources say of a federation's rounds, put together: none is believed, and the chain's record decides.

Whatever parts of a round the sources give, each in its own words (the record before it, what its digest chains, what
its finalization said), only one combination hashes to the record. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from processor.artifacts.report import AbandonedRound, Report
from processor.artifacts.round import RoundFile
from processor.chain.commitments import NO_RECORD, digest_of, next_record, outcome_of
from processor.privacy.sealing import public_key_of
from processor.protocol.history import (
    Link,
    link_of_file,
    link_of_finished,
    links_of_abandoned,
    outcome_of_report,
    record_after,
)
from processor.protocol.walk.start import NO_SECRET, Start
from processor.types import Address, Cid, Opening, Outcome, Phase, Submitted


@dataclass(frozen=True)
class RoundList:
    """A round's opening and its updates in the order of submission: what a digest stands for."""

    opening: Opening
    updates: tuple[Submitted, ...]


@dataclass(frozen=True)
class Tally:
    """What the record chains of a round before it says what became of it."""

    digest: bytes
    update_count: int
    claimed_ms: int


@dataclass(frozen=True)
class Step:
    """One round of the walk. `record` is the record after it, None where the walk does not know it, or the record does
    not chain the round yet; `link` what it chains of the round, None where no source says so; `list` what its digest
    stands for.

    `because` says why the round is not proved, None where it is: the record leads from the chain's state to its link,
    and the link to its list.
    """

    round: int
    record: bytes | None
    link: Link | None
    list: RoundList | None
    because: str | None

    @property
    def proved(self) -> bool:
        return self.because is None


@dataclass
class Claims:
    """What was said of the rounds of one federation. Everything is kept in the order in which it came, once."""

    chain_id: int
    federation: Address
    lists: dict[bytes, RoundList] = field(default_factory=dict)
    reports: dict[int, dict[Cid, Report]] = field(default_factory=lambda: defaultdict(dict))
    last_secret: bytes = NO_SECRET
    _records: dict[int, dict[bytes, None]] = field(default_factory=lambda: defaultdict(dict))
    _tallies: dict[int, dict[Tally, None]] = field(default_factory=lambda: defaultdict(dict))
    _outcomes: dict[int, dict[Outcome, None]] = field(default_factory=lambda: defaultdict(dict))
    _links: dict[int, dict[Link, None]] = field(default_factory=lambda: defaultdict(dict))
    _secrets: dict[int, dict[bytes, None]] = field(default_factory=lambda: defaultdict(dict))

    # --------------------------------------------------------------------------------------------------- gathering

    def add_state(self, start: Start) -> None:
        view = start.view
        self.last_secret = start.last_secret
        if view.phase is Phase.NONE:
            return
        self._tallies[view.round][Tally(view.digest, view.update_count, view.claimed_ms)] = None
        if view.phase is Phase.FINALIZED:
            self._secrets[view.round][view.secret] = None
            if view.released.model is not None and view.released.report is not None:
                parts = (view.released.model, view.released.report, view.secret, view.credited_ms)
                self._outcomes[view.round][Outcome(*parts, start.adjustments)] = None
            return
        self._records[view.round][start.record] = None
        if start.updates is not None:
            self.add_list(view.opening, start.updates)
        elif view.update_count == 0:
            self.add_list(view.opening, ())

    def add_list(self, opening: Opening, updates: Sequence[Submitted]) -> bytes:
        """Files a list under its digest."""
        digest = digest_of(self.chain_id, self.federation, opening, updates)
        self.lists[digest] = RoundList(opening, tuple(updates))
        claimed_ms = sum(line.compute_ms for line in updates)
        self._tallies[opening.round][Tally(digest, len(updates), claimed_ms)] = None
        return digest

    def add_file(self, file: RoundFile) -> bytes:
        """What a `round` artifact says; returns the digest of its list."""
        self._records[file.round][bytes.fromhex(file.record_before)] = None
        if file.outcome is not None:
            self._add_outcome(file.round, file.outcome.value())
            self._links[file.round][link_of_file(file)] = None
        return self.add_list(file.opening.value(), file.submitted)

    def add_report(self, cid: Cid, report: Report) -> None:
        """What a report says of its own round and of those before."""
        self.reports[report.round][cid] = report
        self._records[report.round][bytes.fromhex(report.record_before)] = None
        self.add_list(report.opening.value(), report.submitted)
        start = bytes.fromhex(report.before[0].record) if report.before else NO_RECORD
        self._add_abandoned(start, report.abandoned, report.round)
        for finished in report.before:
            link = link_of_finished(finished)
            self._add_link(link)
            self._add_outcome(link.round, finished.outcome)
            self._records[link.round + 1][bytes.fromhex(finished.record)] = None
        # What comes before the last that is named is not told, unless it is the first round of all.
        starts = [*(bytes.fromhex(older.record) for older in report.before[1:]), NO_RECORD]
        for finished, start in zip(report.before, starts, strict=False):
            self._add_abandoned(start, finished.abandoned, finished.round)

    def _add_abandoned(self, record: bytes, abandoned: tuple[AbandonedRound, ...], until: int) -> None:
        for link in links_of_abandoned(record, abandoned):
            self._add_link(link)
        self._records[until][record_after(record, abandoned)] = None

    def _add_link(self, link: Link) -> None:
        self._records[link.round][link.record_before] = None
        self._tallies[link.round][Tally(link.digest, link.update_count, link.claimed_ms)] = None

    def _add_outcome(self, round: int, outcome: Outcome) -> None:
        self._outcomes[round][outcome] = None
        self._secrets[round][outcome.secret] = None

    # ----------------------------------------------------------------------------------------------------- deciding

    def link_to(self, record: bytes, round: int) -> Link | None:
        """The one combination of what was said of a round that leads to the record after it; None if none does."""
        before = [NO_RECORD] if round == 1 else list(self._records[round])
        for outcome in (*self._outcomes_of(round), None):
            word = outcome_of(outcome)
            for record_before, tally in product(before, self._tallies[round]):
                if (
                    next_record(record_before, round, tally.digest, tally.update_count, tally.claimed_ms, word)
                    == record
                ):
                    return Link(round, record_before, tally.digest, tally.update_count, tally.claimed_ms, outcome)
        return None

    def secret_of(self, report: Report) -> bytes | None:
        """The secret that belongs to the sealing key in a report, if any source gives it."""
        key = bytes.fromhex(report.opening.sealing_key)
        return next((secret for secret in self._secrets_of(report.round) if public_key_of(secret) == key), None)

    def claimed_link(self, round: int) -> Link | None:
        """The first combination that leads to any record that was claimed after the round, else what a file says."""
        found = (self.link_to(record, round) for record in list(self._records[round + 1]))
        return next((link for link in (*found, *self._links[round]) if link is not None), None)

    def claimed_list(self, round: int) -> RoundList | None:
        """The first list that was claimed of a round."""
        found = (self.lists.get(tally.digest) for tally in self._tallies[round])
        return next((one for one in found if one is not None), None)

    def mentions(self, round: int) -> bool:
        """Whether any source says anything of the round."""
        return bool(self._tallies[round] or self._outcomes[round])

    def _outcomes_of(self, round: int) -> Iterator[Outcome]:
        yield from self._outcomes[round]
        for cid, report in self.reports[round].items():
            for secret in self._secrets_of(round):
                yield outcome_of_report(report, cid, secret)

    def _secrets_of(self, round: int) -> tuple[bytes, ...]:
        return (*self._secrets[round], self.last_secret, NO_SECRET)


def walk(start: Start, claims: Claims, why: Mapping[Cid, str]) -> list[Step]:
    """Every round from the latest to the first, as far as the record leads to it; behind a round that is missing the
    walk goes on with what is claimed. `why` says of artifacts that could not be had why not."""
    steps = []
    if start.head != start.view.chained:
        known = claims.lists.get(start.view.digest)
        because = None if known else "state holds a part of its list, and no log or kept round that was found has it"
        steps.append(Step(start.head, None, None, known, because))
    record: bytes | None = start.record
    gap: int | None = None
    for round in range(start.view.chained, 0, -1):
        link = claims.link_to(record, round) if record is not None else claims.claimed_link(round)
        known = claims.lists.get(link.digest) if link is not None else claims.claimed_list(round)
        because = _why_not(start, claims, round, link, known, why)
        if gap is not None and claims.mentions(round):
            because = f"the record does not lead to it: round {gap}, which comes after it, is missing"
        steps.append(Step(round, record if gap is None else None, link, known, because))
        gap = round if link is None and gap is None else gap
        record = None if link is None else link.record_before
    return steps


def _why_not(
    start: Start, claims: Claims, round: int, link: Link | None, known: RoundList | None, why: Mapping[Cid, str]
) -> str | None:
    """Why nothing proves what a round was, given what the walk found of it."""
    if link is None:
        return _why_no_link(start, claims, round, why)
    if known is not None:
        return None
    lost = _lost(link.outcome.report if link.outcome is not None else None, why)
    if lost is not None:
        return f"{lost}, and no log or kept round that was found has its list"
    return "no report, log or kept round that was found has its list"


def _why_no_link(start: Start, claims: Claims, round: int, why: Mapping[Cid, str]) -> str:
    lost = _lost(start.view.released.report if round == start.head else None, why)
    if lost is not None:
        return (
            f"{lost}, and no log or kept round that was found says what it started from: nothing leads back behind it"
        )
    if claims.mentions(round):
        return "nothing that is said of it leads to the chain's record"
    return "no report, log or kept round that was found says what the record chains of it"


def _lost(report: Cid | None, why: Mapping[Cid, str]) -> str | None:
    return f"its report {report} cannot be had ({why[report]})" if report is not None and report in why else None
