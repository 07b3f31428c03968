"""Daemons work only with what a factory of this version made, whatever its terms, and take nobody's word for it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3
from web3.types import Nonce, RPCEndpoint
from web3.utils import get_create_address

from processor.chain import contracts
from processor.chain.federation import Factory, Federation, deploy_token
from processor.chain.genuine import Clone, clone_in, implementation_of
from processor.chain.provider import connect
from processor.chain.transactions import Call, Sender
from processor.cid import cid_of
from processor.cli.connections import federation_of
from processor.config import NetworkSettings, PartySettings
from processor.errors import ChainError, Reverted
from processor.types import Admission, AuditPolicy, Block, FederationTerms
from tests.integration.parties import create_federation, wallet
from tests.nodes import ChainNode, start_anvil
from tools.abi import ROOT


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
        FederationTerms(stake=1, idle_rounds=1),
        FederationTerms(token, 2**128 - 1, 10_000, Admission.VOUCHER, AuditPolicy.APPOINTED, 2**16 - 1, 2**16 - 1),
    ):
        before = web3.eth.block_number
        federation = create_federation(web3, organization, terms=terms)
        at = federation.block()
        assert federation.genuine() and federation.genuine(at)
        assert federation.made_by(at) == Factory(web3, federation.made_by() or "").address
        early = web3.eth.get_block(before)
        assert not federation.genuine(Block(before, early["hash"].to_0x_hex(), early["timestamp"]))
        assert federation.terms() == terms
        answered = federation._read("terms")
        assert answered == terms, "the contract reads its own code as we do"


def test_the_code_of_one_federation_is_not_genuine_at_another_address(web3: Web3, organization: Sender) -> None:
    federation, other = (create_federation(web3, organization) for _ in range(2))
    put(other, code_of(federation))
    assert not other.genuine(), "its storage may have begun with anything"
    assert federation.genuine()


def test_terms_written_over_the_federations_own_are_not_genuine(web3: Web3, organization: Sender) -> None:
    federation = create_federation(web3, organization, terms=FederationTerms(stake=5, max_slash_rate=100))
    code = code_of(federation)
    for place, value in ((85 + 15, 4), (101, 1), (103, 1), (104, 1), (106, 2), (108, 1), (116, 1), (64, 9)):
        changed = bytearray(code)
        changed[place] = value
        assert bytes(changed) != code
        put(federation, bytes(changed))
        assert not federation.genuine()
    put(federation, code)
    assert federation.genuine()


def deploy(sender: Sender, creation: bytes) -> str:
    receipt = sender.send(Call(None, creation, 0, "deploy a contract"))
    assert receipt.contract is not None
    return receipt.contract


def leaving(code: bytes, before: bytes = b"") -> bytes:
    """Creation code that runs `before`, and leaves `code`."""
    # push2 size, dup1, push2 place, push0, codecopy, push0, return
    prologue = before + b"\x61" + len(code).to_bytes(2) + b"\x80\x61"
    return prologue + (len(prologue) + 6).to_bytes(2) + b"\x5f\x39\x5f\xf3" + code


def test_a_poisoned_clone_is_not_genuine(web3: Web3, organization: Sender) -> None:
    """The very code of a federation, left by a constructor that made somebody its owner first."""
    federation = create_federation(web3, organization)
    poison = b"\x33\x60\x01\x55"  # caller, push1 1, sstore
    address = deploy(organization, leaving(code_of(federation), poison))
    poisoned = Federation(web3, address)
    assert code_of(poisoned) == code_of(federation)
    assert web3.eth.get_storage_at(Web3.to_checksum_address(address), 1) != bytes(32)
    assert poisoned.terms() == federation.terms()
    assert not poisoned.genuine()
    factory = Factory(web3, federation.made_by() or "")
    assert not factory.is_federation(address)
    assert not factory._contract.functions.isFederation(address).call()


def test_a_lying_factory_makes_nothing_genuine(web3: Web3, organization: Sender) -> None:
    """It calls itself the factory of a federation of its own, and says yes to everything."""
    honest = create_federation(web3, organization)
    shipped = contracts.load("Federation")
    lying = deploy(organization, leaving(bytes.fromhex("60015f5260205ff3")))  # returns 1 to every call
    nonce = web3.eth.get_transaction_count(Web3.to_checksum_address(organization.address))
    shared = bytearray.fromhex(shipped.deployed_bytecode.removeprefix("0x"))
    place = get_create_address(Web3.to_checksum_address(organization.address), nonce)
    for name, value in (("FACTORY", lying), ("SELF", place)):
        for start in shipped.immutables[name]:
            shared[start : start + 32] = int(value, 16).to_bytes(32)
    implementation = deploy(organization, leaving(bytes(shared)))
    assert implementation == place
    made = bytes.fromhex(implementation[2:])
    code = code_of(honest)
    federation = Federation(web3, deploy(organization, leaving(code[:10] + made + code[30:])))
    assert federation.round_view().round == 0, "it works like any other"
    assert not federation.genuine()
    with pytest.raises(ChainError, match="is not a Koinon federation factory of this version"):
        Factory(web3, lying)


def test_the_code_that_federations_share_is_no_federation_and_refuses_every_call(
    web3: Web3, organization: Sender
) -> None:
    made = create_federation(web3, organization)
    clone = clone_in(code_of(made))
    assert clone is not None
    bare = Federation(web3, clone.implementation)
    assert not bare.genuine()
    with pytest.raises(ChainError, match="has other code than a Koinon federation"):
        bare.terms()
    for call in (bare.set_initial_model(cid_of(b"model")), bare.claim(organization.address), bare.close()):
        with pytest.raises(Reverted, match="only the code that federations share, and no federation itself"):
            organization.send(call)


def test_a_factory_that_was_named_has_to_have_made_the_federation(
    node: ChainNode, web3: Web3, organization: Sender, tmp_path: Path
) -> None:
    federation, other = (create_federation(web3, organization) for _ in range(2))
    settings = PartySettings(
        network=NetworkSettings(rpc=(node.rpc_url,)),
        wallet=tmp_path / "wallet",
        passphrase_file=None,
        state=tmp_path,
        federation=federation.address,
        factory=federation.made_by(),
    )
    assert federation_of(settings).address == federation.address
    with pytest.raises(ChainError, match="did not make the federation"):
        federation_of(dataclasses.replace(settings, factory=other.made_by()))


def compiled(name: str) -> tuple[bytes, list[dict[str, Any]]]:
    """A contract of undone_factory.sol: its creation code and its interface."""
    source = (Path(__file__).parent / "undone_factory.sol").read_text()
    wanted = {"*": {"*": ["abi", "evm.bytecode.object"]}}
    request = {
        "language": "Solidity",
        "sources": {"undone_factory.sol": {"content": source}},
        "settings": {"evmVersion": "cancun", "outputSelection": wanted},
    }
    answer = subprocess.run(
        [ROOT / "tools" / "solc", "--standard-json"],
        input=json.dumps(request),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    contract = json.loads(answer.stdout)["contracts"]["undone_factory.sol"][name]
    return bytes.fromhex(contract["evm"]["bytecode"]["object"]), contract["abi"]


def test_no_factory_writes_into_a_federation_by_having_been_another_one_before(
    web3: Web3, organization: Sender
) -> None:
    """Whoever makes a factory by code that changes can have had another one at its address, in one transaction."""
    creation, abi = compiled("Undoer")
    undoer = deploy(organization, creation)
    contract = web3.eth.contract(Web3.to_checksum_address(undoer), abi=abi)

    def send(name: str, *arguments: object) -> None:
        data = bytes.fromhex(contract.encode_abi(name, arguments).removeprefix("0x"))
        organization.send(Call(undoer, data, 0, name))

    factory = contract.functions.factory().call()
    terms, thief = FederationTerms(), Web3.to_checksum_address("0x" + "bad1" * 10)
    writer = get_create_address(factory, Nonce(1))
    foreign, own = (Clone(code, organization.address, terms, 7).code() for code in (writer, implementation_of(factory)))
    for clone in (foreign, own):
        send("makeAndDestroy", creation_of(clone), thief)
        assert web3.eth.get_code(Web3.to_checksum_address(factory)) == b""
    shipped = contracts.load("FederationFactory")
    code = bytearray.fromhex(shipped.deployed_bytecode.removeprefix("0x"))
    for start in shipped.immutables["IMPLEMENTATION"]:
        code[start : start + 32] = int(implementation_of(factory), 16).to_bytes(32)
    send("makeAgain", bytes.fromhex(contracts.load("Federation").bytecode.removeprefix("0x")), bytes(code))

    again = Factory(web3, factory)
    hashed = Web3.keccak(b"\xff" + bytes.fromhex(factory[2:]) + bytes(32) + Web3.keccak(creation_of(foreign)))
    poisoned = Web3.to_checksum_address(hashed[12:].hex())
    assert int.from_bytes(web3.eth.get_storage_at(poisoned, 0)) == int(thief, 16)
    assert not again.is_federation(poisoned)
    assert not again._contract.functions.isFederation(poisoned).call()
    # The one that names the code that came later was there too, and nobody could write into it.
    made = Federation(web3, again.address_of(organization.address, terms, 7))
    assert code_of(made) == own and made.genuine()
    assert made.operator() is None and not any(web3.eth.get_storage_at(Web3.to_checksum_address(made.address), 0))


def creation_of(code: bytes) -> bytes:
    """As OpenZeppelin makes a clone: push2 size, returndatasize, dup2, push1 10, ..."""
    return b"\x61" + len(code).to_bytes(2) + bytes.fromhex("3d81600a3d39f3") + code
