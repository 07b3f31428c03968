"""A relay's HTTP server, asked over real sockets by anybody: small, quick and strict."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import structlog

from processor.daemons import serving
from processor.daemons.relay_limits import MOST_KNOWN, Rates, neighbourhood
from processor.daemons.relay_server import MOST_CONNECTIONS, Refused, answering
from processor.errors import ChainError, ConfigurationError
from processor.protocol.relaying import HANDED_LIMIT

LOG = structlog.get_logger()


class Desk:
    """Gives what it was handed, or fails as it is told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.fails: Exception | None = None

    def take(self, kind: str, body: bytes) -> bytes:
        self.taken.append((kind, body))
        if self.fails is not None:
            raise self.fails
        return json.dumps({"kind": "receipt", "of": kind}).encode()

    def status(self) -> dict[str, Any]:
        return {"kind": "relay-status", "waiting": len(self.taken)}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def port(desk: Desk) -> Iterator[int]:
    with answering(desk, ("127.0.0.1", 0), Rates(6_000, 6_000), LOG) as port:
        yield port


def ask(
    port: int, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
) -> tuple[int, dict[str, Any]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, body, {"Content-Type": kind} if body is not None else {})
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "application/json"
        assert (answer.getheader("Server") or "").strip() == "koinon"
        return answer.status, json.loads(answer.read())


def raw(port: int, data: bytes) -> bytes:
    """What comes back for bytes; empty where the connection is cut."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        connection.sendall(data)
        found = b""
        try:
            while piece := connection.recv(4096):
                found += piece
        except ConnectionError:
            pass
        return found


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds in a while: the server's threads begin when the machine lets them."""
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/update", "signed-update"), ("/registration", "signed-registration"), ("/leaving", "signed-leaving")],
)
def test_each_kind_is_handed_over_at_its_place(desk: Desk, port: int, path: str, kind: str) -> None:
    assert ask(port, "POST", path, b'{"x": 1}') == (200, {"kind": "receipt", "of": kind})
    assert desk.taken == [(kind, b'{"x": 1}')]


def test_the_status_is_for_anybody(port: int) -> None:
    assert ask(port, "GET", "/status") == (200, {"kind": "relay-status", "waiting": 0})


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status"),
    [
        ("GET", "/", None, "", 404),
        ("GET", "/update", None, "", 404),
        ("GET", "/status?x", None, "", 404),
        ("POST", "/", b"{}", "application/json", 404),
        ("POST", "/update/", b"{}", "application/json", 404),
        ("POST", "/update", b"{}", "text/plain", 415),
        ("POST", "/update", b"{}", "application/x-www-form-urlencoded", 415),
        ("POST", "/update", b"x" * (HANDED_LIMIT + 1), "application/json", 413),
        ("DELETE", "/update", None, "", 501),
    ],
    ids=range(9),
)
def test_nothing_else_is_answered(
    desk: Desk, port: int, method: str, path: str, body: bytes | None, kind: str, status: int
) -> None:
    found, answer = ask(port, method, path, body, kind)
    assert found == status and answer["error"]
    assert desk.taken == []


