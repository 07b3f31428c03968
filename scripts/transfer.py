"""Offers a federation to a new owner: `brownie run transfer main federation=ADDRESS to=ADDRESS --network NETWORK`. The
new owner takes it with `accept=yes` instead of `to`; there is no operator then, and vouchers of the former owner are
worthless.
"""

from __future__ import annotations

from processor.chain.contracts import to_address
from scripts.common import confirm, confirmed, fail, find_federation, or_fail, read_arguments, transact


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", to="", accept="")
    accept = confirmed("accept", values["accept"])
    if accept == bool(values["to"]):
        fail("expected either to=ADDRESS, the new owner, or accept=yes")
    to = None if accept else or_fail(to_address, values["to"])
    federation = find_federation(values["federation"])
    if to is None:
        confirm(f"Become the owner of {federation.address}?")
        transact(federation.acceptOwnership)
        print(f"owner {federation.owner()}")
    else:
        confirm(f"Offer the ownership of {federation.address} to {to}?")
        transact(federation.transferOwnership, to)
        print(f"offered to {to}, who takes it with `transfer accept=yes`")
