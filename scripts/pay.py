"""Pays rewards that clients have not claimed, each to the client's own address:
`brownie run pay main federation=ADDRESS [client=ADDRESS] --network NETWORK`, to everybody unless `client` says whom.

Anyone may, and it costs the signer only the gas.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from processor.chain.contracts import to_address
from processor.errors import ChainError
from scripts.common import asset_of, attempt, confirm, find_federation, or_fail, pages, read_arguments

ROUNDS_AT_ONCE = 50


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", client="")
    only = or_fail(to_address, values["client"]) if values["client"] else None
    federation = find_federation(values["federation"])
    owed = {client: rounds for client, rounds in owed_by(federation).items() if only in (None, client)}
    asset = asset_of(federation)
    amount = asset.format(sum(sum(rounds.values()) for rounds in owed.values()))
    if not owed:
        print("nothing is owed")
        return
    confirm(f"Pay {amount} that {federation.address} owes to {len(owed)} client(s)?")
    for client, rounds in owed.items():
        numbers = list(rounds)
        try:
            for start in range(0, len(numbers), ROUNDS_AT_ONCE):
                attempt(federation.claimFor, client, numbers[start : start + ROUNDS_AT_ONCE])
        except ChainError as error:  # one that takes no payment keeps nobody else from theirs
            print(f"{client} was not paid: {error}")
        else:
            print(f"paid {asset.format(sum(rounds.values()))} to {client}")


def owed_by(federation: Any) -> dict[str, dict[int, int]]:
    """What each client has not claimed yet, by round."""
    owed: dict[str, dict[int, int]] = defaultdict(dict)
    for number in range(1, federation.roundCount() + 1):
        for update in pages(federation.updates, federation.memberCount(), number):
            if update["reward"] and not update["claimed"]:
                owed[update["client"]][number] = update["reward"]
    return owed
