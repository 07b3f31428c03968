"""The audit of one round, with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from processor.artifacts.report import Report
from processor.protocol.audit.artifacts import Workplace, model_header, read_plan
from processor.protocol.audit.between import Lineage, check_follows
from processor.protocol.audit.chain import (
    Credits,
    check_credits,
    check_result,
    check_terms,
    check_view,
    credits_of,
    money_of_round,
    phase_of,
)
from processor.protocol.audit.money import Settled
from processor.protocol.audit.on_chain import ChainState
from processor.protocol.audit.plans import Posted, check_plan
from processor.protocol.audit.released import Released, check_released
from processor.protocol.audit.reports import check_history, check_report
from processor.protocol.audit.verdict import Checks, Lowered, PlanChange, RoundAudit
from processor.protocol.rewards import payable
from processor.protocol.walk.claims import RoundList, Step
from processor.types import AuditPolicy, Cid, Opening, Outcome, Phase, Release


@dataclass(frozen=True)
class Told:
    """The report of a round, if it could be had, with its CID and the secret that belongs to the key in it; the lists
    that were found under the CIDs that reports name; and who says whether a plan was announced by a post before a round
    opened."""

    report: Report | None
    cid: Cid | None
    secret: bytes | None
    steps: Mapping[int, Step]
    listed: Mapping[Cid, bytes]
    posted: Posted


@dataclass(frozen=True)
class Done:
    """What the audit found of a round, what the round hands to the next, and its money where it is over and known."""

    row: RoundAudit
    lineage: Lineage
    settled: Settled | None


def audit_round(checks: Checks, state: ChainState, step: Step, told: Told, before: Lineage, place: Workplace) -> Done:
    at_first, report = checks.count, told.report
    if report is not None:
        check_report(checks, state, step, report, told.cid, told.secret)
        check_history(checks, step.round, report, told.steps, told.listed)
    phase, outcome = phase_of(state, step), step.link.outcome if step.link is not None else None
    if step.list is None:
        return _unknown(checks, state, step, outcome, before, at_first)
    credits = credits_of(step.list, outcome.adjustments if outcome is not None else ())
    _check_chain(checks, state, step, step.list, credits, before)
    if step.round == 1:
        _check_initial(checks, step.list.opening, place)
    opening, plans = step.list.opening, before.learned.plans
    plan = read_plan(checks, opening, place)
    change = check_plan(checks, plans, opening, plan, told.posted)
    if phase is Phase.FINALIZED and outcome is not None:
        public = state.terms.audit_policy is AuditPolicy.OPEN
        released = check_released(checks, step.list, plan, outcome, report, before, public, place)
    elif phase is not Phase.FINALIZED and phase is not None:
        released = Released(replace(before, release=_base_of(step.list)))
    else:
        learned = replace(before.learned, reached=None, course=None)
        released = Released(replace(before, release=None, state=None, learned=learned))
    money = money_of_round(opening, credits) if phase is not None and phase.over else None
    after = replace(
        released.lineage,
        carried=None if money is None else money.carried,
        offset=opening.selection_offset,
        learned=replace(released.lineage.learned, plans=plans.after(opening, plan, report, phase is Phase.ABANDONED)),
    )
    row = _row(step, phase, step.list, credits, report, released, change, checks.count - at_first)
    return Done(row, after, Settled(step.list, credits) if money is not None else None)


def _base_of(known: RoundList) -> Release:
    return Release(known.opening.base_model, known.opening.base_report)


def _check_chain(
    checks: Checks, state: ChainState, step: Step, known: RoundList, credits: Credits, before: Lineage
) -> None:
    check_follows(checks, before, known.opening)
    check_terms(checks, state.terms, known.opening)
    check_credits(checks, state.terms, known, credits)
    if step.link is not None or step.round == state.head:
        check_result(checks, state, step, known.opening, credits)
    if step.round == state.head and (step.link is not None or state.head != state.view.chained):
        check_view(checks, state, known, credits)
    if step.link is not None and step.link.outcome is not None:
        checks.equal(step.round, "credited compute time in total", credits.credited_ms, step.link.outcome.credited_ms)


def _check_initial(checks: Checks, opening: Opening, place: Workplace) -> None:
    """The first model is the organization's own choice: it has to be one, and nothing explains it."""
    form = place.form(opening)
    model_header(checks, opening.round, f"initial model {opening.base_model}", opening.base_model, place, form)
    checks.equal(opening.round, "report of the base model", None, opening.base_report)


def _unknown(
    checks: Checks, state: ChainState, step: Step, outcome: Outcome | None, before: Lineage, at_first: int
) -> Done:
    """A round without a list: only what the record itself says of it can be held against state."""
    link = step.link
    if link is not None:
        credited = link.claimed_ms if outcome is None else outcome.credited_ms
        checks.equal(step.round, "credited compute time in results", credited, state.result(step.round).credited_ms)
    release = Release(outcome.model, outcome.report) if outcome is not None else None
    if link is not None and outcome is None:
        release = before.release
    goes_on = link is not None and outcome is None
    learned = before.learned
    if not goes_on:
        learned = replace(learned, reached=None, course=None, plans=replace(learned.plans, lost=True))
    server = before.state if goes_on else None
    lineage = Lineage(release=release, state=server, carried=None, offset=None, learned=learned)
    view = state.view if step.round == state.head else None
    updates = link.update_count if link is not None else None
    row = RoundAudit(
        round=step.round,
        phase=phase_of(state, step),
        updates=updates if view is None else view.update_count,
        rejected=None if link is None else _rejected_in(outcome),
        metric=None,
        measured=None,
        stop=None,
        pool=None if view is None else view.pool,
        paid=state.result(step.round).payable if view is None else view.payable,
        carried=None if view is None else view.surplus,
        forfeited=None if view is None else view.forfeited,
        lowered=(),
        versions={},
        change=None,
        checks=checks.count - at_first,
        proved=False,
        recomputed=False,
    )
    return Done(row, lineage, None)


def _rejected_in(outcome: Outcome | None) -> int:
    return 0 if outcome is None else sum(item.credited_ms == 0 for item in outcome.adjustments)


def _row(
    step: Step,
    phase: Phase | None,
    known: RoundList,
    credits: Credits,
    report: Report | None,
    released: Released,
    change: PlanChange | None,
    checks: int,
) -> RoundAudit:
    opening = known.opening
    reasons = {line.client: line.reason for line in report.updates} if report is not None else {}
    over = phase is not None and phase.over
    money = money_of_round(opening, credits)
    return RoundAudit(
        round=step.round,
        phase=phase,
        updates=len(known.updates),
        rejected=sum(ms == 0 for ms in credits.credited.values()),
        metric=report.metrics.after if report is not None else None,
        measured=released.measured,
        stop=released.stop,
        pool=opening.pool,
        paid=payable(opening.pool, opening.reward_rate_cap, credits.credited_ms) - money.rounding if over else 0,
        carried=money.carried if over else 0,
        forfeited=money.forfeited + money.rounding if over else 0,
        lowered=tuple(
            Lowered(client, claimed, credits.credited[client], credits.slash_rates[client], reasons.get(client))
            for client, claimed in credits.claimed.items()
            if credits.credited[client] < claimed
        ),
        versions=report.versions if report is not None else {},
        change=change,
        checks=checks,
        proved=step.proved,
        recomputed=released.recomputed,
    )