@pytest.mark.parametrize(
    "head",
    [
        "Content-Type: application/json\r\n",
        "Content-Type: application/json\r\nContent-Length: -1\r\n",
        "Content-Type: application/json\r\nContent-Length: 1e1\r\n",
        "Content-Type: application/json\r\nContent-Length: 99999999999999999999\r\n",
        "Content-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_a_body_without_a_plain_length_is_refused(desk: Desk, port: int, head: str) -> None:
    answer = raw(port, f"POST /update HTTP/1.1\r\n{head}\r\n".encode() + b"{}")
    assert b" 411 " in answer.split(b"\r\n")[0]
    assert desk.taken == []


@pytest.mark.parametrize(
    "data",
    [
        b"POST /update HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /update HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        b"P" * 200_000,
    ],
    ids=["line", "lines", "request"],
)
def test_a_head_that_is_too_large_is_cut_off(desk: Desk, port: int, data: bytes) -> None:
    answer = raw(port, data)
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"414", b"431")
    assert desk.taken == []


def test_who_sends_a_byte_now_and_then_is_cut_off(desk: Desk, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WHOLE_REQUEST", 0.6)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            for _ in range(200):
                connection.sendall(b"P")
                time.sleep(0.05)
        assert time.monotonic() - begun < 8
    assert ask(port, "GET", "/status")[0] == 200


def test_a_body_that_is_shorter_than_announced_is_not_taken(desk: Desk, port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        connection.sendall(b"POST /update HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096).split(b" ")[1] == b"400"
    assert desk.taken == []


def test_no_more_are_answered_at_a_time_than_there_are_places(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 60.0)
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(MOST_CONNECTIONS)]
    try:
        assert eventually(lambda: raw(port, b"GET /status HTTP/1.0\r\n\r\n") == b"")
    finally:
        for each in silent:
            each.close()
    assert eventually(lambda: raw(port, b"GET /status HTTP/1.0\r\n\r\n") != b"")


def test_what_the_desk_refuses_is_said_and_what_it_cannot_do_is_not_explained_to_strangers(
    desk: Desk, port: int
) -> None:
    desk.fails = Refused(409, "round 3 did not select you")
    assert ask(port, "POST", "/update", b"{}") == (409, {"error": "round 3 did not select you"})
    desk.fails = ChainError("the node at http://user:secret@node does not answer")
    status, answer = ask(port, "POST", "/update", b"{}")
    assert status == 503 and "secret" not in answer["error"] and "node" not in answer["error"]
    desk.fails = RuntimeError("a bug")
    status, answer = ask(port, "POST", "/update", b"{}")
    assert status == 500 and "bug" not in answer["error"]
    desk.fails = None
    assert ask(port, "POST", "/update", b"{}")[0] == 200


def test_one_address_asks_so_often_and_no_oftener(desk: Desk) -> None:
    with answering(desk, ("127.0.0.1", 0), Rates(1, burst=3), LOG) as port:
        assert [ask(port, "GET", "/status")[0] for _ in range(5)] == [200] * 3 + [429] * 2
        assert ask(port, "POST", "/update", b"{}")[0] == 429
    assert desk.taken == []


def test_an_address_that_is_taken_is_a_mistake_of_the_configuration(port: int) -> None:
    with (
        pytest.raises(ConfigurationError, match="cannot listen at 127.0.0.1"),
        answering(Desk(), ("127.0.0.1", port), Rates(1, 1), LOG),
    ):
        pass


# ------------------------------------------------------------------------------------------------------------ limits


class Ticks:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_with_time_and_overflows() -> None:
    ticks = Ticks()
    rates = Rates(per_minute=60, burst=2, ticks=ticks)
    assert [rates.allows("a") for _ in range(3)] == [True, True, False]
    assert rates.allows("b")
    ticks.now += 1
    assert [rates.allows("a") for _ in range(2)] == [True, False]
    ticks.now += 1_000
    assert [rates.allows("a") for _ in range(3)] == [True, True, False]


def test_no_more_buckets_are_kept_than_fit_and_those_who_ask_most_keep_theirs() -> None:
    rates = Rates(per_minute=1, burst=1, ticks=Ticks())
    assert rates.allows("often")
    for number in range(2 * MOST_KNOWN):
        assert rates.allows(f"stranger {number}")
        assert not rates.allows("often")
    assert len(rates._buckets) == MOST_KNOWN


def test_many_threads_share_a_bucket() -> None:
    rates, allowed = Rates(per_minute=1, burst=50, ticks=Ticks()), list[bool]()
    threads = [threading.Thread(target=lambda: allowed.extend(rates.allows("a") for _ in range(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 50


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_who_has_a_network_counts_as_one(address: str, counts_as: str) -> None:
    assert neighbourhood(address) == counts_as
