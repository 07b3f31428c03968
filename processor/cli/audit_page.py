"""What `koinon audit` prints: the same as a table for a person and as JSON for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from processor.chain.amounts import format_units
from processor.chain.asset import Asset
from processor.cli.options import asset_as_json, table
from processor.observability import printable
from processor.protocol.audit import Audit, Lowered, RoundAudit, Unproved, describe
from processor.protocol.judge import REASONS
from processor.protocol.receipts import Finding, unkept

HEADERS = ["round", "phase", "updates", "rejected", "metric*", "pool", "paid", "carried", "forfeited", "checks"]
UNKNOWN = "?"


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
        "rounds": [
            {
                "round": row.round,
                "phase": None if row.phase is None else row.phase.name.lower(),
                "updates": row.updates,
                "rejected": row.rejected,
                "claimed_metric": row.metric,
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
        lines += [f"(amounts in {result.asset.symbol}; * as the organization claims)", "", table(HEADERS, rows), ""]
    else:
        lines += ["no round was looked into" if result.asset is None else "no round has been opened", ""]
    for row in result.rounds:
        lines += [f"round {row.round}: {_lowered(lowered)}" for lowered in row.lowered]
    over = [row for row in result.rounds if row.phase is not None and row.phase.over]
    unproved = {one.round for one in result.unproved}
    settled_on_claims = [
        str(row.round) for row in over if row.proved and not row.recomputed and row.round not in unproved
    ]
    if settled_on_claims:
        lines.append(f"settled on claims, not recomputed: round {', '.join(settled_on_claims)}")
    lines += [printable(line) for line in _not_proved(result.unproved)]
    also = f", {len(unproved)} rounds not proved" if unproved else ""
    lines.append(f"{result.checks} checks, {len(result.violations)} violations{also}")
    lines += [f"VIOLATION {printable(describe(violation))}" for violation in result.violations]
    return "\n".join(lines)


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


def _lowered(lowered: Lowered) -> str:
    why = REASONS.get(lowered.reason or "", "for a reason that this version does not know")
    slashed = f", and loses {lowered.slash_rate / 100:g} % of its stake" if lowered.slash_rate else ""
    return f"{lowered.client} is credited {lowered.credited_ms} of {lowered.claimed_ms} ms{slashed}: {why}"


def _row(row: RoundAudit, asset: Asset) -> list[str]:
    amounts = (row.pool, row.paid, row.carried, row.forfeited)
    return [
        str(row.round),
        UNKNOWN if row.phase is None else row.phase.name.lower(),
        UNKNOWN if row.updates is None else str(row.updates),
        UNKNOWN if row.rejected is None else str(row.rejected),
        "" if row.metric is None else f"{row.metric:.4f}",
        *(UNKNOWN if amount is None else format_units(amount, asset.decimals) for amount in amounts),
        str(row.checks),
    ]
