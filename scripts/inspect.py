"""Prints everything that the chain knows of a federation, as one block has it, for an auditor:
`brownie run inspect main federation=ADDRESS --network NETWORK`. Needs no account.

Amounts are in the smallest unit of the asset, rates in 10^-9 of it a second, compute time is in milliseconds. State
keeps the latest round whole, and of those before what they left and the record that chains them: `koinon audit` proves
from artifacts what they were, and re-computes what the artifacts say.
"""

from __future__ import annotations

from brownie import chain

from processor.chain.amounts import format_moment
from processor.chain.asset import Asset
from processor.types import Address, Block, Phase, Release, Result, RoundView, UpdateView
from scripts.common import find_federation, node, on_chain, or_fail, read_arguments, read_federation


def main(*arguments: str) -> None:
    federation = read_federation(find_federation(read_arguments(arguments, federation="")["federation"]))
    or_fail(show, federation)


def show(federation: on_chain.Federation) -> None:
    latest = node().eth.get_block("latest")
    block = Block(latest["number"], "0x" + latest["hash"].hex(), latest["timestamp"])
    view, updates = federation.round_view(at=block), federation.update_views(at=block)
    closed, paused = federation.closed(block), federation.paused(block)

    print(f"federation       {federation.address} on chain {chain.id}, made by {federation.made_by(block)}")
    print(f"block            {block.number} of {moment(block.timestamp)}")
    print_terms(federation, federation.asset())
    print(f"owner            {federation.owner(block)}, next: {federation.pending_owner(block) or 'nobody'}")
    print(f"owner nonce      {federation.owner_nonce(block)}")
    print(f"operator         {federation.operator(block) or 'nobody'}")
    print(f"paused           {'yes' if paused else 'no'}")
    print(f"closed           {'yes' if closed else 'no'}")
    print(f"latest release   {release(federation.latest_release(block))}")
    print(f"record           0x{federation.record(block).hex()}")
    members = federation.members(block)
    balances = print_members(federation, members, updates, block)
    for number, result in enumerate(federation.results(block), start=1):
        print_result(number, result)
    if view.round:
        print_round(view, updates)

    carried, balance = federation.carried(block), federation.holdings(block)
    live = view.pool if view.phase.live else 0
    owed, staked = (sum(amounts) for amounts in zip(*balances.values(), strict=True)) if balances else (0, 0)
    print("money")
    print(f"  balance        {balance}")
    print(f"  carried        {carried}")
    print(f"  live pool      {live}")
    print(f"  owed           {owed}")
    print(f"  stakes         {staked}")
    rest = balance - carried - live - owed - staked
    print(f"  not of these   {rest} (forfeited, slashed, forced upon it, or of clients that left and do not settle)")


def print_terms(federation: on_chain.Federation, asset: Asset) -> None:
    terms = federation.terms()
    kind = "the coin of the chain" if asset.native else asset.address
    print(f"asset            {asset.symbol} with {asset.decimals} decimals ({kind})")
    print(f"stake            {terms.stake}, of which {terms.max_slash_rate} basis points can be slashed")
    print(f"admission        {terms.admission.name.lower()}")
    print(f"audit policy     {terms.audit_policy.name.lower()}")
    print(f"spread           {terms.max_spread}-fold at most what a pool pays may be claimed")
    print(f"retired          {f'after {terms.idle_rounds} rounds of silence' if terms.idle_rounds else 'nobody'}")


def print_members(
    federation: on_chain.Federation, members: list[Address], updates: list[UpdateView], block: Block
) -> dict[Address, tuple[int, int]]:
    """Returns what they, and leavers with an update in the latest round, are owed, and what is left of their stakes."""
    leavers = [update.client for update in updates if update.client not in members]
    balances = {client: federation.balance_of(client, block) for client in [*members, *leavers]}
    print(f"members          {len(members)}")
    for place, client in enumerate([*members, *leavers]):
        owed, stake = balances[client]
        print(f"  {place if place < len(members) else 'left':<14} {client}, stake {stake}, owed {owed}")
    return balances


def print_result(number: int, result: Result) -> None:
    if not result.credited_ms and not any(result.sealing_key):
        print(f"result {number:<9} nothing yet, or nothing at all")
        return
    key = f", sealing key 0x{result.sealing_key.hex()}…" if any(result.sealing_key) else ", abandoned"
    print(f"result {number:<9} payable {result.payable} for {result.credited_ms} credited{key}")


def print_round(view: RoundView, updates: list[UpdateView]) -> None:
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
    for update in updates:
        print(f"  update         {update.client}")
        print(f"    cid          {update.update}")
        print(f"    compute      {update.compute_ms} {'credited' if update.adjusted else 'claimed'}")
        print(f"    slashed      {update.slash_rate} basis points of its stake")


def release(value: Release) -> str:
    return f"model {value.model or 'none'}, report {value.report or 'none'}"


def moment(timestamp: int) -> str:
    return format_moment(timestamp) if timestamp else "never"
