"""Daemons work only with the contract whose code this version ships, whatever its terms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web3 import Web3
from web3.types import RPCEndpoint

from processor.chain import contracts
from processor.chain.federation import Federation, deploy_token
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.cli.connections import federation_of
from processor.config import NetworkSettings, PartySettings
from processor.errors import ChainError
from processor.types import ZERO_ADDRESS, Admission, AuditPolicy, FederationTerms
from tests.integration.parties import create_federation, wallet
from tests.nodes import ChainNode, start_anvil


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainNode]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node


@pytest.fixture
def web3(node: ChainNode) -> Web3:
    return connect(node.rpc_url)


@pytest.fixture
def organization(web3: Web3) -> Sender:
    return Sender(web3, wallet(web3, "organization"))


def put(federation: Federation, code: bytes) -> None:
    federation.web3.provider.make_request(RPCEndpoint("anvil_setCode"), [federation.address, "0x" + code.hex()])


def code_of(federation: Federation) -> bytes:
    return bytes(federation.web3.eth.get_code(Web3.to_checksum_address(federation.address)))


def test_daemon_refuses_a_contract_with_other_code(
    node: ChainNode, web3: Web3, organization: Sender, tmp_path: Path
) -> None:
    federation = create_federation(web3, organization)
    settings = PartySettings(
        network=NetworkSettings(rpc=(node.rpc_url,)),
        wallet=tmp_path / "wallet",
        passphrase_file=None,
        state=tmp_path,
        federation=federation.address,
    )
    assert federation_of(settings).address == federation.address
    put(federation, code_of(federation) + b"\0")
    with pytest.raises(ChainError, match="has other code than the federation"):
        federation_of(settings)


def test_a_federation_is_genuine_whatever_its_terms(web3: Web3, organization: Sender) -> None:
    token = deploy_token(organization)
    for terms in (
        FederationTerms(),
        FederationTerms(stake=1),
        FederationTerms(token, 2**128 - 1, 10_000, Admission.VOUCHER, AuditPolicy.APPOINTED),
    ):
        federation = create_federation(web3, organization, terms=terms)
        assert federation.genuine() and federation.genuine(federation.block())
        assert federation.terms() == terms


def test_the_code_of_one_federation_is_not_genuine_at_another_address(web3: Web3, organization: Sender) -> None:
    federation, other = (create_federation(web3, organization) for _ in range(2))
    put(other, code_of(federation))
    assert not other.genuine(), "vouchers for the one would be good at the other"


def test_terms_that_getters_would_hide_are_not_genuine(web3: Web3, organization: Sender) -> None:
    """Dirty bits above the coin's address make it a token for the code, and a coin for whoever asks."""
    federation = create_federation(web3, organization)
    code = bytearray(code_of(federation))
    for start in contracts.load("Federation").immutables["ASSET"]:
        code[start] = 1
    put(federation, bytes(code))
    assert federation.terms().asset == ZERO_ADDRESS
    assert not federation.genuine()
