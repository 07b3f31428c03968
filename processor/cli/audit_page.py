"""What `koinon audit` prints: the same as a table for a person and as JSON for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from processor.chain.amounts import format_units
from processor.chain.asset import Asset
from processor.cli.options import asset_as_json, table
from processor.observability import printable
from processor.protocol.audit import Audit, Lowered, PlanChange, RoundAudit, Stop, Unproved, describe
from processor.protocol.judge import REASONS
from processor.protocol.receipts import Finding, unkept
from processor.words import counted

HEADERS = ["round", "phase", "updates", "rejected", "metric", "pool", "paid", "carried", "forfeited", "checks"]
UNKNOWN = "?"
SHOWN = 20
"""Differences of two plans that are printed, and entries of a report's versions; the JSON has all of them."""
LONGEST = 120
"""Characters of a value that are printed."""


def as_json(result: Audit) -> dict[str, Any]:
    return {
        "federation": result.federation,
        "chain_id": result.chain_id,
        "block": result.block,
        "asset": None if result.asset is None else asset_as_json(result.asset),
        "ok": result.ok,
        "complete": result.complete,
        "checks": result.checks,
        "violations": [asdict(violation) for violation in result.violations],
        "unproved": [asdict(unproved) for unproved in result.unproved],
        "undecided": [row.round for row in result.undecided],
        "rounds": [
            {
                "round": row.round,
                "phase": None if row.phase is None else row.phase.name.lower(),
                "updates": row.updates,
                "rejected": row.rejected,
                "claimed_metric": row.metric,
                "measured_metric": row.measured,
                "stop": None if row.stop is None else _stop_as_json(row.stop),
                "plan_change": None if row.change is None else _change_as_json(row.change),
                "claimed_versions": dict(row.versions),
                "pool": None if row.pool is None else str(row.pool),
                "paid": None if row.paid is None else str(row.paid),
                "carried": None if row.carried is None else str(row.carried),
                "forfeited": None if row.forfeited is None else str(row.forfeited),
                "lowered": [asdict(lowered) for lowered in row.lowered],
                "proved": row.proved,
                "recomputed": row.recomputed,
                "checks": row.checks,
            }
            for row in result.rounds
        ],
    }


def as_text(result: Audit) -> str:
    lines = [f"federation {result.federation} on chain {result.chain_id} at block {result.block}"]
    if result.asset is not None and result.rounds:
        rows = [_row(row, result.asset) for row in result.rounds]
        legend = f"(amounts in {result.asset.symbol}; metric as this audit measured it, * as the organization claims)"
        lines += [legend, "", table(HEADERS, rows), ""]
    else:
        lines += ["no round was looked into" if result.asset is None else "no round has been opened", ""]
    for row in result.rounds:
        lines += [f"round {row.round}: {_lowered(lowered)}" for lowered in row.lowered]
    lines += [printable(line) for row in result.rounds if row.change is not None for line in _change(row.change)]
    lines += [printable(line) for line in _made_by(result.rounds)]
    over = [row for row in result.rounds if row.phase is not None and row.phase.over]
    unproved = {one.round for one in result.unproved}
    settled_on_claims = [
        str(row.round) for row in over if row.proved and not row.recomputed and row.round not in unproved
    ]
    if settled_on_claims:
        lines.append(f"settled on claims, not recomputed: round {', '.join(settled_on_claims)}")
    lines += [printable(line) for line in _not_proved(result.unproved)]
    lines += [
        printable(_stopped(row.round, row.stop))
        for row in result.rounds
        if row.stop is not None and row.stop.reported is not None and not row.stop.undecided
    ]
    lines += [f"UNDECIDED {_undecided(row.round, row.stop)}" for row in result.undecided if row.stop is not None]
    also = f", {counted(len(unproved), 'round')} not proved" if unproved else ""
    also += f", {len(result.undecided)} stopping decisions undecided" if result.undecided else ""
    lines.append(f"{result.checks} checks, {len(result.violations)} violations{also}")
    lines += [f"VIOLATION {printable(describe(violation))}" for violation in result.violations]
    return "\n".join(lines)


