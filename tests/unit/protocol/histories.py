"""Histories of rounds that no chain has seen, as a contract would chain them: every value follows from the round's
number.

A history is written in letters: F for a round that is finalized, A for one that is abandoned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from processor.artifacts.committed import OpeningFields
from processor.artifacts.report import REPORT as REPORTS
from processor.artifacts.report import Report, ReportedUpdate
from processor.artifacts.round import RoundFile
from processor.chain.commitments import NO_RECORD
from processor.cid import cid_of
from processor.privacy.sealing import public_key_of
from processor.protocol.audit.on_chain import ChainState
from processor.protocol.history import Published, file_of_report, link_of_file, report_history
from processor.protocol.walk.claims import Claims
from processor.types import Cid, FederationTerms, Opening, Phase, Release, Result, Submitted
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, OPENING, REPORT
from tests.unit.protocol.views import round_view

CHAIN_ID = 31337
Change = Callable[[Report], Report]


def cid(what: str, round: int) -> Cid:
    return cid_of(f"{what} of round {round}".encode())


def secret_of(round: int) -> bytes:
    return round.to_bytes(1, "big") * 32


@dataclass
class History:
    """The rounds of one federation: their files as they are true, and their reports as the organization wrote them."""

    files: list[RoundFile] = field(default_factory=list)
    reports: dict[Cid, Report] = field(default_factory=dict)
    record: bytes = NO_RECORD
    _last: Published | None = None
    _lost: list[RoundFile] = field(default_factory=list)

    @staticmethod
    def of(letters: str, changes: dict[int, Change] | None = None) -> History:
        history = History()
        for number, letter in enumerate(letters, start=1):
            history.abandon() if letter == "A" else history.finalize((changes or {}).get(number))
        return history

    def opening(self, round: int) -> Opening:
        base = self._last
        return replace(
            OPENING,
            round=round,
            opened_at=OPENING.opened_at + 1_000 * round,
            training_deadline=OPENING.opened_at + 1_000 * round + 300,
            aggregation_deadline=OPENING.opened_at + 1_000 * round + 900,
            plan=cid("plan", round),
            sealing_key=public_key_of(secret_of(round)),
            base_model=cid("model", 0) if base is None else base.report.model,
            base_report=None if base is None else base.cid,
            pool=OPENING.pool + round,
        )

    def lines(self, round: int) -> tuple[ReportedUpdate, ...]:
        """In the order of submission, which changes from round to round; the first is lowered."""
        clients = CLIENTS if round % 2 else CLIENTS[::-1]
        claims = [100 * round + place for place, _ in enumerate(clients, start=1)]
        return tuple(
            ReportedUpdate(
                client=client,
                update=cid_of(f"update of {client} in round {round}".encode()),
                claimed_ms=claim,
                weight=10 + round,
                credited_ms=claim - 7 if place == 0 else claim,
                reason="metering" if place == 0 else None,
                slash_rate=0,
            )
            for place, (client, claim) in enumerate(zip(clients, claims, strict=True))
        )

    def abandon(self) -> None:
        number = len(self.files) + 1
        updates = [Submitted(line.client, line.update, line.claimed_ms) for line in self.lines(number)]
        file = RoundFile.of(CHAIN_ID, FEDERATION, self.opening(number), updates, self.record)
        self._lost.append(file)
        self._chain(file)

    def finalize(self, change: Change | None = None) -> None:
        number = len(self.files) + 1
        known = report_history(self._last, self._lost)
        truth = replace(
            REPORT,
            opening=OpeningFields.of(self.opening(number)),
            updates=self.lines(number),
            record_before=self.record.hex(),
            before=known.before,
            abandoned=known.abandoned,
            model=cid("model", number),
            server_state=cid("state", number),
        )
        report = truth if change is None else change(truth)
        name = cid_of(REPORTS.encode(report))
        file = file_of_report(truth, name, secret_of(number))
        self._last, self._lost = Published(report, name, secret_of(number)), []
        self.reports[name] = report
        self._chain(file)

    def _chain(self, file: RoundFile) -> None:
        self.files.append(file)
        self.record = link_of_file(file).record()

    def report(self, round: int) -> tuple[Cid, Report]:
        return next((name, report) for name, report in self.reports.items() if report.round == round)

    def state(self) -> ChainState:
        """What state says once the latest round is over; an abandoned one is not chained yet."""
        file, link = self.files[-1], link_of_file(self.files[-1])
        outcome = None if file.outcome is None else file.outcome.value()
        opening = file.opening.value()
        view = round_view(
            round=file.round,
            phase=Phase.ABANDONED if outcome is None else Phase.FINALIZED,
            plan=opening.plan,
            sealing_key=opening.sealing_key,
            base=Release(opening.base_model, opening.base_report) if outcome is None else Release(None, None),
            released=Release(None, None) if outcome is None else Release(outcome.model, outcome.report),
            secret=bytes(32) if outcome is None else outcome.secret,
            digest=link.digest,
            update_count=link.update_count,
            claimed_ms=link.claimed_ms,
            credited_ms=link.claimed_ms if outcome is None else outcome.credited_ms,
        )
        last = next((one.outcome for one in reversed(self.files) if one.outcome is not None), None)
        return ChainState(
            chain_id=CHAIN_ID,
            federation=FEDERATION,
            terms=FederationTerms(),
            view=view,
            record=bytes.fromhex(file.record_before) if outcome is None else self.record,
            results=tuple(Result(0, 0, bytes(12)) for _ in self.files),
            members=CLIENTS,
            latest=Release(cid("model", 0), None) if last is None else Release(last.model, last.report),
            carried=0,
            holdings=0,
            updates=None,
            adjustments=() if outcome is None else outcome.adjustments,
            last_secret=bytes(32) if last is None else bytes.fromhex(last.secret),
        )

    def claims(self, *without: int) -> Claims:
        """What state and the reports say, but for the reports of the rounds `without`."""
        claims = Claims(CHAIN_ID, FEDERATION)
        claims.add_state(self.state())
        for name, report in self.reports.items():
            if report.round not in without:
                claims.add_report(name, report)
        return claims
