"""Prints everything that the chain knows of a federation, as one block has it, for an auditor:
`brownie run inspect main federation=ADDRESS --network NETWORK`. Needs no account.

Amounts are in the smallest unit of the asset, compute time is in milliseconds. `koinon audit` also re-computes what the
artifacts say.
"""

from __future__ import annotations

from typing import Any

from brownie import ZERO_ADDRESS, chain, web3

from processor.chain.amounts import format_moment
from processor.chain.asset import balance_of
from processor.cid import cid_from_digest
from processor.types import Admission, AuditPolicy, Block
from scripts.common import asset_of, find_federation, or_fail, pages, read_arguments

PHASES = ("none", "training", "aggregating", "finalized", "abandoned")


def main(*arguments: str) -> None:
    federation = find_federation(read_arguments(arguments, federation="")["federation"])
    latest = web3.eth.get_block("latest")
    block = Block(latest["number"], "0x" + latest["hash"].hex(), latest["timestamp"])
    at = {"block_identifier": block.number}

    print(f"federation       {federation.address} on chain {chain.id}")
    print(f"block            {block.number} of {moment(block.timestamp)}")
    print_terms(federation)
    print(f"owner            {federation.owner(**at)}, next: {somebody(federation.pendingOwner(**at))}")
    print(f"operator         {somebody(federation.operator(**at))}")
    print(f"paused           {'yes' if federation.paused(**at) else 'no'}")
    print(f"closed           {'yes' if federation.closed(**at) else 'no'}")
    print(f"latest release   {release(federation.latestRelease(**at))}")
    stakes = print_members(federation, at)

    owed = live = forfeited = paid = 0
    for number in range(1, federation.roundCount(**at) + 1):
        round_ = federation.roundView(number, ZERO_ADDRESS, **at).dict()
        updates = [update.dict() for update in pages(federation.updates, round_["memberCount"], number, **at)]
        print_round(round_, updates)
        stakes |= {update["client"]: update["stake"] for update in updates}
        paid += sum(update["reward"] for update in updates if update["claimed"])
        if PHASES[round_["phase"]] in ("training", "aggregating"):
            live += round_["pool"]
        else:
            rewards = sum(update["reward"] for update in updates)
            owed += sum(update["reward"] for update in updates if not update["claimed"])
            forfeited += round_["forfeited"] + round_["payable_"] - rewards

    carried, staked = federation.carried(**at), sum(stakes.values())
    balance = or_fail(balance_of, web3, asset_of(federation), federation.address, block)
    print("money")
    print(f"  balance        {balance}")
    print(f"  carried        {carried}")
    print(f"  live pool      {live}")
    print(f"  owed           {owed}")
    print(f"  stakes         {staked}")
    print(f"  forfeited      {forfeited}")
    print(f"  not of these   {balance - carried - live - owed - staked - forfeited} (slashed, or forced upon it)")
    print(f"  paid           {paid}")


def print_terms(federation: Any) -> None:
    terms, asset = federation.terms().dict(), asset_of(federation)
    kind = "the coin of the chain" if asset.native else asset.address
    print(f"asset            {asset.symbol} with {asset.decimals} decimals ({kind})")
    print(f"stake            {terms['stake']}, of which {terms['maxSlashRate']} basis points can be slashed")
    print(f"admission        {Admission(terms['admission']).name.lower()}")
    print(f"audit policy     {AuditPolicy(terms['auditPolicy']).name.lower()}")


def print_members(federation: Any, at: dict[str, int]) -> dict[str, int]:
    """Returns the stakes of the members. Who left may have one, too, until a round with its update is over."""
    members = list(pages(federation.members, federation.memberCount(**at), **at))
    stakes = {
        member: federation.roundView(0, member, **at)["client"]["stake"] for member in members if member != ZERO_ADDRESS
    }
    print(f"members          {len(stakes)} of {len(members)} ever registered")
    for index, member in enumerate(members):
        print(f"  {index:<14} {'left' if member == ZERO_ADDRESS else f'{member}, stake {stakes[member]}'}")
    return stakes


def print_round(round_: dict[str, Any], updates: list[dict[str, Any]]) -> None:
    print(f"round {round_['round']}")
    print(f"  phase          {PHASES[round_['phase']]}")
    print(f"  opened         {moment(round_['openedAt'])}")
    print(f"  training until {moment(round_['trainingDeadline'])}")
    print(f"  aggr. until    {moment(round_['aggregationDeadline'])}")
    print(f"  plan           {cid(round_['planCid'])}")
    print(f"  base           {release(round_['base'])}")
    print(f"  released       {release(round_['released'])}")
    print(f"  sealing key    {round_['sealingKey']}")
    print(f"  secret         {round_['secret'] if int(str(round_['secret']), 16) else 'not published'}")
    print(f"  selection      {round_['selectedCount']} of {round_['memberCount']}, offset {round_['selectionOffset']}")
    print(f"  updates        {round_['updateCount']} of at most {round_['maxUpdates']}")
    print(f"  compute        {round_['claimedMs']} claimed, {round_['creditedMs']} credited")
    print(f"  most compute   {round_['maxComputeMs']} for each client")
    print(f"  pool           {round_['pool']}")
    print(f"  wage           at most {round_['rewardRateCap']} a second, at least {round_['guaranteedRate']}")
    print(f"  payable        {round_['payable_']}, surplus {round_['surplus']}, forfeited {round_['forfeited']}")
    for update in updates:
        print(f"  update         {update['client']} (index {update['index']}{'' if update['member'] else ', left'})")
        print(f"    cid          {cid(update['updateCid'])}")
        print(f"    samples      {update['samples']}")
        print(f"    compute      {update['computeMs']} claimed, {update['creditedMs']} credited")
        print(f"    slashed      {update['slashRate']} basis points of its stake")
        print(f"    reward       {update['reward']}, {'claimed' if update['claimed'] else 'not claimed'}")


def cid(digest: Any) -> str:
    return cid_from_digest(bytes.fromhex(str(digest).removeprefix("0x"))) or "none"


def release(value: Any) -> str:
    return f"model {cid(value['modelCid'])}, report {cid(value['reportCid'])}"


def somebody(address: str) -> str:
    return "nobody" if address == ZERO_ADDRESS else address


def moment(timestamp: int) -> str:
    return format_moment(timestamp) if timestamp else "never"
