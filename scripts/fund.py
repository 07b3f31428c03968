"""Adds coins to what the next round's pool starts with:
`brownie run fund main federation=ADDRESS amount="0.5 ether" --network NETWORK`.

Anyone may (scripts/common.py says who signs).
"""

from __future__ import annotations

from scripts.common import REQUIRED, confirm, find_federation, read_arguments, transact, wei


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", amount=REQUIRED)
    amount = wei(values["amount"])
    federation = find_federation(values["federation"])
    confirm(f"Fund {federation.address} with {amount} wei?")
    transact(federation.fund, amount, value=amount)
    print(f"funded {amount} wei; {federation.carried()} wei are carried to the next round")
