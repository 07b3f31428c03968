"""Adds to what the next round's pool starts with:
`brownie run fund main federation=ADDRESS amount="0.5 ether" --network NETWORK`.

Anyone may. Nobody gets it back but the owner, after `close`, and only what no round has used.
"""

from __future__ import annotations

from processor.cli import actions
from scripts.arguments import REQUIRED, amount_of, read_arguments
from scripts.common import find_federation, script, send, signer


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", amount=REQUIRED, yes="")
    federation = find_federation(values["federation"])
    proposal = actions.fund(federation, signer().address, amount_of(federation.asset(), values["amount"]))
    send(proposal, values["yes"])
    print(proposal.done)
