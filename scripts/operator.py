"""Lets another account open and finalize rounds, such as the one that the daemon runs with:
`brownie run operator main federation=ADDRESS [operator=ADDRESS] --network NETWORK`; without `operator` there is none.

Its key, stolen, can cost at most the live pool, what is carried, and each round's bounded slashes.
"""

from __future__ import annotations

from processor.cli import actions
from scripts.arguments import read_arguments
from scripts.common import find_federation, script, send


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", operator="", yes="")
    proposal = actions.name_operator(find_federation(values["federation"]), values["operator"] or None)
    send(proposal, values["yes"])
    print(proposal.done)
