"""Deploys the factory, once per chain: `brownie run deploy --network NETWORK`.

Its address goes to deployments/<chain id>.json (scripts/common.py says what else can be set).
"""

from __future__ import annotations

from brownie import chain

from scripts.common import DEVELOPMENT_CHAINS, deploy_factory, deployment_file, fail


def main() -> None:
    file = deployment_file()
    if file and file.exists() and chain.id not in DEVELOPMENT_CHAINS:
        fail(f"{file} names the factory of chain {chain.id} already; remove the file to deploy another one")
    print(f"factory {deploy_factory().address} on chain {chain.id}")
