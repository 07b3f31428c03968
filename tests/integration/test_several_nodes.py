"""Several real Kubo nodes, connected by hand, and their gateways, as one storage; and a wire between that damages."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import ipfshttpclient
import pytest

from processor.cid import cid_of
from processor.errors import ArtifactUnavailable, IntegrityError, StorageError
from processor.storage import GatewayStorage, IpfsStorage, get_bytes, open_storage, put_bytes
from tests.nodes import IpfsNode, connect_kubo, find_program, kubo_gateway, start_kubo

Wire = Callable[[bytes], bytes | None]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[IpfsNode]]:
    """Three nodes, each connected to all others."""
    program = find_program("ipfs")
    with ExitStack() as stack:
        started = [
            stack.enter_context(start_kubo(program, tmp_path / f"node-{number}", offline=False)) for number in range(3)
        ]
        for node, other in [(0, 1), (0, 2), (1, 2)]:
            connect_kubo(program, started[node], started[other])
        yield started


@contextmanager
def through(wire: Wire, address: str) -> Iterator[str]:
    """A proxy that sends every answer through `wire`, and hangs up where that gives None; its address."""
    target = urlsplit(address)
    listener = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, sink: socket.socket, change: Wire) -> None:
        with suppress(OSError):
            while (data := source.recv(65_536)) and (changed := change(data)) is not None:
                sink.sendall(changed)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((target.hostname or "", target.port or 80))
                for ends in ((client, server, bytes), (server, client, wire)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def forging(data: bytes) -> bytes:
    return data.replace(b"honest", b"forged")


def breaking(after: int) -> Wire:
    """Hangs up, once, when that many bytes have passed."""
    passed = 0

    def wire(data: bytes) -> bytes | None:
        nonlocal passed
        passed += len(data)
        return None if passed - len(data) < after <= passed else data

    return wire


def test_what_is_published_on_one_node_is_read_from_another(nodes: list[IpfsNode]) -> None:
    data = random.Random(0).randbytes(3_000_000)
    cid = put_bytes(IpfsStorage(nodes[0].api, timeout=20), data)
    assert get_bytes(IpfsStorage(nodes[1].api, timeout=20), cid, limit=len(data)) == data
    assert get_bytes(GatewayStorage(kubo_gateway(nodes[2]), timeout=20), cid, limit=len(data)) == data


def test_two_of_three_nodes_are_a_quorum_and_one_is_not(nodes: list[IpfsNode]) -> None:
    storage = open_storage([node.api for node in nodes], timeout=5)
    first = put_bytes(storage, b"before")
    nodes[0].process.kill()
    nodes[0].process.wait()
    second = put_bytes(storage, b"one node less")
    assert get_bytes(storage, first, limit=100) == b"before"
    assert get_bytes(storage, second, limit=100) == b"one node less"
    storage.pin(first)
    nodes[1].process.kill()
    nodes[1].process.wait()
    with pytest.raises(StorageError, match="1 of 3 nodes could publish.*expected at least 2"):
        put_bytes(storage, b"two nodes less")
    assert get_bytes(storage, second, limit=100) == b"one node less"


def test_what_is_unpinned_is_dropped_by_every_node_when_it_clears_up(nodes: list[IpfsNode]) -> None:
    storage = open_storage([node.api for node in nodes], timeout=3)
    kept, gone = put_bytes(storage, b"kept"), put_bytes(storage, b"let go of")
    storage.unpin(gone)
    storage.unpin(gone)
    storage.unpin(cid_of(b"never pinned"))
    for node in nodes:
        with ipfshttpclient.Client(node.api) as client:
            client.repo.gc()
    assert get_bytes(storage, kept, limit=100) == b"kept"
    with pytest.raises(ArtifactUnavailable, match="none of 3 sources"):
        get_bytes(storage, gone, limit=100)


def test_bytes_that_are_forged_on_the_way_are_refused_and_the_next_source_is_asked(nodes: list[IpfsNode]) -> None:
    data = b"honest work " * 100_000
    cid = put_bytes(IpfsStorage(nodes[0].api, timeout=20), data)
    with through(forging, kubo_gateway(nodes[0])) as forged:
        with pytest.raises(IntegrityError, match="damaged or forged"):
            get_bytes(GatewayStorage(forged, timeout=20), cid, limit=len(data))
        storage = open_storage(gateways=[forged, kubo_gateway(nodes[1])], timeout=20, publishing=False)
        assert get_bytes(storage, cid, limit=len(data)) == data


def test_a_node_whose_answers_are_forged_on_the_way_is_replaced_by_the_next(nodes: list[IpfsNode]) -> None:
    data = b"honest work " * 100_000
    cid = put_bytes(IpfsStorage(nodes[0].api, timeout=20), data)
    api = f"http://127.0.0.1:{nodes[0].api.rsplit('/', 1)[1]}"
    with through(forging, api) as forged:
        storage = open_storage([f"/ip4/127.0.0.1/tcp/{urlsplit(forged).port}", nodes[1].api], timeout=20)
        assert get_bytes(storage, cid, limit=len(data)) == data


@pytest.mark.parametrize("kind", ["node", "gateway"])
def test_a_transfer_that_breaks_midway_goes_on_where_it_was(nodes: list[IpfsNode], kind: str) -> None:
    data = random.Random(1).randbytes(4_000_000)
    cid = put_bytes(IpfsStorage(nodes[0].api, timeout=20), data)
    passed = 0
    hang_up = breaking(after=2_500_000)

    def wire(piece: bytes) -> bytes | None:
        nonlocal passed
        passed += len(piece)
        return hang_up(piece)

    api = f"http://127.0.0.1:{nodes[0].api.rsplit('/', 1)[1]}"
    with through(wire, api if kind == "node" else kubo_gateway(nodes[0])) as broken:
        if kind == "node":
            storage = open_storage([f"/ip4/127.0.0.1/tcp/{urlsplit(broken).port}"], timeout=20)
        else:
            storage = open_storage(gateways=[broken], timeout=20, publishing=False)
        assert get_bytes(storage, cid, limit=len(data)) == data
    assert len(data) < passed < len(data) + 1_500_000, "not everything was sent a second time"
