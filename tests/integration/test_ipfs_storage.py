"""The IPFS storage on a real Kubo node."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import ipfshttpclient
import pytest

from processor.cid import cid_of, cid_of_file
from processor.errors import ArtifactError, ArtifactTooLarge, ArtifactUnavailable
from processor.storage import GatewayStorage, IpfsStorage, LocalStorage, get_bytes, put_bytes
from tests.nodes import IpfsNode, find_program, kubo_gateway, start_kubo


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpfsNode]:
    with start_kubo(find_program("ipfs"), tmp_path_factory.mktemp("kubo")) as running:
        yield running


@pytest.fixture
def storage(node: IpfsNode) -> IpfsStorage:
    return IpfsStorage(node.api, timeout=10)


@pytest.fixture
def client(node: IpfsNode) -> Iterator[ipfshttpclient.Client]:
    with ipfshttpclient.Client(node.api) as client:
        yield client


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 50_000_000], ids=str)
def test_a_file_comes_back_as_it_was_put_under_its_own_cid(storage: IpfsStorage, tmp_path: Path, size: int) -> None:
    (tmp_path / "model").write_bytes(random.Random(size).randbytes(size))
    cid = storage.put(tmp_path / "model")
    storage.get(cid, tmp_path / "copy", limit=size)
    assert cid == cid_of_file(tmp_path / "model") == cid_of_file(tmp_path / "copy")


def test_both_backends_give_the_same_cid(storage: IpfsStorage, tmp_path: Path) -> None:
    assert put_bytes(storage, b"plan") == put_bytes(LocalStorage(tmp_path), b"plan")


def test_what_was_put_is_pinned(storage: IpfsStorage, client: ipfshttpclient.Client) -> None:
    cid = put_bytes(storage, b"a report")
    assert client.pin.ls(cid, type="recursive")["Keys"][cid]["Type"] == "recursive"


def test_what_somebody_else_added_can_be_pinned(storage: IpfsStorage, client: ipfshttpclient.Client) -> None:
    cid = client.add_bytes(b"somebody else's update", opts={"pin": False})
    assert cid not in client.pin.ls(type="recursive")["Keys"]
    storage.pin(cid)
    assert cid in client.pin.ls(type="recursive")["Keys"]


def test_an_artifact_above_the_limit_is_not_read(storage: IpfsStorage) -> None:
    cid = put_bytes(storage, b"a model")
    with pytest.raises(ArtifactTooLarge, match="7 bytes, expected at most 6"):
        get_bytes(storage, cid, limit=6)


def test_what_nobody_has_is_unavailable(storage: IpfsStorage) -> None:
    with pytest.raises(ArtifactUnavailable, match="nobody served"):
        get_bytes(storage, cid_of(b"nobody has this"), limit=100)
    with pytest.raises(ArtifactUnavailable, match="nobody served"):
        storage.pin(cid_of(b"nobody has this"))


def test_a_file_that_was_added_with_other_chunks_is_not_the_one_we_name(
    storage: IpfsStorage, client: ipfshttpclient.Client
) -> None:
    cid = client.add_bytes(b"m" * 100, opts={"chunker": "size-10"})
    with pytest.raises(ArtifactError, match=cid):
        get_bytes(storage, cid, limit=100)


def test_the_gateway_of_a_node_is_read_by_the_name_of_this_machine(node: IpfsNode, storage: IpfsStorage) -> None:
    """It sends us on to a host of its own for each CID, under .localhost, which no resolver has to know."""
    data = random.Random(2).randbytes(300_000)
    cid = put_bytes(storage, data)
    gateway = GatewayStorage(kubo_gateway(node).replace("127.0.0.1", "localhost"), timeout=10)
    assert get_bytes(gateway, cid, limit=len(data)) == data


def test_a_directory_is_no_artifact(storage: IpfsStorage) -> None:
    empty_directory = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    with pytest.raises(ArtifactError, match="is a directory"):
        get_bytes(storage, empty_directory, limit=100)


def test_a_nodes_own_settings_do_not_change_the_cid(tmp_path: Path) -> None:
    program = find_program("ipfs")
    start_kubo(program, tmp_path).stop()
    for setting, value in [("CidVersion", "1"), ("UnixFSChunker", '"size-1024"'), ("UnixFSFileMaxLinks", "4")]:
        subprocess.run(
            [program, "config", "--json", f"Import.{setting}", value],
            check=True,
            env={**os.environ, "IPFS_PATH": str(tmp_path / "ipfs")},
        )
    with start_kubo(program, tmp_path) as node:
        data = random.Random(0).randbytes(2_000_000)
        storage = IpfsStorage(node.api, timeout=10)
        assert get_bytes(storage, put_bytes(storage, data), limit=len(data)) == data
