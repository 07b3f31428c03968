"""Where a gateway may send us: on within its scheme and its kind of address, and never from the net to this machine or
a private network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.cid import cid_of
from processor.errors import ArtifactUnavailable
from processor.exchange import Kind, addresses, connecting
from processor.storage import GatewayStorage, get_bytes
from tests.fuzz.http_answers import sized
from tests.fuzz.server import Server as RawServer
from tests.fuzz.server import answer, in_turn
from tests.unit.storage.servers import Server

DATA = b"model" * 1000
CID = cid_of(DATA)
KINDS = {"127.0.0.2": Kind.PUBLIC, "127.0.0.3": Kind.PUBLIC, "127.0.0.4": Kind.PRIVATE, "127.0.0.5": Kind.LINK}
NAMES = {
    "gateway.example": "127.0.0.2",
    "other.example": "127.0.0.3",
    "inner.example": "127.0.0.1",
    "lan.example": "127.0.0.4",
}


@pytest.fixture(autouse=True)
def net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some addresses of this machine stand for others, and some names lead to them."""
    system = socket.getaddrinfo

    def kind_of(address: str) -> Kind:
        return KINDS.get(address) or addresses_kind(address)

    def look_up(host: str, port: int, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0) -> Any:
        return system(host if flags else NAMES.get(host, host), port, family, kind, proto, flags)

    addresses_kind: Callable[[str], Kind] = addresses.kind_of
    monkeypatch.setattr(addresses, "kind_of", kind_of)
    monkeypatch.setattr(connecting, "kind_of", kind_of)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def everywhere(data: bytes) -> Server:
    return Server(data, CID, host="0.0.0.0")


def read(host: str, server: Server) -> bytes:
    return get_bytes(GatewayStorage(f"http://{host}:{server.port}", 60), CID, len(DATA))


@pytest.mark.parametrize("start", ["127.0.0.2", "gateway.example"])
@pytest.mark.parametrize(
    "target",
    ["127.0.0.1", "localhost", "cid.ipfs.localhost", "[::1]", "2130706433", "0", "[::ffff:127.0.0.1]", "inner.example"]
    + ["127.0.0.4", "lan.example", "127.0.0.5"],
)
def test_a_public_gateway_leads_to_nothing_that_only_we_can_reach(start: str, target: str) -> None:
    with everywhere(DATA).running() as inner, everywhere(b"").running() as server:
        server.location = f"http://{target}:{inner.port}/ipfs/{CID}"
        with pytest.raises(ArtifactUnavailable, match="another kind of address"):
            read(start, server)
        assert inner.calls == []


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", "127.0.0.2", "inner.example"])
def test_a_gateway_of_a_private_network_leads_nowhere_else(target: str) -> None:
    with everywhere(DATA).running() as inner, everywhere(b"").running() as server:
        server.location = f"http://{target}:{inner.port}/ipfs/{CID}"
        with pytest.raises(ArtifactUnavailable, match="another kind of address"):
            read("127.0.0.4", server)
        assert inner.calls == []


def test_a_gateway_that_leads_in_by_two_steps_is_refused() -> None:
    with everywhere(DATA).running() as inner, everywhere(b"").running() as second, everywhere(b"").running() as first:
        first.location = f"http://other.example:{second.port}/x"
        second.location = f"http://inner.example:{inner.port}/ipfs/{CID}"
        with pytest.raises(ArtifactUnavailable, match="another kind of address"):
            read("gateway.example", first)
        assert inner.calls == []


@pytest.mark.parametrize(("start", "target"), [("gateway.example", "other.example"), ("127.0.0.2", "127.0.0.3")])
def test_a_public_gateway_may_lead_to_another(start: str, target: str) -> None:
    with everywhere(DATA).running() as other, everywhere(b"").running() as server:
        server.location = f"http://{target}:{other.port}/ipfs/{CID}"
        assert read(start, server) == DATA


def test_a_gateway_of_this_machine_may_lead_to_a_host_of_its_own_for_each_cid() -> None:
    """As Kubo does it, whose name no resolver has to know."""
    with everywhere(DATA).running() as other, everywhere(b"").running() as server:
        server.location = f"http://bafybeib.ipfs.localhost:{other.port}/ipfs/{CID}"
        assert read("localhost", server) == DATA


def test_the_host_that_was_named_is_asked_for() -> None:
    with RawServer(in_turn([answer(sized(DATA))]), whole=True).running() as server:
        assert get_bytes(GatewayStorage(f"http://cid.ipfs.localhost:{server.port}", 60), CID, len(DATA)) == DATA
    assert f"\r\nHost: cid.ipfs.localhost:{server.port}\r\n" in server.heard[0]


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", "a.localhost", "127.0.0.4", "10.0.0.1", "[::1]"])
def test_a_gateway_behind_a_proxy_leads_to_nothing_that_only_we_or_the_proxy_can_reach(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    with everywhere(DATA).running() as inner:
        location = f"Location: http://{target}:{inner.port}/ipfs/{CID}"
        with RawServer(in_turn([answer(sized(b"", location, status="302 Found"))])).running() as proxy:
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(ArtifactUnavailable, match="another kind of address"):
                get_bytes(GatewayStorage("http://gateway.example", 60), CID, len(DATA))
            assert len(proxy.heard) == 1
        assert inner.calls == []


def test_a_password_is_told_to_the_gateway_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login user password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with RawServer(in_turn([answer(sized(DATA))]), whole=True).running() as other:
        location = f"Location: http://user:other@localhost:{other.port}/ipfs/{CID}"
        answers = in_turn([answer(sized(b"", location, status="302 Found"))])
        with RawServer(answers, whole=True).running() as server:
            gateway = GatewayStorage(f"http://user:word@127.0.0.1:{server.port}", 60)
            assert get_bytes(gateway, CID, len(DATA)) == DATA
    assert "Authorization: Basic" in server.heard[0]
    assert "Authorization" not in other.heard[0]


def test_a_password_goes_on_to_another_path_of_the_gateway() -> None:
    answers = in_turn([answer(sized(b"", "Location: /x", status="302 Found")), answer(sized(DATA))])
    with RawServer(answers, whole=True).running() as server:
        gateway = GatewayStorage(f"http://user:word@127.0.0.1:{server.port}", 60)
        assert get_bytes(gateway, CID, len(DATA)) == DATA
    assert ["Authorization: Basic" in head for head in server.heard] == [True, True]
