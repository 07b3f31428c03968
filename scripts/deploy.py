"""Deploys the factory, once per chain: `brownie run deploy --network NETWORK`.

Its address goes to deployments/<chain id>.json (scripts/common.py says what else can be set).
"""

from __future__ import annotations

from processor.chain.finality import DEVELOPMENT
from processor.errors import ConfigurationError
from scripts.common import deploy_factory, deployment_file, node, script


@script
def main() -> None:
    file, chain_id = deployment_file(), node().eth.chain_id
    if file and file.exists() and chain_id not in DEVELOPMENT:
        raise ConfigurationError(
            f"{file} names the factory of chain {chain_id} already; remove the file to deploy another one"
        )
    print(f"factory {deploy_factory().address} on chain {chain_id}")
