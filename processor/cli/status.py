"""`koinon status`: where a federation stands, for anyone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer

from processor.chain.asset import Asset
from processor.chain.federation import Federation
from processor.cli.connections import open_chain
from processor.cli.options import AsJson, Config, FederationAddress, Rpc, asset_as_json, print_json
from processor.types import Block, RoundView

app = typer.Typer()


@app.command(epilog="Example: koinon status 0x1234… --rpc http://127.0.0.1:8545")
def status(federation: FederationAddress, rpc: Rpc = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show terms, roles, phase, deadlines, updates, pool, guaranteed floor and current model of a federation."""
    reader = Federation(open_chain(rpc, config), federation)
    block = reader.block()
    count = reader.round_count(at=block)
    view = reader.round_view(count, at=block) if count else None
    summary = _summary(reader, block, view)
    if as_json:
        print_json(summary)
    else:
        print(_text(summary, reader.asset()))


def _summary(reader: Federation, block: Block, view: RoundView | None) -> dict[str, Any]:
    release, terms = reader.latest_release(at=block), reader.terms()
    return {
        "federation": reader.address,
        "chain_id": reader.chain_id,
        "block": block.number,
        "owner": reader.owner(at=block),
        "operator": reader.operator(at=block),
        "asset": asset_as_json(reader.asset()),
        "stake": str(terms.stake),
        "max_slash_rate": terms.max_slash_rate,
        "admission": terms.admission.name.lower(),
        "audit_policy": terms.audit_policy.name.lower(),
        "paused": reader.paused(at=block),
        "closed": reader.closed(at=block),
        "members": sum(member is not None for member in reader.members(at=block)),
        "model": release.model,
        "report": release.report,
        "carried": str(reader.carried(at=block)),
        "round": None if view is None else _round(view),
    }


def _round(view: RoundView) -> dict[str, Any]:
    return {
        "round": view.round,
        "phase": view.phase.name.lower(),
        "training_deadline": view.training_deadline,
        "aggregation_deadline": view.aggregation_deadline,
        "plan": view.plan,
        "updates": view.update_count,
        "selected": view.selected_count,
        "claimed_ms": view.claimed_ms,
        "pool": str(view.pool),
        "reward_rate_cap": str(view.reward_rate_cap),
        "guaranteed_rate": str(view.guaranteed_rate),
    }


def _text(summary: dict[str, Any], asset: Asset) -> str:
    def amount(key: str, table: dict[str, Any] = summary) -> str:
        return asset.format(int(table[key]))

    standing = " (closed)" if summary["closed"] else " (paused)" if summary["paused"] else ""
    lines = [
        f"federation        {summary['federation']} on chain {summary['chain_id']}, block {summary['block']}",
        f"owner             {summary['owner']}{standing}",
        f"operator          {summary['operator'] or 'none'}",
        f"admission         {summary['admission']}, with a stake of {amount('stake')}, of which a round slashes "
        f"at most {summary['max_slash_rate'] / 100:g} %",
        f"audit             {summary['audit_policy']}",
        f"members           {summary['members']}",
        f"current model     {summary['model'] or 'none yet'}",
        f"its report        {summary['report'] or 'none'}",
        f"carried           {amount('carried')}",
    ]
    view = summary["round"]
    if view is None:
        return "\n".join([*lines, "round             none has been opened"])
    return "\n".join(
        [
            *lines,
            f"round             {view['round']}, {view['phase']}",
            f"training ends     {_time(view['training_deadline'])}, or when every selected client has submitted",
            f"aggregation ends  {_time(view['aggregation_deadline'])}",
            f"updates           {view['updates']} of {view['selected']} selected, {view['claimed_ms']} ms of compute",
            f"pool              {amount('pool', view)}",
            f"wage              {amount('reward_rate_cap', view)} for a second of compute at most",
            f"guaranteed        {amount('guaranteed_rate', view)} for every credited second",
        ]
    )


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
