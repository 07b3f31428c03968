"""An organization keeps what clients made on all its own nodes, wherever they served it, and no node can hold it up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import ipfshttpclient
import pytest
from web3 import Web3

from processor.artifacts.report import REPORT
from processor.chain.provider import connect
from processor.storage import IpfsStorage, open_storage
from processor.storage.library import Library
from tests.integration.local_federation import LocalFederation
from tests.nodes import IpfsNode, find_program, start_anvil, start_kubo
from tests.unit.storage.servers import Server


@pytest.fixture
def web3(tmp_path: Path) -> Iterator[Web3]:
    with start_anvil(tmp_path / "anvil") as node:
        yield connect(node.rpc_url)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[IpfsNode]]:
    """Two nodes of which neither finds what the other has."""
    program = find_program("ipfs")
    with ExitStack() as stack:
        yield [stack.enter_context(start_kubo(program, tmp_path / f"node-{number}")) for number in range(2)]


def pinned(node: IpfsNode) -> set[str]:
    with ipfshttpclient.Client(node.api) as client:
        return set(client.pin.ls(type="recursive")["Keys"])


def test_updates_that_clients_serve_on_one_node_alone_are_kept_on_both(
    web3: Web3, nodes: list[IpfsNode], tmp_path: Path
) -> None:
    played = LocalFederation(web3, tmp_path, clients_wanted=2, rounds_wanted=1)
    played.organization.library.storage = open_storage([node.api for node in nodes], quorum=2, timeout=5)
    for client in played.clients:
        client.library.storage = IpfsStorage(nodes[0].api, timeout=5)
    played.register()
    played.open_round()
    played.train_and_submit()
    updates = {client.update for client in played.federation.updates()}
    assert updates <= pinned(nodes[0])
    assert not updates & pinned(nodes[1])
    played.finalize()
    assert all(updates <= pinned(node) for node in nodes)


@pytest.mark.timeout(300)
def test_a_round_goes_on_beside_a_node_that_never_answers(web3: Web3, nodes: list[IpfsNode], tmp_path: Path) -> None:
    """The nodes may be silent for longer than the whole round takes."""
    played = LocalFederation(web3, tmp_path, clients_wanted=2, rounds_wanted=1)
    with Server(b"", "", silent=True).running() as silent:
        addresses = [*(node.api for node in nodes), silent.node]
        played.organization.library.storage = open_storage(addresses, timeout=3_600)
        for client in played.clients:
            client.library.storage = open_storage(addresses, timeout=3_600)
        played.register()
        played.open_round()
        played.train_and_submit()
        played.finalize()
        assert "add" in silent.calls
    released = played.federation.round_view().released.report or ""
    for node in nodes:
        report = Library(IpfsStorage(node.api, timeout=5)).read(REPORT, released)
        assert [update.reason for update in report.updates] == [None, None]
