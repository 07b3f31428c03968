"""Lets no new round open, and stops nothing else:
`brownie run pause main federation=ADDRESS [resume=yes] --network NETWORK`; with `resume=yes` rounds can open again.
"""

from __future__ import annotations

from processor.cli import actions
from scripts.arguments import confirmed, read_arguments
from scripts.common import find_federation, script, send


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", resume="", yes="")
    resume = confirmed("resume", values["resume"])
    federation = find_federation(values["federation"])
    proposal = actions.resume(federation) if resume else actions.pause(federation)
    send(proposal, values["yes"])
    print(proposal.done + ("" if resume else " with `pause resume=yes`"))
