"""Our own servers under slow, huge and very many requests: threads, memory and time stay bounded, and who asks as one
should is answered all the same."""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
import structlog

from processor.daemons import health, relay_server, serving
from processor.daemons.health import served
from processor.daemons.relay_limits import Rates
from processor.daemons.relay_server import answering
from processor.demo.nodes import free_port
from processor.metrics import Metrics
from processor.protocol.relaying import HANDED_LIMIT

LOG = structlog.get_logger()
PATHS = {"health": b"/healthz", "relay": b"/status"}
PLACES = {"health": health.MOST_CONNECTIONS, "relay": relay_server.MOST_CONNECTIONS}
UNHURRIED = 60.0  # seconds: what nobody promises to do sooner


class Desk:
    """Takes everything, once `open` is set."""

    def __init__(self) -> None:
        self.asked, self.open = threading.Event(), threading.Event()
        self.open.set()

    def take(self, kind: str, body: bytes) -> bytes:
        self.asked.set()
        self.open.wait(UNHURRIED)
        return json.dumps({"kind": "receipt"}).encode()

    def status(self) -> dict[str, Any]:
        return {"kind": "relay-status"}


@contextmanager
def server(which: str, desk: Desk | None = None) -> Iterator[int]:
    """One of our servers, and its port."""
    if which == "health":
        port = free_port()
        with served(Metrics(), ("127.0.0.1", port)):
            yield port
    else:
        with answering(desk or Desk(), ("127.0.0.1", 0), Rates(60_000, 60_000), LOG) as port:
            yield port


@pytest.fixture(params=["health", "relay"])
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=UNHURRIED)


def sent(port: int, data: bytes) -> bytes:
    """What comes back for bytes; what was cut off before it could be sent gets what had come back until then."""
    with closing(connected(port)) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
        return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionError):
        while piece := connection.recv(2**16):
            found += piece
    return found


def status(port: int, which: str) -> bytes:
    """The HTTP status of a plain request; empty where it is turned away."""
    return sent(port, b"GET " + PATHS[which] + b" HTTP/1.0\r\n\r\n")[9:12]


def answered_in_the_end(port: int, which: str) -> bool:
    deadline = time.monotonic() + UNHURRIED
    while time.monotonic() < deadline:
        if status(port, which) == b"200":
            return True
        time.sleep(0.05)
    return False


def test_headers_that_dribble_in_are_cut_off_though_nobody_is_ever_silent(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "WHOLE_REQUEST", 0.5)
    with server(which) as port, closing(connected(port)) as slow:
        begun = time.monotonic()
        slow.sendall(b"GET " + PATHS[which] + b" HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < UNHURRIED:
                slow.sendall(b"x")
                time.sleep(0.05)
        assert status(port, which) == b"200"


def test_a_body_that_dribbles_in_is_cut_off_and_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WHOLE_REQUEST", 0.5)
    desk = Desk()
    with server("relay", desk) as port, closing(connected(port)) as slow:
        begun = time.monotonic()
        slow.sendall(b"POST /update HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 8000\r\n\r\n")
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < UNHURRIED:
                slow.sendall(b"x")
                time.sleep(0.05)
    assert not desk.asked.is_set()


HUGE = {
    "a request line": b"GET /" + b"x" * 2**20 + b" HTTP/1.1\r\n\r\n",
    "no end of a line": b"G" * 2**22,
    "a header": b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 2**20 + b"\r\n\r\n",
    "very many headers": b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    "headers of the most bytes that the standard library takes": b"GET /healthz HTTP/1.1\r\n"
    + (b"X: " + b"y" * 65_000 + b"\r\n") * 90
    + b"\r\n",
}


@pytest.mark.parametrize("data", HUGE.values(), ids=HUGE.keys())
def test_a_huge_head_is_refused_in_words_before_it_is_read(which: str, data: bytes) -> None:
    with server(which) as port:
        tracemalloc.start()
        try:
            answers = [sent(port, data) for _ in range(4)]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert {answer[9:12] for answer in answers} <= {b"431", b""}  # the connection may end before that is read
        assert peak < 2 * 2**20
        assert status(port, which) == b"200"


@pytest.mark.parametrize(
    "length", [str(HANDED_LIMIT + 1), "9" * 9, "9" * 5_000, "-1", "0x10", "1_0", "٣"], ids=lambda text: text[:6]
)
def test_a_body_of_another_length_than_may_be_is_refused_unread(length: str) -> None:
    desk = Desk()
    head = f"POST /update HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    with server("relay", desk) as port:
        assert sent(port, head.encode())[9:12] in (b"411", b"413")
    assert not desk.asked.is_set()


@pytest.fixture
def many() -> Iterator[int]:
    """So many connections as the system lets one process open, up to 2,000."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8_192 if hard == resource.RLIM_INFINITY else min(8_192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield min(2_000, wanted // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_very_many_silent_connections_take_no_thread_more_and_keep_nobody_out(
    which: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "GRACE", 0.2)
    with ExitStack() as crowd, server(which) as port:
        threads = threading.active_count()
        for number in range(many):
            crowd.enter_context(closing(connected(port)))
            if number % 100 == 0:  # what the system refuses, it lets us try again after a second only
                time.sleep(0.05)
        assert threading.active_count() <= threads + PLACES[which]
        assert answered_in_the_end(port, which)


def test_who_asks_as_one_should_gets_the_place_of_who_lets_us_wait(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 0.2)
    monkeypatch.setattr(serving, "WHOLE_REQUEST", UNHURRIED)
    monkeypatch.setattr(serving, "SILENCE", UNHURRIED)
    with ExitStack() as crowd, server(which) as port:
        for _ in range(PLACES[which]):
            crowd.enter_context(closing(connected(port)))
        assert answered_in_the_end(port, which)


def test_a_request_that_arrived_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 0.0)
    desk = Desk()
    desk.open.clear()
    with ExitStack() as crowd, server("relay", desk) as port:
        served_now = crowd.enter_context(closing(connected(port)))
        served_now.sendall(b"POST /update HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        assert desk.asked.wait(UNHURRIED)
        for _ in range(2 * PLACES["relay"]):
            crowd.enter_context(closing(connected(port)))
        assert answered_in_the_end(port, "relay")
        desk.open.set()
        assert rest_of(served_now)[9:12] == b"200"


def test_a_server_that_closes_gives_the_answers_that_it_owes_and_cuts_off_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "LAST_ANSWERS", UNHURRIED)
    desk = Desk()
    desk.open.clear()
    with ExitStack() as crowd:
        with server("relay", desk) as port:
            owed, slow = (crowd.enter_context(closing(connected(port))) for _ in range(2))
            slow.sendall(b"GET /stat")
            owed.sendall(b"POST /update HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            assert desk.asked.wait(UNHURRIED)
            threading.Timer(0.2, desk.open.set).start()
        assert rest_of(owed)[9:12] == b"200"
        assert rest_of(slow) == b""


def test_a_system_without_connections_to_give_is_asked_again_without_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a processor core would do nothing but ask."""
    asked: list[float] = []
    accept = socket.socket.accept

    def refuse(listening: socket.socket) -> Any:
        asked.append(time.monotonic())
        if len(asked) <= 3:
            raise OSError(24, "Too many open files")
        return accept(listening)

    with server("health") as port:
        monkeypatch.setattr(socket.socket, "accept", refuse)
        assert status(port, "health") == b"200"
        assert asked[3] - asked[0] > 0.2
