"""Adds to what the next round's pool starts with:
`brownie run fund main federation=ADDRESS amount="0.5 ether" --network NETWORK`.

Anyone may. Nobody gets it back but the owner, after `close`, and only what no round has used.
"""

from __future__ import annotations

from scripts.common import REQUIRED, amount_of, asset_of, confirm, escrow, find_federation, read_arguments, transact


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", amount=REQUIRED)
    federation = find_federation(values["federation"])
    asset = asset_of(federation)
    amount = amount_of(asset, values["amount"])
    confirm(f"Fund {federation.address} with {asset.format(amount)}?")
    coins = escrow(federation, asset, amount)
    transact(federation.fund, amount, value=coins)
    print(f"funded {asset.format(amount)}; {asset.format(federation.carried())} carried to the next round")
