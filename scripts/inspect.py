"""Prints everything that the chain knows of a federation, as one block has it, for an auditor:
`brownie run inspect main federation=ADDRESS --network NETWORK`. Needs no account.

Amounts are in wei, compute time is in milliseconds. `koinon audit` also re-computes what the artifacts say.
"""

from __future__ import annotations

import time
from typing import Any

from brownie import ZERO_ADDRESS, chain, web3

from processor.cid import cid_from_digest
from scripts.common import find_federation, read_arguments

PAGE = 100
PHASES = ("none", "training", "aggregating", "finalized", "abandoned")


def main(*arguments: str) -> None:
    federation = find_federation(read_arguments(arguments, federation="")["federation"])
    block = web3.eth.block_number
    at = {"block_identifier": block}

    print(f"federation       {federation.address} on chain {chain.id}")
    print(f"block            {block} of {moment(web3.eth.get_block(block)['timestamp'])}")
    print(f"owner            {federation.owner(**at)}, next: {federation.pendingOwner(**at)}")
    print(f"closed           {'yes' if federation.closed(**at) else 'no'}")
    print(f"latest release   {release(federation.latestRelease(**at))}")
    print_members(federation, at)

    owed = live = forfeited = paid = 0
    for number in range(1, federation.roundCount(**at) + 1):
        round_ = federation.roundView(number, ZERO_ADDRESS, **at).dict()
        updates = [update.dict() for update in pages(federation.updates, round_["memberCount"], at, number)]
        print_round(round_, updates)
        paid += sum(update["reward"] for update in updates if update["claimed"])
        if PHASES[round_["phase"]] in ("training", "aggregating"):
            live += round_["pool"]
        else:
            rewards = sum(update["reward"] for update in updates)
            owed += sum(update["reward"] for update in updates if not update["claimed"])
            forfeited += round_["forfeited"] + round_["payable_"] - rewards

    carried = federation.carried(**at)
    balance = web3.eth.get_balance(federation.address, block)
    print("money")
    print(f"  balance        {balance}")
    print(f"  carried        {carried}")
    print(f"  live pool      {live}")
    print(f"  owed           {owed}")
    print(f"  forfeited      {forfeited}")
    print(f"  not of these   {balance - carried - live - owed - forfeited} (0 unless coins were forced upon it)")
    print(f"  paid           {paid}")


def print_members(federation: Any, at: dict[str, int]) -> None:
    count = federation.memberCount(**at)
    members = list(pages(federation.members, count, at))
    print(f"members          {sum(member != ZERO_ADDRESS for member in members)} of {count} ever registered")
    for index, member in enumerate(members):
        print(f"  {index:<14} {'left' if member == ZERO_ADDRESS else member}")


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
        print(f"    reward       {update['reward']}, {'claimed' if update['claimed'] else 'not claimed'}")


def pages(read: Any, count: int, at: dict[str, int], *arguments: Any) -> Any:
    """Everything that a paged view of `count` indices returns."""
    for start in range(0, count, PAGE):
        yield from read(*arguments, start, PAGE, **at)


def cid(digest: Any) -> str:
    return cid_from_digest(bytes.fromhex(str(digest).removeprefix("0x"))) or "none"


def release(value: Any) -> str:
    return f"model {cid(value['modelCid'])}, report {cid(value['reportCid'])}"


def moment(timestamp: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp)) if timestamp else "never"
