"""Makes a federation that belongs to the signer:
`brownie run create_federation main [factory=ADDRESS] --network NETWORK`.

Without `factory` it is the one that deployments/<chain id>.json names (scripts/common.py says what else can be set).
"""

from __future__ import annotations

from brownie import chain

from scripts.common import find_factory, make_federation, read_arguments


def main(*arguments: str) -> None:
    factory = find_factory(read_arguments(arguments, factory="")["factory"])
    federation = make_federation(factory)
    print(f"federation {federation.address} of {federation.owner()} on chain {chain.id}, made by {factory.address}")