def _stop_as_json(stop: Stop) -> dict[str, Any]:
    return {
        "reported": stop.reported,
        "decided": stop.decided,
        "by": "measured" if stop.measured else "claimed",
        "undecided": stop.undecided,
    }


def _change_as_json(change: PlanChange) -> dict[str, Any]:
    return {
        "since": change.since,
        "plan": change.plan,
        "compared": change.compared,
        "announced": change.announced,
        "differences": [{"name": name, "before": old, "after": new} for name, old, new in change.differences],
    }


def receipts_as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "file": finding.path.name,
            "verdict": finding.verdict.value,
            "relay": None if finding.receipt is None else finding.receipt.relay,
            "words": finding.words,
        }
        for finding in findings
    ]


def receipts_as_text(findings: Sequence[Finding]) -> list[str]:
    """A line for each receipt, and the relays to ask."""
    lines = [f"receipt: {printable(finding.words)}" for finding in findings]
    relays = unkept(findings)
    if relays:
        lines.append(f"RECEIPTS WITHOUT AN UPDATE of the relay {', '.join(relays)}")
    return lines


def _not_proved(unproved: tuple[Unproved, ...]) -> list[str]:
    """A line for each reason, with the rounds that it keeps from being proved."""
    rounds: dict[str, list[str]] = {}
    for one in unproved:
        rounds.setdefault(one.because, []).append(str(one.round))
    return [f"not proved: round {', '.join(numbers)}, because {because}" for because, numbers in rounds.items()]


def _change(change: PlanChange) -> list[str]:
    """A line for the change and one for each difference, as far as a page holds them."""
    announced = f"announced {change.announced}" if change.announced else "no announcement of it was found"
    first = f"round {change.round}: another plan than round {change.since}, {change.plan}; {announced}"
    if not change.compared:
        return [f"{first}; one of the two cannot be read"]
    shown = [f"  {name}: {_short(old)} before, now {_short(new)}" for name, old, new in change.differences[:SHOWN]]
    more = len(change.differences) - len(shown)
    return [first, *shown, *([f"  and {more} more"] if more else [])]


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"


def _made_by(rows: Sequence[RoundAudit]) -> list[str]:
    """A line for each set of versions that reports claim, with the rounds."""
    rounds: dict[str, list[str]] = {}
    for row in rows:
        if row.versions:
            said = ", ".join(f"{name} {version}" for name, version in sorted(row.versions.items())[:SHOWN])
            rounds.setdefault(said, []).append(str(row.round))
    return [f"made by {said}, as the organization claims: round {', '.join(made)}" for said, made in rounds.items()]


def _undecided(round: int, stop: Stop) -> str:
    return (
        f"round {round}: the stopping rule: the report says {_decision(stop.reported)}, and from the measured metrics "
        f"follows {_decision(stop.decided)}; within the tolerance of the metric it may be "
        f"{' or '.join(sorted(map(_decision, stop.possible)))}"
    )


def _stopped(round: int, stop: Stop) -> str:
    by = "by metrics that this audit measured" if stop.measured else "by metrics that the organization claims"
    return f"round {round}: no round follows under its plan ({stop.reported}), {by}"


def _decision(stop: str | None) -> str:
    return "go on" if stop is None else f"stop ({stop})"


def _lowered(lowered: Lowered) -> str:
    why = REASONS.get(lowered.reason or "", "for a reason that this version does not know")
    slashed = f", and loses {lowered.slash_rate / 100:g} % of its stake" if lowered.slash_rate else ""
    return f"{lowered.client} is credited {lowered.credited_ms} of {lowered.claimed_ms} ms{slashed}: {why}"


def _metric(row: RoundAudit) -> str:
    if row.measured is not None:
        return f"{row.measured:.4f}"
    return "" if row.metric is None else f"{row.metric:.4f}*"


def _row(row: RoundAudit, asset: Asset) -> list[str]:
    amounts = (row.pool, row.paid, row.carried, row.forfeited)
    return [
        str(row.round),
        UNKNOWN if row.phase is None else row.phase.name.lower(),
        UNKNOWN if row.updates is None else str(row.updates),
        UNKNOWN if row.rejected is None else str(row.rejected),
        _metric(row),
        *(UNKNOWN if amount is None else format_units(amount, asset.decimals) for amount in amounts),
        str(row.checks),
    ]
