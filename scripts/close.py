"""Ends rounds and registration for good: `brownie run close main federation=ADDRESS --network NETWORK`.

Also in a live round, which goes on to its end. Rewards that are owed and stakes stay their clients', and never expire;
what is carried can then be withdrawn, and what the live round leaves once that is over.
"""

from __future__ import annotations

from scripts.common import asset_of, confirm, find_federation, read_arguments, transact


def main(*arguments: str) -> None:
    federation = find_federation(read_arguments(arguments, federation="")["federation"])
    carried = asset_of(federation).format(federation.carried())
    confirm(f"Close {federation.address}, with {carried} carried, for good?")
    transact(federation.close)
    print(f"closed; {carried} can be withdrawn")
