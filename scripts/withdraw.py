"""After `close`, takes out what is carried:
`brownie run withdraw main federation=ADDRESS [to=ADDRESS] --network NETWORK`.

It goes to the signer unless `to` says whom. Where a round was live at the closing, once more when it is over.
"""

from __future__ import annotations

from processor.cli import actions
from scripts.arguments import read_arguments
from scripts.common import find_federation, script, send, signer


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", to="", yes="")
    proposal = actions.withdraw(find_federation(values["federation"]), values["to"] or signer().address)
    send(proposal, values["yes"])
    print(proposal.done)
