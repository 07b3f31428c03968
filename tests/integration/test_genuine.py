"""Daemons work only with the contract whose code this version ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from web3 import Web3

from processor.chain.provider import connect
from processor.cli.connections import federation_of
from processor.config import NetworkSettings
from processor.errors import ChainError
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil


def test_daemon_refuses_a_contract_with_other_code(tmp_path: Path) -> None:
    with start_anvil(tmp_path / "chain") as chain:
        web3 = connect(chain.rpc_url)
        address = LocalFederation(web3, tmp_path).federation.address
        network = NetworkSettings(rpc=chain.rpc_url, store=tmp_path / "store")
        assert federation_of(network, address).address == address
        code = web3.eth.get_code(Web3.to_checksum_address(address))
        web3.provider.make_request("anvil_setCode", [address, "0x" + code.hex() + "00"])  # type: ignore[arg-type]
        with pytest.raises(ChainError, match="has other code than the federation"):
            federation_of(network, address)
