"""Ends the membership of a client that the latest round selected, and that has been silent for as many rounds as the
terms say: `brownie run retire main federation=ADDRESS client=ADDRESS --network NETWORK`.

Anyone may, from the end of a round's training until the next opens. Stake and rewards stay the client's own.
"""

from __future__ import annotations

from processor.chain.contracts import to_address
from processor.cli import actions
from scripts.arguments import REQUIRED, read_arguments
from scripts.common import find_federation, script, send


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", client=REQUIRED, yes="")
    federation = find_federation(values["federation"])
    proposal = actions.retire(federation, to_address(values["client"]))
    send(proposal, values["yes"])
    print(f"{proposal.done}; {federation.member_count()} are left")
