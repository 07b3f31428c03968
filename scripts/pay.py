"""Pays clients what they are owed, each to the client's own address:
`brownie run pay main federation=ADDRESS [client=ADDRESS] --network NETWORK`, to every member, and everybody with an
update in the latest round, unless `client` says whom.

Anyone may, and it costs the signer only the gas.
"""

from __future__ import annotations

from processor.chain.contracts import to_address
from processor.errors import ChainError
from scripts.common import (
    asset_of,
    attempt,
    confirm,
    find_federation,
    on_chain,
    or_fail,
    read_arguments,
    read_federation,
)


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", client="")
    federation = find_federation(values["federation"])
    reader = read_federation(federation)
    clients = [or_fail(to_address, values["client"])] if values["client"] else clients_of(reader)
    owed = {client: or_fail(reader.balance_of, client)[0] for client in clients}
    owed = {client: amount for client, amount in owed.items() if amount}
    asset = asset_of(federation)
    if not owed:
        print("nothing is owed")
        return
    confirm(f"Pay {asset.format(sum(owed.values()))} that {federation.address} owes to {len(owed)} client(s)?")
    for client, amount in owed.items():
        try:
            attempt(federation.claimFor, client)
        except ChainError as error:  # one that takes no payment keeps nobody else from theirs
            print(f"{client} was not paid: {error}")
        else:
            print(f"paid {asset.format(amount)} to {client}")


def clients_of(reader: on_chain.Federation) -> list[str]:
    """Whom the state still names: whoever left long ago says its own address."""
    leavers = [update.client for update in or_fail(reader.update_views)]
    return list(dict.fromkeys([*or_fail(reader.members), *leavers]))
