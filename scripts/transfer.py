"""Offers a federation to a new owner: `brownie run transfer main federation=ADDRESS to=ADDRESS --network NETWORK`. The
new owner takes it with `accept=yes` instead of `to`; there is no operator then, and vouchers of the former owner are
worthless.
"""

from __future__ import annotations

from processor.cli import actions
from scripts.arguments import confirmed, either, read_arguments
from scripts.common import find_federation, script, send, signer


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", to="", accept="", yes="")
    confirmed("accept", values["accept"])
    offered = either("to=ADDRESS, the new owner,", values["to"], "accept=yes", values["accept"])
    federation = find_federation(values["federation"])
    if offered:
        proposal = actions.offer_ownership(federation, values["to"])
    else:
        proposal = actions.accept_ownership(federation, signer().address)
    send(proposal, values["yes"])
    print(proposal.done + (" with `transfer accept=yes`" if offered else ""))
