"""After `close`, takes out what is carried:
`brownie run withdraw main federation=ADDRESS [to=ADDRESS] --network NETWORK`.

It goes to the signer unless `to` says whom. Where a round was live at the closing, once more when it is over.
"""

from __future__ import annotations

from processor.chain.contracts import to_address
from scripts.common import asset_of, confirm, find_federation, or_fail, read_arguments, signer, transact


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", to="")
    federation = find_federation(values["federation"])
    to = or_fail(to_address, values["to"] or signer().address)
    amount = asset_of(federation).format(federation.carried())
    confirm(f"Withdraw {amount} from {federation.address} to {to}?")
    transact(federation.withdraw, to)
    print(f"withdrew {amount} to {to}")
