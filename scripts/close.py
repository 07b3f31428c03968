"""Ends rounds and registration for good: `brownie run close main federation=ADDRESS --network NETWORK`.

Also in a live round, which goes on to its end. Rewards that are owed and stakes stay their clients', and never expire;
what is carried can then be withdrawn, and what the live round leaves once that is over.
"""

from __future__ import annotations

from processor.cli import actions
from scripts.arguments import read_arguments
from scripts.common import find_federation, script, send


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", yes="")
    proposal = actions.close(find_federation(values["federation"]))
    send(proposal, values["yes"])
    print(proposal.done)
