"""Pays clients what they are owed, each to the client's own address:
`brownie run pay main federation=ADDRESS [client=ADDRESS] --network NETWORK`, to every member, and everybody with an
update in the latest round, unless `client` says whom.

Anyone may, and it costs the signer only the gas.
"""

from __future__ import annotations

from processor.chain.contracts import to_address
from processor.chain.snapshot import Snapshots
from processor.cli import actions
from scripts.arguments import read_arguments
from scripts.common import find_federation, script, send, signer


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", client="", yes="")
    snapshot = Snapshots(find_federation(values["federation"])).latest()
    clients = [to_address(values["client"])] if values["client"] else snapshot.clients
    proposal, refusals = actions.pay(snapshot, signer().address, clients)
    for client, refusal in refusals.items():
        print(f"{client} was not paid: {refusal}")
    send(proposal, values["yes"])
    print(proposal.done)
