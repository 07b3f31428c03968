"""Encrypted exchanges keep to the same limits, in the handshake and after it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processor.exchange import (
    ExchangeError,
    GuardedTls,
    Kind,
    Reason,
    Session,
    connect,
    exchange,
    guarded_tls,
    pieces_of,
)
from tests.fuzz.http_answers import chunked, head, sized
from tests.fuzz.server import Answer, Dribble, Endless, Server, Silence, answer, in_turn

CERTIFICATE = Path(__file__).parent / "localhost.pem"


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Server(in_turn(answers), context).running() as server:
        yield server


def read(server: Server, host: str = "localhost", verify: bool | str = str(CERTIFICATE)) -> bytes:
    with Session().get(f"https://{host}:{server.port}/", stream=True, verify=verify) as response:
        return b"".join(pieces_of(response))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_encrypted_answer_is_read(host: str) -> None:
    body = bytes(range(256)) * 4000
    for whole in (sized(body), head("Transfer-Encoding: chunked") + chunked(body) + b"0\r\n\r\n"):
        with serving(answer(whole)) as server, exchange(60, 2_000_000) as limits:
            assert read(server, host) == body
            assert limits.received >= len(body)
            assert limits.reached is Kind.THIS_MACHINE


def test_much_is_sent_encrypted() -> None:
    with serving(answer(sized(b"thanks"))) as server, exchange(60, 1_000_000):
        sent = iter([bytes(1 << 20)] * 5)
        found = Session().post(f"https://localhost:{server.port}/", data=sent, verify=str(CERTIFICATE))
        assert found.content == b"thanks"


def test_a_server_whose_certificate_nobody_knows_is_unreachable() -> None:
    with (
        serving(answer(sized(b"hello"))) as server,
        pytest.raises(ExchangeError, match="identify") as raised,
        exchange(60, 1000),
    ):
        read(server, verify=True)
    assert raised.value.reason is Reason.UNREACHABLE


def test_a_server_of_another_name_is_unreachable() -> None:
    with (
        serving(answer(sized(b"hello"))) as server,
        pytest.raises(ExchangeError, match="identify"),
        exchange(60, 1000),
    ):
        read(server, host="other.localhost")


@pytest.mark.parametrize(
    "hostile",
    [
        answer(head("Content-Length: 99"), Silence()),
        answer(head("Content-Length: 99"), Dribble(b"y" * 99, 0.1)),
        answer(b"HTTP/1.1 200 OK\r\n", Endless(b"X: y\r\n", 0.02)),
        answer(Endless(b"HTTP/1.1 100 Continue\r\n\r\n", 0.02)),
    ],
)
def test_the_deadline_and_the_stop_hold_behind_the_handshake(hostile: Answer) -> None:
    with serving(hostile) as server:
        with pytest.raises(ExchangeError) as raised, exchange(0.4, 10**9):
            read(server)
        assert raised.value.reason is Reason.LATE
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(ExchangeError) as raised, exchange(600, 10**9, stop.is_set):
            read(server)
        assert raised.value.reason is Reason.STOPPED


def test_the_budget_holds_behind_the_handshake() -> None:
    with (
        serving(answer(head(), Endless(b"y" * 4096))) as server,
        pytest.raises(ExchangeError) as raised,
        exchange(60, 100_000),
    ):
        read(server)
    assert raised.value.reason is Reason.TOO_MUCH


def test_a_context_of_ones_own_makes_guarded_sockets() -> None:
    context = guarded_tls(ssl.create_default_context(cafile=str(CERTIFICATE)))
    with (
        serving(answer(sized(b"hello"))) as server,
        exchange(60, 10_000),
        context.wrap_socket(connect("localhost", server.port), server_hostname="localhost") as made,
    ):
        assert isinstance(made, GuardedTls)
        made.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert made.recv(1000).startswith(b"HTTP/1.1 200 OK")
