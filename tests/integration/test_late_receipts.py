"""Nodes that count transactions at once and show them late, behind one address: nothing is called lost that was done,
and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from web3 import Web3
from web3.middleware import Web3Middleware

from processor import keystore
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.journal import MINED
from processor.protocol.decide import Stop, Wait
from tests.integration.balancer import Answer, OneBehind, ShowsLate, balanced, receipts_late
from tests.integration.command_line import FAST, PASSPHRASE, fails, succeeds, write
from tests.integration.local_federation import LocalFederation
from tests.integration.parties import account_of, create_federation, wallet
from tests.nodes import ChainNode, start_anvil

LATE = 1.5


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainNode]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node


@pytest.fixture
def web3(node: ChainNode) -> Web3:
    return connect(node.rpc_url)


@pytest.fixture
def federation(web3: Web3) -> Federation:
    return create_federation(web3, Sender(web3, wallet(web3, "organization")))


@pytest.fixture
def organization(web3: Web3, federation: Federation, tmp_path: Path) -> dict[str, Any]:
    """The settings of the owner, as commands take them."""
    keystore.import_key(tmp_path / "wallet", account_of("organization").key.hex(), PASSPHRASE, iterations=FAST)
    keystore.write_private(tmp_path / "passphrase", PASSPHRASE.encode())
    return {
        "federation": federation.address,
        "wallet": str(keystore.list_wallets(tmp_path / "wallet")[0].path),
        "passphrase_file": str(tmp_path / "passphrase"),
        "state": str(tmp_path / "state"),
    }


def ask(web3: Web3, method: str, *parameters: Any) -> None:
    web3.provider.make_request(method, list(parameters))  # type: ignore[arg-type]


def fund(rpc: str, organization: dict[str, Any], folder: Path) -> list[str | Path]:
    config = write(folder / "organization.toml", {"network": {"rpc": rpc}, "organization": organization})
    return ["organization", "fund", "0.01", "--yes", "--config", config]


def test_a_command_waits_for_a_late_receipt_and_says_what_was_done(
    node: ChainNode, web3: Web3, federation: Federation, organization: dict[str, Any], tmp_path: Path
) -> None:
    before = web3.eth.get_transaction_count(account_of("organization").address)
    with balanced(node.rpc_url, receipts_late(LATE)) as rpc:
        said = succeeds(*fund(rpc, organization, tmp_path), folder=tmp_path)
    assert "funded" in said
    assert web3.eth.get_transaction_count(account_of("organization").address) == before + 1
    assert federation.carried() == Web3.to_wei("0.01", "ether")


def test_what_a_node_refuses_and_has_all_the_same_was_done(
    node: ChainNode, federation: Federation, organization: dict[str, Any], tmp_path: Path
) -> None:
    def refuses(method: str, params: list[Any], answer: Answer) -> Answer:
        refusal = {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": -32010, "message": "OldNonce"}}
        return refusal if method == "eth_sendRawTransaction" else answer

    with balanced(node.rpc_url, refuses) as rpc:
        assert "funded" in succeeds(*fund(rpc, organization, tmp_path), folder=tmp_path)
    assert federation.carried() == Web3.to_wei("0.01", "ether")


def test_a_command_whose_nonce_another_transaction_used_says_which(
    node: ChainNode, web3: Web3, federation: Federation, organization: dict[str, Any], tmp_path: Path
) -> None:
    owner = Sender(web3, account_of("organization"))
    others: list[str] = []

    def overtaken(method: str, params: list[Any], answer: Answer) -> Answer:
        if method == "eth_sendRawTransaction" and not others:
            ask(web3, "anvil_dropTransaction", answer["result"])
            other = owner.sign(federation.pause(), owner.mined())
            others.append(other.tx_hash)
            owner.broadcast(other.raw)
            ask(web3, "evm_mine")
        return answer

    ask(web3, "evm_setAutomine", False)
    try:
        with balanced(node.rpc_url, overtaken) as rpc:
            said = fails(*fund(rpc, organization, tmp_path), folder=tmp_path)
    finally:
        ask(web3, "evm_setAutomine", True)
    assert others[0] in said and "nothing was changed" in said
    assert federation.carried() == 0 and federation.paused()


@pytest.mark.parametrize("balancer", [ShowsLate, OneBehind])
def test_daemons_do_everything_once_and_see_no_reorganization(
    node: ChainNode, tmp_path: Path, balancer: type[Web3Middleware]
) -> None:
    web3 = connect(node.rpc_url)
    played = LocalFederation(web3, tmp_path, clients_wanted=1, rounds_wanted=1)
    web3.middleware_onion.add(balancer)
    daemons = played.clients[0], played.organization
    quiet = 0
    with structlog.testing.capture_logs() as logs:
        for _ in range(200):
            ask(web3, "evm_mine")
            actions = [daemon.cycle() for daemon in daemons]
            quiet = quiet + 1 if all(isinstance(action, Wait | Stop) for action in actions) else 0
            if quiet > 2 * ShowsLate.looks:  # what was sent last is shown late, too
                break
    assert not any("reorganized" in line["event"] for line in logs)
    for daemon in daemons:
        assert daemon.metrics.registry.get_sample_value("koinon_reorganizations_total") == 0
        intents = daemon.journal.intents()
        assert {intent.status for intent in intents} == {MINED}
        sent = web3.eth.get_transaction_count(Web3.to_checksum_address(daemon.address))
        assert sent - len(intents) in (0, 2)  # the owner made the federation
    did = Counter(intent.kind for daemon in daemons for intent in daemon.journal.intents())
    assert set(did) >= {"registered", "submitted", "claimed", "round opened", "round finalized"}
    assert set(did.values()) == {1}
