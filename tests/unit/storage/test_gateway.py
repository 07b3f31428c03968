"""A gateway as a source: what it sends is verified, bounded, resumed, and never believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.cid import cid_of
from processor.errors import (
    ArtifactTooLarge,
    ArtifactUnavailable,
    ConfigurationError,
    IntegrityError,
    KoinonError,
    StorageError,
)
from processor.storage import GatewayStorage, get_bytes, put_bytes
from tests.unit.storage.servers import Server, honest

DATA = b"model" * 1000
CID = cid_of(DATA)


def read(server: Server, limit: int = len(DATA)) -> bytes:
    return get_bytes(GatewayStorage(server.gateway, timeout=0.3), CID, limit)


def test_an_artifact_is_read_by_its_cid() -> None:
    with honest(DATA).running() as server:
        assert read(server) == DATA
        assert server.calls == [f"/ipfs/{CID}"]


def test_content_without_a_size_is_read_to_its_end() -> None:
    with Server(DATA, CID, sized=False).running() as server:
        assert read(server) == DATA


def test_bytes_that_hash_to_another_cid_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with Server(b"M" + DATA[1:], CID).running() as server:
        with pytest.raises(IntegrityError, match="damaged or forged"):
            GatewayStorage(server.gateway, 1).get(CID, tmp_path / "to" / "copy", len(DATA))
        assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("sized", [True, False])
def test_an_artifact_above_the_limit_is_not_read(sized: bool) -> None:
    with (
        Server(DATA, CID, sized=sized).running() as server,
        pytest.raises(ArtifactTooLarge, match="expected at most 4999"),
    ):
        read(server, limit=len(DATA) - 1)


def test_content_that_ends_early_is_unavailable_and_not_forged() -> None:
    with Server(DATA, CID, cuts=[1234]).running() as server, pytest.raises(ArtifactUnavailable, match=CID):
        read(server)


@pytest.mark.parametrize("status", [404, 410, 429, 500, 504])
def test_a_gateway_that_does_not_serve_it_is_quoted(status: int) -> None:
    with Server(DATA, CID, status=status).running() as server, pytest.raises(ArtifactUnavailable, match=f"{status}"):
        read(server)


def test_a_silent_gateway_is_not_waited_for() -> None:
    with Server(DATA, CID, silent=True).running() as server, pytest.raises(ArtifactUnavailable, match=r"0\.3 s"):
        read(server)


@pytest.mark.parametrize("sized", [True, False])
def test_a_dribbling_gateway_is_not_waited_for(sized: bool) -> None:
    server = Server(DATA, CID, sized=sized, dribbles=True)
    with server.running(), pytest.raises(ArtifactUnavailable, match="too slow"):
        read(server)


def test_a_gateway_may_send_us_on_to_another_host() -> None:
    with honest(DATA).running() as other, Server(b"", CID, location=f"{other.gateway}/ipfs/{CID}").running() as server:
        assert read(server) == DATA


@pytest.mark.parametrize("location", ["file:///etc/passwd", "https://127.0.0.1/ipfs/", "ftp://127.0.0.1/"])
def test_a_gateway_may_not_send_us_to_another_scheme(location: str) -> None:
    server = Server(DATA, CID, location=location)
    with server.running(), pytest.raises(ArtifactUnavailable, match="not http"):
        read(server)


def test_a_gateway_that_sends_us_in_circles_is_left() -> None:
    with Server(DATA, CID, location=f"/ipfs/{CID}").running() as server:
        with pytest.raises(ArtifactUnavailable, match="more than 3 times"):
            read(server)
        assert len(server.calls) == 4


def test_nothing_is_written_to_a_gateway() -> None:
    gateway = GatewayStorage("https://ipfs.example", timeout=1)
    for write in (lambda: put_bytes(gateway, DATA), lambda: gateway.pin(CID), lambda: gateway.unpin(CID)):
        with pytest.raises(ConfigurationError, match="https://ipfs.example can only be read from.*--ipfs"):
            write()


def test_what_is_secret_in_its_address_is_never_shown() -> None:
    with Server(DATA, CID, down=True).running() as server:
        address = server.gateway.replace("http://", "http://user:word@") + "/token/?also=this"
        gateway = GatewayStorage(address, timeout=1)
        with pytest.raises(StorageError) as raised:
            get_bytes(gateway, CID, limit=len(DATA))
    shown = f"{raised.value!r} {raised.value} {gateway!r} {gateway.name}"
    assert server.gateway in shown
    assert not any(secret in shown for secret in ("user", "word", "token", "also"))


@pytest.mark.parametrize(
    "address",
    ["", "ipfs.example", "ftp://ipfs.example", "http://", "/ip4/127.0.0.1/tcp/8080"]
    + ["http://[", "http://host:port", "http://host:99999", "http://host:0"],
)
def test_what_is_no_gateway_address_is_a_configuration_error(address: str) -> None:
    with pytest.raises(ConfigurationError, match="https://ipfs.example"):
        GatewayStorage(address, timeout=1)


def test_what_is_no_cid_is_never_asked_for() -> None:
    with honest(DATA).running() as server:
        with pytest.raises(KoinonError, match="CIDv0"):
            get_bytes(GatewayStorage(server.gateway, 1), "../admin", limit=10)
        assert server.calls == []
