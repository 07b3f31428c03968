"""What `koinon audit` prints: the same as a table for a person and as JSON for a program."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from processor.chain.amounts import format_units
from processor.chain.asset import Asset
from processor.cli.options import asset_as_json, table
from processor.observability import printable
from processor.protocol.audit import Audit, Lowered, RoundAudit, describe
from processor.protocol.settlement import REASONS

HEADERS = ["round", "phase", "updates", "rejected", "metric*", "pool", "paid", "carried", "forfeited", "checks"]


def as_json(result: Audit) -> dict[str, Any]:
    return {
        "federation": result.federation,
        "chain_id": result.chain_id,
        "block": result.block,
        "asset": None if result.asset is None else asset_as_json(result.asset),
        "ok": result.ok,
        "checks": result.checks,
        "violations": [asdict(violation) for violation in result.violations],
        "rounds": [
            {
                "round": row.round,
                "phase": row.phase.name.lower(),
                "updates": row.updates,
                "rejected": row.rejected,
                "claimed_metric": row.metric,
                "pool": str(row.pool),
                "paid": str(row.paid),
                "carried": str(row.carried),
                "forfeited": str(row.forfeited),
                "lowered": [asdict(lowered) for lowered in row.lowered],
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
    settled_on_claims = [str(row.round) for row in result.rounds if row.phase.over and not row.recomputed]
    if settled_on_claims:
        lines.append(f"settled on claims, not recomputed: round {', '.join(settled_on_claims)}")
    lines.append(f"{result.checks} checks, {len(result.violations)} violations")
    lines += [f"VIOLATION {printable(describe(violation))}" for violation in result.violations]
    return "\n".join(lines)


def _lowered(lowered: Lowered) -> str:
    why = REASONS.get(lowered.reason or "", "for a reason that this version does not know")
    slashed = f", and loses {lowered.slash_rate / 100:g} % of its stake" if lowered.slash_rate else ""
    return f"{lowered.client} is credited {lowered.credited_ms} of {lowered.claimed_ms} ms{slashed}: {why}"


def _row(row: RoundAudit, asset: Asset) -> list[str]:
    return [
        str(row.round),
        row.phase.name.lower(),
        str(row.updates),
        str(row.rejected),
        "" if row.metric is None else f"{row.metric:.4f}",
        *(format_units(amount, asset.decimals) for amount in (row.pool, row.paid, row.carried, row.forfeited)),
        str(row.checks),
    ]
