"""Prints everything that the chain knows of a federation, as one block has it, for an auditor:
`brownie run inspect main federation=ADDRESS --network NETWORK`. Needs no account.

Amounts are in the smallest unit of the asset, rates in 10^-9 of it a second, compute time is in milliseconds. State
keeps the latest round whole, and of those before what they left and the record that chains them: `koinon audit` proves
from artifacts what they were, and re-computes what the artifacts say.
"""

from __future__ import annotations

from processor.chain.amounts import format_moment
from processor.chain.snapshot import Snapshot, Snapshots
from processor.types import Phase, Release, Result
from processor.words import counted
from scripts.arguments import read_arguments
from scripts.common import find_federation, script


@script
def main(*arguments: str) -> None:
    found = Snapshots(find_federation(read_arguments(arguments, federation="")["federation"])).latest()
    print_federation(found)
    print_members(found)
    for number, result in enumerate(found.results, start=1):
        print_result(number, result)
    if found.view.round:
        print_round(found)
    print_money(found)


def print_federation(found: Snapshot) -> None:
    federation, block, terms, asset = found.federation, found.block, found.terms, found.federation.asset()
    kind = "the coin of the chain" if asset.native else asset.address
    print(f"federation       {federation.address} on chain {federation.chain_id}, made by {federation.made_by(block)}")
    print(f"block            {block.number} of {moment(block.timestamp)}")
    print(f"asset            {asset.symbol} with {asset.decimals} decimals ({kind})")
    print(f"stake            {terms.stake}, of which {terms.max_slash_rate} basis points can be slashed")
    print(f"admission        {terms.admission.name.lower()}")
    print(f"audit policy     {terms.audit_policy.name.lower()}")
    print(f"spread           {terms.max_spread}-fold at most what a pool pays may be claimed")
    silence = f"after {counted(terms.idle_rounds, 'round')} of silence"
    print(f"retired          {silence if terms.idle_rounds else 'nobody'}")
    print(f"owner            {found.owner}, next: {federation.pending_owner(block) or 'nobody'}")
    print(f"owner nonce      {federation.owner_nonce(block)}")
    print(f"operator         {found.operator or 'nobody'}")
    print(f"paused           {'yes' if found.paused else 'no'}")
    print(f"closed           {'yes' if found.closed else 'no'}")
    print(f"latest release   {release(found.release)}")
    print(f"record           0x{found.record.hex()}")


def print_members(found: Snapshot) -> None:
    """With the leavers who have an update in the latest round."""
    count = len(found.members)
    print(f"members          {count}")
    for place, (client, (owed, stake)) in enumerate(found.balances(found.clients).items()):
        print(f"  {place if place < count else 'left':<14} {client}, stake {stake}, owed {owed}")


def print_money(found: Snapshot) -> None:
    live = found.view.pool if found.view.phase.live else 0
    balances = found.balances(found.clients).values()
    owed, staked = sum(owed for owed, _ in balances), sum(stake for _, stake in balances)
    rest = found.holdings - found.carried - live - owed - staked
    print("money")
    print(f"  balance        {found.holdings}")
    print(f"  carried        {found.carried}")
    print(f"  live pool      {live}")
    print(f"  owed           {owed}")
    print(f"  stakes         {staked}")
    print(f"  not of these   {rest} (forfeited, slashed, forced upon it, or of clients that left and do not settle)")


def print_result(number: int, result: Result) -> None:
    if not result.credited_ms and not any(result.sealing_key):
        print(f"result {number:<9} nothing yet, or nothing at all")
        return
    key = f", sealing key 0x{result.sealing_key.hex()}…" if any(result.sealing_key) else ", abandoned"
    print(f"result {number:<9} payable {result.payable} for {result.credited_ms} credited{key}")


def print_round(found: Snapshot) -> None:
    view = found.view
    print(f"round {view.round}")
    print(f"  phase          {view.phase.name.lower()}")
    print(f"  opened         {moment(view.opened_at)}")
    print(f"  training until {moment(view.training_deadline)}")
    print(f"  aggr. until    {moment(view.aggregation_deadline)}")
    print(f"  plan           {view.plan or 'none'}")
    if view.phase is Phase.FINALIZED:
        print(f"  released       {release(view.released)}")
    else:
        print(f"  base           {release(view.base)}")
    print(f"  sealing key    0x{view.sealing_key.hex()}")
    print(f"  secret         {'0x' + view.secret.hex() if any(view.secret) else 'not published'}")
    print(f"  selection      {view.selected_count} of {view.member_count}, offset {view.selection_offset}")
    print(f"  digest         0x{view.digest.hex()}")
    print(f"  updates        {view.update_count} of at most {view.max_updates}, {view.absent_count} not awaited")
    print(f"  compute        {view.claimed_ms} claimed, {view.credited_ms} credited")
    print(f"  most compute   {view.max_compute_ms} for each client")
    print(f"  pool           {view.pool}")
    print(f"  wage           at most {view.reward_rate_cap} a second, at least {view.guaranteed_rate}")
    print(f"  payable        {view.payable}, surplus {view.surplus}, forfeited {view.forfeited}")
    for update in found.update_views:
        print(f"  update         {update.client}")
        print(f"    cid          {update.update}")
        print(f"    compute      {update.compute_ms} {'credited' if update.adjusted else 'claimed'}")
        print(f"    slashed      {update.slash_rate} basis points of its stake")


def release(value: Release) -> str:
    return f"model {value.model or 'none'}, report {value.report or 'none'}"


def moment(timestamp: int) -> str:
    return format_moment(timestamp) if timestamp else "never"
