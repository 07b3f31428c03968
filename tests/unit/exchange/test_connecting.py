"""From a name to a connection: look-ups that hang, names of this machine, and kinds of address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from processor.exchange import ExchangeError, Kind, Reason, connect, exchange
from processor.exchange import connecting as connecting_module
from tests.fuzz.http_answers import sized
from tests.fuzz.server import Server, answer, in_turn

SOON = 30.0
Resolver = Callable[..., Any]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolver], None]:
    """Puts another resolver in the place of the system's, for names."""
    system = socket.getaddrinfo

    def put(other: Resolver) -> None:
        def look_up(host: str, port: int, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0) -> Any:
            return system(host, port, family, kind, proto, flags) if flags else other(host, port)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return put


def unknown(host: str, port: int) -> Any:
    raise socket.gaierror("no such name")


def leads_to(address: str) -> Resolver:
    return lambda host, port: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
def hanging() -> Any:
    ended = threading.Event()
    yield lambda host, port: unknown(host, port) if ended.wait(60) else None
    ended.set()


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "cid.ipfs.localhost", "localhost."])
def test_a_name_of_this_machine_needs_no_resolver(resolver: Callable[[Resolver], None], name: str) -> None:
    resolver(unknown)
    with (
        Server(in_turn([answer(sized(b""))])).running() as server,
        exchange(60, 1000),
        connect(name, server.port) as made,
    ):
        assert made.getpeername() == ("127.0.0.1", server.port)
        assert made.kind is Kind.THIS_MACHINE


def test_a_name_that_nobody_knows_is_unreachable(resolver: Callable[[Resolver], None]) -> None:
    resolver(unknown)
    with pytest.raises(ExchangeError, match="name is not known") as raised, exchange(60, 1000):
        connect("node.example", 80)
    assert raised.value.reason is Reason.UNREACHABLE


@pytest.mark.parametrize("name", ["a" * 300, "a..b", "\udc80", "\x00", "a b", "xn--\xff"])
def test_what_is_no_name_is_unreachable(name: str) -> None:
    with pytest.raises(ExchangeError) as raised, exchange(60, 1000):
        connect(name, 80)
    assert raised.value.reason is Reason.UNREACHABLE


def test_a_look_up_that_hangs_ends_at_the_deadline_and_at_a_stop(
    resolver: Callable[[Resolver], None], hanging: Resolver
) -> None:
    resolver(hanging)
    started = time.monotonic()
    with pytest.raises(ExchangeError) as raised, exchange(0.2, 1000):
        connect("node.example", 80)
    assert raised.value.reason is Reason.LATE
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(ExchangeError) as raised, exchange(600, 1000, stop.is_set):
        connect("node.example", 80)
    assert raised.value.reason is Reason.STOPPED
    assert time.monotonic() - started < SOON


def test_look_ups_that_hang_hold_a_bounded_number_of_threads(
    resolver: Callable[[Resolver], None], hanging: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting_module, "LOOK_UPS", 3)
    resolver(hanging)
    before = threading.active_count()
    for number in range(10):
        with pytest.raises(ExchangeError), exchange(0.02, 1000):
            connect(f"node{number}.example", 80)
        with pytest.raises(ExchangeError), exchange(0.02, 1000):
            connect("node0.example", 80)
    assert threading.active_count() - before <= 3


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ExchangeError, match="refused") as raised, exchange(60, 1000):
            connect("127.0.0.1", unused.getsockname()[1])
    assert raised.value.reason is Reason.UNREACHABLE


def test_the_next_address_is_tried_where_the_first_refuses(resolver: Callable[[Resolver], None]) -> None:
    resolver(lambda host, port: leads_to("127.0.0.9")(host, port) + leads_to("127.0.0.1")(host, port))
    with (
        Server(in_turn([answer(b"")])).running() as server,
        exchange(60, 1000),
        connect("x.example", server.port) as made,
    ):
        assert made.getpeername()[0] == "127.0.0.1"


def test_a_name_that_leads_to_this_machine_is_refused_where_only_the_net_is_allowed(
    resolver: Callable[[Resolver], None],
) -> None:
    resolver(leads_to("127.0.0.1"))
    for name in ("inner.example", "127.0.0.1", "localhost", "x.localhost", "::1", "2130706433"):
        with pytest.raises(ExchangeError, match="this machine") as raised, exchange(60, 1000) as limits:
            limits.only = Kind.PUBLIC
            connect(name, 80)
        assert raised.value.reason is Reason.FORBIDDEN


def test_a_unix_socket_is_connected_to_by_its_path(tmp_path: Any) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "node.ipc"))
        listening.listen()
        with exchange(60, 1000), connect(str(tmp_path / "node.ipc"), 0, "unix") as made:
            made.sendall(b"hello")
            taken, _ = listening.accept()
            with taken:
                assert taken.recv(10) == b"hello"
        with pytest.raises(ExchangeError) as raised, exchange(60, 1000):
            connect(str(tmp_path / "none.ipc"), 0, "unix")
    assert raised.value.reason is Reason.UNREACHABLE
