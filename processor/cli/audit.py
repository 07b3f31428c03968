"""`koinon audit`: recompute everything, without a key."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from processor.chain.amounts import format_ether
from processor.chain.federation import Federation
from processor.cli.connections import open_chain_and_storage
from processor.cli.options import AsJson, Config, FederationAddress, Ipfs, Rpc, Store, print_json, progress, table
from processor.observability import printable
from processor.protocol.audit import Audit, RoundAudit, describe
from processor.protocol.audit import audit as run_audit

HEADERS = ["round", "phase", "updates", "rejected", "metric*", "pool", "paid", "carried", "forfeited", "checks"]


app = typer.Typer()


@app.command(
    epilog="Example: koinon audit 0x1234… --rpc http://127.0.0.1:8545 --ipfs /ip4/127.0.0.1/tcp/5001",
)
def audit(
    federation: FederationAddress,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every round of a federation from the chain and the artifacts; status 1 on any violation."""
    web3, storage = open_chain_and_storage(rpc, ipfs, store, config)
    reader = Federation(web3, federation)
    with tempfile.TemporaryDirectory(prefix="koinon-audit-") as directory:
        result = run_audit(reader, storage, Path(directory), _progress)
    if as_json:
        print_json(_as_json(result))
    else:
        print(_as_text(result))
    if not result.ok:
        raise typer.Exit(1)


def _progress(done: int, total: int) -> None:
    progress(f"\raudited {done} of {total} rounds", end="\n" if done == total else "")


def _as_json(result: Audit) -> dict[str, Any]:
    return {
        "federation": result.federation,
        "chain_id": result.chain_id,
        "block": result.block,
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
                "pool_wei": str(row.pool),
                "paid_wei": str(row.paid),
                "carried_wei": str(row.carried),
                "forfeited_wei": str(row.forfeited),
                "recomputed": row.recomputed,
                "checks": row.checks,
            }
            for row in result.rounds
        ],
    }


def _as_text(result: Audit) -> str:
    lines = [
        f"federation {result.federation} on chain {result.chain_id} at block {result.block}",
        "(amounts in ETH; * as the organization claims)",
        "",
        table(HEADERS, [_row(row) for row in result.rounds]) if result.rounds else "no round has been opened",
        "",
    ]
    settled_on_claims = [str(row.round) for row in result.rounds if row.phase.over and not row.recomputed]
    if settled_on_claims:
        lines.append(f"settled on claims, not recomputed: round {', '.join(settled_on_claims)}")
    lines.append(f"{result.checks} checks, {len(result.violations)} violations")
    lines += [f"VIOLATION {printable(describe(violation))}" for violation in result.violations]
    return "\n".join(lines)


def _row(row: RoundAudit) -> list[str]:
    return [
        str(row.round),
        row.phase.name.lower(),
        str(row.updates),
        str(row.rejected),
        "" if row.metric is None else f"{row.metric:.4f}",
        *(format_ether(amount) for amount in (row.pool, row.paid, row.carried, row.forfeited)),
        str(row.checks),
    ]
