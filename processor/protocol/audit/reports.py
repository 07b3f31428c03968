"""What a report says of its own round and of those before, held against what the chain's record proves. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from processor.artifacts.report import MAX_ABANDONED, AbandonedRound, FinishedRound, Report
from processor.chain.commitments import NO_RECORD
from processor.errors import ArtifactError
from processor.protocol.audit.on_chain import ChainState
from processor.protocol.audit.verdict import Checks
from processor.protocol.history import Link, digest_of_report, link_of_finished, link_of_report, record_after
from processor.protocol.walk.claims import RoundList, Step
from processor.types import Adjustment, Cid, Opening, Phase, Submitted

BEFORE = 2
"""So many finalized rounds a report names."""

Steps = Mapping[int, Step]


def check_report(
    checks: Checks, state: ChainState, step: Step, report: Report, cid: Cid | None = None, secret: bytes | None = None
) -> None:
    """The report speaks of this federation, and of this round as the record has it. `cid` is the report's own, `secret`
    the one that belongs to the key in it, where it is known."""
    number = step.round
    checks.equal(number, "chain id in the report", state.chain_id, report.chain_id)
    checks.equal(number, "federation in the report", state.federation, report.federation)
    if step.link is not None:
        _check_own_round(checks, step.link, report)
        checks.equal(
            number, "record before the round in the report", step.link.record_before.hex(), report.record_before
        )
    elif step.round == state.head and state.view.phase is Phase.FINALIZED:
        _check_unexplained(checks, state, report)
    elif step.record is not None and cid is not None and secret is not None:
        found = link_of_report(report, cid, secret).record()
        checks.equal(number, "record that the report leads to", step.record, found)
    if step.list is not None and step.link is not None:
        _check_list(checks, number, step.list, report)


def _check_own_round(checks: Checks, link: Link, report: Report) -> None:
    number, outcome = link.round, link.outcome
    checks.equal(number, "digest of opening and updates in the report", link.digest, digest_of_report(report))
    if outcome is None:
        return
    checks.equal(number, "model in the report", outcome.model, report.model)
    checks.equal(number, "credited time in total in the report", outcome.credited_ms, report.credited_ms)
    lowered = {item.client: item for item in outcome.adjustments}
    for line in report.updates:
        item = lowered.pop(line.client, None) or Adjustment(line.client, line.claimed_ms, 0)
        checks.equal(number, f"credited time of {line.client} in the report", item.credited_ms, line.credited_ms)
        checks.equal(number, f"slash rate of {line.client} in the report", item.slash_rate, line.slash_rate)
    checks.equal(number, "adjusted clients that the report leaves out", [], sorted(lowered))


def _check_unexplained(checks: Checks, state: ChainState, report: Report) -> None:
    """The report of the latest round does not lead to the record: what state still holds of the round says in what it
    lies."""
    view, number = state.view, state.head
    same = checks.equal(number, "digest of opening and updates in the report", view.digest, digest_of_report(report))
    same &= checks.equal(number, "model in the report", view.released.model, report.model)
    same &= checks.equal(number, "credited time in total in the report", view.credited_ms, report.credited_ms)
    given = {item.client: item for item in report.adjustments}
    for item in state.adjustments:
        found = given.get(item.client)
        same &= checks.equal(
            number,
            f"adjustment of {item.client} in the report",
            (item.credited_ms, item.slash_rate),
            None if found is None else (found.credited_ms, found.slash_rate),
        )
    if same:
        checks.holds(
            number,
            "record before the round in the report",
            False,
            f"one that leads to the record {state.record.hex()}",
            report.record_before,
        )


def _check_list(checks: Checks, number: int, known: RoundList, report: Report) -> None:
    """Names what differs where the list is known from elsewhere."""
    found = report.opening.value()
    for field in fields(Opening):
        expected, given = getattr(known.opening, field.name), getattr(found, field.name)
        checks.equal(number, f"{field.name} of the opening in the report", expected, given)
    expected, given = by_client(known.updates), by_client(report.submitted)
    if not checks.equal(number, "clients in the report", sorted(expected), sorted(given)):
        return
    for client, line in expected.items():
        checks.equal(number, f"update of {client} in the report", line.update, given[client].update)
        checks.equal(number, f"claimed time of {client} in the report", line.compute_ms, given[client].compute_ms)
    checks.equal(number, "order of the updates in the report", list(expected), list(given))


def by_client(updates: Sequence[Submitted]) -> dict[str, Submitted]:
    return {line.client: line for line in updates}


# ----------------------------------------------------------------------------------------------- the rounds before


def check_history(checks: Checks, number: int, report: Report, steps: Steps, listed: Mapping[Cid, bytes]) -> None:
    """What the report says of earlier rounds is what the record proves of them; where nothing proves it, it is at least
    in keeping with itself."""
    _check_rounds(checks, number, report, steps)
    for one in report.before:
        _check_finished(checks, number, one, steps.get(one.round))
        for lost in one.abandoned:
            _check_abandoned(checks, number, lost, steps.get(lost.round), listed)
    for lost in report.abandoned:
        _check_abandoned(checks, number, lost, steps.get(lost.round), listed)
    _check_leads(checks, number, report)


def _check_rounds(checks: Checks, number: int, report: Report, steps: Steps) -> None:
    """The very rounds that were finalized and abandoned before, none left out."""
    lists = {number: report.abandoned} | {one.round: one.abandoned for one in report.before}
    for round, named in lists.items():
        finalized, abandoned = _rounds_before(steps, round)
        if finalized is not None:
            subject = f"abandoned rounds before round {round} in the report"
            checks.equal(number, subject, abandoned[-MAX_ABANDONED:], [one.round for one in named])
    expected: list[int] = []
    below: int | None = number
    while below and len(expected) < BEFORE:
        below, _ = _rounds_before(steps, below)
        expected += [below] if below else []
    if below is not None:
        checks.equal(number, "rounds in before of the report", expected, [one.round for one in report.before])


def _rounds_before(steps: Steps, round: int) -> tuple[int | None, list[int]]:
    """The last round before that was finalized, 0 for none and None where that is not known, and those in between."""
    abandoned: list[int] = []
    for below in range(round - 1, 0, -1):
        step = steps.get(below)
        if step is None or step.link is None:
            return None, abandoned
        if step.link.outcome is not None:
            return below, abandoned
        abandoned.insert(0, below)
    return 0, abandoned


def _check_finished(checks: Checks, number: int, found: FinishedRound, step: Step | None) -> None:
    where = f"in before of the report, round {found.round}"
    link = step.link if step is not None else None
    if link is None or link.outcome is None:
        checks.equal(number, f"record {where}", link_of_finished(found).record().hex(), found.record)
        return
    outcome = link.outcome
    for subject, expected, given in (
        ("record before it", link.record_before.hex(), found.record_before),
        ("record", link.record().hex(), found.record),
        ("digest", link.digest.hex(), found.digest),
        ("number of updates", link.update_count, found.update_count),
        ("claimed time", link.claimed_ms, found.claimed_ms),
        ("credited time", outcome.credited_ms, found.credited_ms),
        ("model", outcome.model, found.model),
        ("report", outcome.report, found.report),
        ("secret", outcome.secret.hex(), found.secret),
        ("adjustments", outcome.adjustments, found.outcome.adjustments),
    ):
        checks.equal(number, f"{subject} {where}", expected, given)


def _check_abandoned(
    checks: Checks, number: int, found: AbandonedRound, step: Step | None, listed: Mapping[Cid, bytes]
) -> None:
    where = f"abandoned round {found.round}"
    link = step.link if step is not None else None
    if link is not None:
        checks.equal(number, f"digest of {where} in the report", link.digest.hex(), found.digest)
        checks.equal(number, f"number of updates of {where} in the report", link.update_count, found.update_count)
        checks.equal(number, f"claimed time of {where} in the report", link.claimed_ms, found.claimed_ms)
    if found.list in listed:
        expected = link.digest.hex() if link is not None else found.digest
        checks.equal(number, f"digest of the list of {where} in the report", expected, listed[found.list].hex())


def _check_leads(checks: Checks, number: int, report: Report) -> None:
    """From the record of the last round before, over the abandoned ones, to the record before this round."""
    if len(report.abandoned) == MAX_ABANDONED:
        return  # more than a report names: the first of them are missing
    start = bytes.fromhex(report.before[0].record) if report.before else NO_RECORD
    try:
        end = record_after(start, report.abandoned).hex()
    except ArtifactError as error:
        end = str(error)
    checks.equal(number, "record that before and abandoned of the report lead to", report.record_before, end)
