"""Several real nodes as one: two development chains with the same history, and geth over WebSocket and IPC."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from processor.chain.endpoints import endpoint_at
from processor.chain.failover import STALE_AFTER, Failover
from processor.chain.federation import Federation
from processor.chain.heads import Heads
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.cid import cid_of
from processor.demo.nodes import start_chain
from processor.errors import ChainError, Reverted
from processor.types import Block
from tests.integration.parties import account_of, create_federation, wallet
from tests.nodes import ChainNode, find_program, free_port, start_anvil

ALWAYS_ONE = "0x60015f5260205ff3"  # a contract that answers 1 to everything


@dataclasses.dataclass
class Chain:
    """A federation and the file from which any number of nodes start with the same chain."""

    state: Path
    federation: str
    block: Block
    organization: Sender


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("origin")
    with start_anvil(folder, dump_state=folder / "state.json") as node:
        web3 = connect(node.rpc_url)
        organization = Sender(web3, wallet(web3, "organization"))
        federation = create_federation(web3, organization)
        organization.send(federation.set_initial_model(cid_of(b"initial")))
        client = Sender(web3, wallet(web3, "alice"))
        client.send(federation.register())
        block = federation.block()
    return Chain(folder / "state.json", federation.address, block, organization)


@pytest.fixture
def pair(chain: Chain, tmp_path: Path) -> Iterator[tuple[ChainNode, ChainNode]]:
    with (
        start_anvil(tmp_path / "first", load_state=chain.state) as first,
        start_anvil(tmp_path / "second", load_state=chain.state) as second,
    ):
        yield first, second


def kill(node: ChainNode) -> None:
    os.killpg(node.process.pid, signal.SIGKILL)
    node.process.wait()


def command(node: ChainNode, method: str, *params: object) -> None:
    """Something that only a test does to a node."""
    answer = HTTPProvider(node.rpc_url).make_request(RPCEndpoint(method), list(params))
    assert "error" not in answer, answer


def test_a_node_that_dies_is_replaced_by_the_next_in_the_middle_of_a_cycle(
    chain: Chain, pair: tuple[ChainNode, ChainNode]
) -> None:
    first, second = pair
    web3 = connect([first.rpc_url, second.rpc_url])
    federation = Federation(web3, chain.federation)
    at = federation.block()
    assert at.hash == chain.block.hash
    assert federation.member_count(at) == 1
    with capture_logs() as logs:
        kill(first)
        assert federation.member_count(at) == 1
        assert federation.genuine(at)
        Sender(web3, account_of("organization")).send(federation.set_initial_model(cid_of(b"another")))
        assert federation.latest_release().model == cid_of(b"another")
    changes = [line for line in logs if line["event"] == "another Ethereum node"]
    assert [(line["node"], line["instead_of"]) for line in changes] == [(second.rpc_url, first.rpc_url)]
    kill(second)
    with pytest.raises(ChainError, match="no Ethereum node answers") as nobody:
        federation.block()
    for node in pair:
        assert f"cannot reach an Ethereum node at {node.rpc_url}" in str(nobody.value)


def test_a_revert_is_an_answer_and_not_asked_of_another_node(chain: Chain, pair: tuple[ChainNode, ChainNode]) -> None:
    first, second = pair
    web3 = connect([first.rpc_url, second.rpc_url])
    federation = Federation(web3, chain.federation)
    stranger = Sender(web3, wallet(web3, "stranger"))
    command(second, "anvil_setCode", chain.federation, ALWAYS_ONE)
    with (
        capture_logs() as logs,
        pytest.raises(Reverted, match="does not own the federation, .* only its owner can do this"),
    ):
        stranger.send(federation.close())
    assert logs == []


def test_a_node_of_another_chain_is_refused_at_the_start(chain: Chain, tmp_path: Path) -> None:
    with (
        start_anvil(tmp_path / "first") as first,
        start_anvil(tmp_path / "second", chain_id=5) as other,
        pytest.raises(ChainError, match=f"{first.rpc_url} is on chain 31337, {other.rpc_url} is on chain 5"),
    ):
        connect([first.rpc_url, other.rpc_url])


def test_a_node_whose_chain_stands_still_is_left(chain: Chain, pair: tuple[ChainNode, ChainNode]) -> None:
    first, second = pair
    passed = 0.0
    provider = Failover([endpoint_at(node.rpc_url, 10) for node in pair], clock=lambda: time.monotonic() + passed)
    federation = Federation(Web3(provider), chain.federation)
    assert federation.block().hash == chain.block.hash
    command(second, "evm_mine")
    assert federation.block().hash == chain.block.hash
    passed = STALE_AFTER
    with capture_logs() as logs:
        assert federation.block().number == chain.block.number + 1
    (line,) = logs
    assert line["reason"] == (
        f"{first.rpc_url} is at block {chain.block.number} while {second.rpc_url} is at {chain.block.number + 1}"
    )


def test_a_block_of_another_fork_is_read_from_the_node_that_has_it(
    chain: Chain, pair: tuple[ChainNode, ChainNode]
) -> None:
    first, second = pair
    alone = connect(second.rpc_url)
    client = Sender(alone, wallet(alone, "bob"))
    client.send(Federation(alone, chain.federation).register())
    theirs = Federation(alone, chain.federation).block()
    while Web3(HTTPProvider(first.rpc_url)).eth.block_number < theirs.number:
        command(first, "evm_mine")
    federation = Federation(connect([first.rpc_url, second.rpc_url]), chain.federation)
    ours = federation.block()
    assert (ours.number, ours.hash == theirs.hash) == (theirs.number, False)
    assert (federation.member_count(ours), federation.member_count(theirs)) == (1, 2)
    assert (len(federation.members(ours)), len(federation.members(theirs))) == (1, 2)
    with pytest.raises(ChainError, match=f"at block {ours.number}: .* reorganized"):
        Federation(alone, chain.federation).member_count(ours)


@dataclasses.dataclass
class Geth:
    node: ChainNode
    websocket: str
    socket: str


@pytest.fixture
def geth(tmp_path: Path) -> Iterator[Geth]:
    binary, port, websocket = find_program("geth"), free_port(), free_port()
    socket = tmp_path / "geth.ipc"
    options = ["--dev", "--dev.period", "1", "--datadir", str(tmp_path / "geth"), "--ipcpath", str(socket)]
    options += ["--http", "--http.port", str(port), "--ws", "--ws.port", str(websocket), "--ws.api", "eth,net,web3"]
    options += ["--authrpc.port", str(free_port()), "--port", "0", "--nodiscover", "--maxpeers", "0"]
    with start_chain("geth", [str(binary), *options], tmp_path, port) as node:
        yield Geth(node, f"ws://127.0.0.1:{websocket}", str(socket))


def test_a_federation_works_over_the_websocket_and_the_socket_of_a_real_node(geth: Geth) -> None:
    web3 = connect([geth.websocket, geth.socket], chain_id=1337)
    organization = Sender(web3, wallet(web3, "organization"))
    federation = create_federation(web3, organization)
    with pytest.raises(Reverted, match="still open: close it before withdrawing"):
        organization.send(federation.withdraw(organization.address))
    assert federation.genuine(federation.block())

    over_socket = Federation(connect(geth.socket), federation.address)
    at = federation.block()
    organization.send(federation.set_initial_model(cid_of(b"initial")))
    assert over_socket.latest_release(at).model is None
    assert over_socket.latest_release().model == cid_of(b"initial")
    with pytest.raises(ChainError, match="at block 7: .*header for hash not found"):
        over_socket.latest_release(dataclasses.replace(at, number=7, hash="0x" + "ab" * 32))


def test_a_dead_node_beside_the_socket_of_a_real_one_is_passed_over(geth: Geth, tmp_path: Path) -> None:
    with start_anvil(tmp_path / "anvil", chain_id=1337) as dead:
        kill(dead)
    with capture_logs() as logs:
        web3 = connect([dead.rpc_url, geth.socket])
    assert [line["event"] for line in logs] == ["Ethereum node passed over"]
    assert web3.eth.get_block("latest")["number"] >= 0
    kill(geth.node)
    with pytest.raises(ChainError, match=f"cannot reach an Ethereum node at {geth.socket}"):
        web3.eth.get_block("latest")


def test_a_block_of_a_real_node_ends_the_wait_for_it(geth: Geth) -> None:
    web3 = connect(geth.node.rpc_url)
    with Heads([geth.node.rpc_url, geth.websocket]) as heads:
        heads.wait(60, threading.Event())
        start, before = time.monotonic(), web3.eth.block_number
        for _ in range(3):
            heads.wait(60, threading.Event())
        assert web3.eth.block_number > before
        assert time.monotonic() - start < 30  # a block a second: not the pauses
