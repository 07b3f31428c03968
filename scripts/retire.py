"""Ends the membership of a client that the latest round selected, and that has been silent for as many rounds as the
terms say: `brownie run retire main federation=ADDRESS client=ADDRESS --network NETWORK`.

Anyone may, from the end of a round's training until the next opens. Stake and rewards stay the client's own.
"""

from __future__ import annotations

from processor.chain.contracts import to_address
from scripts.common import REQUIRED, confirm, find_federation, or_fail, read_arguments, transact


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", client=REQUIRED)
    federation, client = find_federation(values["federation"]), or_fail(to_address, values["client"])
    confirm(f"End the membership of {client} in {federation.address}?")
    transact(federation.retire, client)
    print(f"{client} is no member any more; {federation.memberCount()} are left")
