"""No proxy variable leads to this machine, whichever client asks; others lead where they say."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from processor.cid import cid_of
from processor.errors import StorageError
from processor.exchange import ExchangeError, Reason, Session, exchange
from processor.storage import GatewayStorage, IpfsStorage, get_bytes, put_bytes
from tests.fuzz.http_answers import head, sized
from tests.fuzz.server import Answer, Endless, Server, answer, in_turn
from tests.unit.storage.servers import honest

CERTIFICATE = Path(__file__).parent / "localhost.pem"
DATA = b"model" * 1000
CID = cid_of(DATA)
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

Proxied = Callable[[str], None]


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Proxied:
    def name(address: str) -> None:
        for variable in VARIABLES:
            monkeypatch.setenv(variable, address)
            monkeypatch.setenv(variable.lower(), address)
        for variable in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
            monkeypatch.delenv(variable, raising=False)

    return name


def proxy(*answers: Answer) -> Server:
    return Server(in_turn(answers or (answer(sized(b"", status="403 No")),)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "cid.ipfs.localhost", "127.1"])
def test_no_proxy_leads_to_a_gateway_of_this_machine(proxied: Proxied, host: str) -> None:
    with proxy().running() as other, honest(DATA).running() as server:
        proxied(f"http://127.0.0.1:{other.port}")
        assert get_bytes(GatewayStorage(f"http://{host}:{server.port}", 60), CID, len(DATA)) == DATA
        assert other.heard == []


@pytest.mark.parametrize("host", ["/ip4/127.0.0.1", "/dns/localhost", "/dns4/localhost", "/dns4/a.localhost"])
def test_no_proxy_leads_to_a_node_of_this_machine(proxied: Proxied, host: str) -> None:
    with proxy().running() as other, honest(DATA).running() as server:
        proxied(f"http://127.0.0.1:{other.port}")
        storage = IpfsStorage(f"{host}/tcp/{server.port}", 60)
        assert put_bytes(storage, DATA) == CID
        assert get_bytes(storage, CID, len(DATA)) == DATA
        assert other.heard == []


def test_no_proxy_leads_to_the_socket_of_a_node(proxied: Proxied, tmp_path: Path) -> None:
    with proxy().running() as other:
        proxied(f"http://127.0.0.1:{other.port}")
        with pytest.raises(StorageError, match="no IPFS node answers"):
            put_bytes(IpfsStorage(f"/unix{tmp_path}/Node", 60), DATA)
        assert other.heard == []


def test_a_proxy_leads_to_a_gateway_elsewhere(proxied: Proxied) -> None:
    with proxy(answer(sized(DATA))).running() as other:
        proxied(f"http://127.0.0.1:{other.port}")
        assert get_bytes(GatewayStorage("http://gateway.example", 60), CID, len(DATA)) == DATA
        assert other.heard == [f"GET http://gateway.example/ipfs/{CID} HTTP/1.1"]


@pytest.mark.parametrize("host", ["/dns4/node.example", "/ip4/192.0.2.7"])
def test_a_proxy_for_everything_leads_to_a_node_elsewhere(proxied: Proxied, host: str) -> None:
    with proxy(answer(sized(b'{"Hash": "%s"}' % CID.encode()))).running() as other:
        proxied(f"http://127.0.0.1:{other.port}")
        assert put_bytes(IpfsStorage(f"{host}/tcp/5001", 60), DATA) == CID
        assert host.split("/")[-1] in other.heard[0]


@pytest.mark.parametrize(
    ("hostile", "seconds"),
    [
        (answer(b"HTTP/1.1 200 OK\r\n", Endless(b"X: y\r\n", 0.02)), 1.5),
        (answer(Endless(b"HTTP/1.1 200 OK" * 100)), 60),
        (answer(sized(b"", status="407 Who are you")), 60),
        (answer(head("Connection: keep-alive"), Endless(b"\x16\x03\x03\x40\x00" + bytes(0x4000))), 60),
    ],
)
def test_a_tunnel_through_a_proxy_keeps_to_the_limits(proxied: Proxied, hostile: Answer, seconds: float) -> None:
    with proxy(hostile).running() as other:
        proxied(f"http://127.0.0.1:{other.port}")
        with pytest.raises(ExchangeError), exchange(seconds, 10_000_000):
            Session().get("https://node.example/")
        assert other.heard == ["CONNECT node.example:443 HTTP/1.0"]


def test_a_proxy_of_another_kind_is_named(proxied: Proxied) -> None:
    proxied("socks5h://127.0.0.1:9050")
    with pytest.raises(ExchangeError, match="SOCKS") as raised, exchange(60, 1000):
        Session().get("http://node.example/")
    assert raised.value.reason is Reason.UNREACHABLE


def encrypted(*answers: Answer) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return Server(in_turn(answers), context)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # what requests makes of a proxy for plain HTTP
def test_an_encrypted_proxy_leads_elsewhere(proxied: Proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with encrypted(answer(sized(DATA))).running() as other:
        proxied(f"https://localhost:{other.port}")
        assert get_bytes(GatewayStorage("http://gateway.example", 60), CID, len(DATA)) == DATA
        assert len(other.heard) == 1


def test_a_tunnel_through_an_encrypted_proxy_keeps_to_the_limits(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with encrypted(
        answer(b"HTTP/1.1 200 OK\r\n\r\n", Endless(b"\x16\x03\x03\x40\x00" + bytes(0x4000)))
    ).running() as other:
        proxied(f"https://localhost:{other.port}")
        with pytest.raises(ExchangeError), exchange(60, 10_000_000):
            Session().get("https://node.example/")
        assert other.heard == ["CONNECT node.example:443 HTTP/1.0"]
