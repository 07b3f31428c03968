"""Deploys the factory, once per chain: `brownie run deploy --network NETWORK`.

Its address is written down for `create_federation` (scripts/deployments.py says where). To send without being asked:
`brownie run deploy main yes=yes --network NETWORK`.
"""

from __future__ import annotations

from scripts.arguments import read_arguments
from scripts.common import deploy_factory, factory_file, node, script
from scripts.deployments import require_undeployed


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, yes="")
    if file := factory_file():
        require_undeployed(node(), file)
    print(f"factory {deploy_factory(values['yes']).address} on chain {node().eth.chain_id}")
