"""`koinon status`: where a federation stands, for anyone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import typer

from processor.chain.amounts import format_units
from processor.chain.asset import Asset
from processor.chain.federation import Federation
from processor.chain.snapshot import Snapshot, Snapshots
from processor.cli.connections import open_chain
from processor.cli.options import AsJson, Config, FederationAddress, Rpc, asset_as_json, print_json
from processor.config import RATE_DECIMALS
from processor.protocol.idle import retirable, silent_count, silent_in, waited_seconds
from processor.protocol.rewards import rate_in_words
from processor.types import Address, Phase, RoundView
from processor.words import counted

app = typer.Typer()


@app.command(epilog="Example: koinon status 0x1234… --rpc http://127.0.0.1:8545")
def status(federation: FederationAddress, rpc: Rpc = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show terms, roles, phase, deadlines, updates, pool, guaranteed floor and current model of a federation."""
    reader = Federation(open_chain(rpc, config), federation)
    snapshot = Snapshots(reader).latest()
    view = None if snapshot.view.phase is Phase.NONE else snapshot.view
    summary = _summary(snapshot, view)
    if as_json:
        print_json(summary)
    else:
        print(_text(summary, reader.asset(), view))


def _summary(snapshot: Snapshot, view: RoundView | None) -> dict[str, Any]:
    reader, release, terms = snapshot.federation, snapshot.release, snapshot.terms
    return {
        "federation": reader.address,
        "chain_id": reader.chain_id,
        "block": snapshot.block.number,
        "owner": snapshot.owner,
        "operator": snapshot.operator,
        "asset": asset_as_json(reader.asset()),
        "stake": str(terms.stake),
        "max_slash_rate": terms.max_slash_rate,
        "admission": terms.admission.name.lower(),
        "audit_policy": terms.audit_policy.name.lower(),
        "max_spread": terms.max_spread,
        "idle_rounds": terms.idle_rounds,
        "paused": snapshot.paused,
        "closed": snapshot.closed,
        "members": snapshot.member_count,
        "model": release.model,
        "report": release.report,
        "carried": str(snapshot.carried),
        "idle": list(_idle_members(snapshot)),
        "round": None if view is None else _round(view),
    }


def _idle_members(snapshot: Snapshot) -> tuple[Address, ...]:
    """Whose membership anybody may end now."""
    view, idle_rounds = snapshot.view, snapshot.terms.idle_rounds
    if not idle_rounds or not silent_count(view) or view.phase is Phase.TRAINING:
        return ()
    views = snapshot.federation.client_views(snapshot.members, at=snapshot.block)
    return retirable(view, silent_in(view, views), idle_rounds)


def _round(view: RoundView) -> dict[str, Any]:
    return {
        "round": view.round,
        "phase": view.phase.name.lower(),
        "training_deadline": view.training_deadline,
        "aggregation_deadline": view.aggregation_deadline,
        "plan": view.plan,
        "updates": view.update_count,
        "selected": view.selected_count,
        "absent": view.absent_count,
        "silent": silent_count(view),
        "waited_seconds": waited_seconds(view),
        "claimed_ms": view.claimed_ms,
        "pool": str(view.pool),
        "reward_rate_cap": format_units(view.reward_rate_cap, RATE_DECIMALS),
        "guaranteed_rate": format_units(view.guaranteed_rate, RATE_DECIMALS),
    }


def _text(summary: dict[str, Any], asset: Asset, view: RoundView | None) -> str:
    def amount(key: str) -> str:
        return asset.format(int(summary[key]))

    standing = " (closed)" if summary["closed"] else " (paused)" if summary["paused"] else ""
    lines = [
        f"federation        {summary['federation']} on chain {summary['chain_id']}, block {summary['block']}",
        f"owner             {summary['owner']}{standing}",
        f"operator          {summary['operator'] or 'none'}",
        f"admission         {summary['admission']}, with a stake of {amount('stake')}, of which a round slashes "
        f"at most {summary['max_slash_rate'] / 100:g} %",
        f"audit             {summary['audit_policy']}",
        f"spread            rejecting others can raise any pay at most {summary['max_spread']}-fold",
        f"silence           {_idle(summary['idle_rounds'])}",
        f"members           {summary['members']}",
        *(
            f"idle              {client}: anybody may end this membership now (`koinon organization retire`)"
            for client in summary["idle"]
        ),
        f"current model     {summary['model'] or 'none yet'}",
        f"its report        {summary['report'] or 'none'}",
        f"carried           {amount('carried')}",
    ]
    if view is None:
        return "\n".join([*lines, "round             none has been opened"])
    return "\n".join(
        [
            *lines,
            f"round             {view.round}, {view.phase.name.lower()}",
            f"training ends     {_time(view.training_deadline)}, or when nobody is waited for any more",
            f"aggregation ends  {_time(view.aggregation_deadline)}",
            f"updates           {view.update_count} of {view.selected_count} selected, {view.claimed_ms} ms of compute",
            *_silence(view),
            f"pool              {asset.format(view.pool)}",
            f"wage              {rate_in_words(asset, view.reward_rate_cap)} for a second of compute at most",
            f"guaranteed        {rate_in_words(asset, view.guaranteed_rate)} for every credited second",
        ]
    )


def _silence(view: RoundView) -> Iterator[str]:
    """Who is waited for, or was, and what that costs the others: time, since nobody is paid for waiting."""
    count, period = silent_count(view), view.training_deadline - view.opened_at
    if view.phase is Phase.TRAINING:
        cost = f", for whom the others wait up to the whole {period} s of training" if count else ""
        yield f"awaited           {count}{cost}"
    elif count:
        yield (
            f"silent            {count}, for whom the others waited the whole {period} s of training: a missing member "
            "costs everybody a full period"
        )


def _idle(rounds: int) -> str:
    return f"ends a membership after {counted(rounds, 'round')}" if rounds else "ends no membership"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
