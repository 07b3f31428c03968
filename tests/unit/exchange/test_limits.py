"""One exchange: its deadline, its budget, its stop, and the one error that it ends with."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from processor.errors import IntegrityError
from processor.exchange import ExchangeError, GuardedSocket, Reason, Session, current, exchange, pieces_of
from processor.exchange.sockets import LONGEST_LINE
from tests.fuzz.http_answers import head, sized
from tests.fuzz.server import Answer, Endless, Server, Silence, answer, in_turn

SOON = 30.0
"""Seconds, for a busy machine: far less than the limits that a test does not mean."""


@contextmanager
def serving(*answers: Answer) -> Iterator[str]:
    with Server(in_turn(answers)).running() as server:
        yield f"http://127.0.0.1:{server.port}/"


def read(address: str, session: Session | None = None) -> bytes:
    with (session or Session()).get(address, stream=True, headers={"Accept-Encoding": "identity"}) as response:
        return b"".join(pieces_of(response))


def ends_by(reason: Reason, address: str, **limits: float) -> ExchangeError:
    with (
        pytest.raises(ExchangeError) as raised,
        exchange(limits.get("seconds", 60), int(limits.get("most_bytes", 10**9))),
    ):
        read(address)
    assert raised.value.reason is reason
    return raised.value


def test_an_answer_within_the_limits_is_read() -> None:
    with serving(answer(sized(b"hello"))) as address, exchange(60, 1000) as limits:
        assert read(address) == b"hello"
    assert limits.received == len(sized(b"hello"))


def test_the_deadline_holds_for_all_of_it_together() -> None:
    """Each byte comes in time, the whole does not."""
    started = time.monotonic()
    with serving(answer(b"HTTP/1.1 200 OK\r\n", Endless(b"X: y\r\n", 0.05))) as address:
        ends_by(Reason.LATE, address, seconds=0.3)
    assert time.monotonic() - started < SOON


def test_more_bytes_than_the_budget_are_not_read() -> None:
    with serving(answer(head(), Endless(b"y" * 4096))) as address:
        error = ends_by(Reason.TOO_MUCH, address, most_bytes=100_000)
    assert "100000" in str(error)


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    with (
        serving(answer(head("Transfer-Encoding: chunked"), Endless(b"0" * 4096))) as address,
        pytest.raises(ExchangeError, match=f"{LONGEST_LINE}"),
        exchange(60, 10**9),
    ):
        Session().get(address)


def test_a_stop_is_heard_while_nothing_comes() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with (
        serving(answer(head("Content-Length: 5"), Silence())) as address,
        pytest.raises(ExchangeError) as raised,
        exchange(600, 1000, stop.is_set),
    ):
        read(address)
    assert raised.value.reason is Reason.STOPPED
    assert time.monotonic() - started < SOON


def test_a_stop_is_heard_while_nobody_takes_what_we_send() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with (
        serving(answer(Endless(b"", 0.05), deaf=True)) as address,
        pytest.raises(ExchangeError) as raised,
        exchange(600, 1000, stop.is_set),
    ):
        Session().post(address, data=iter([bytes(1 << 20)] * 100))
    assert raised.value.reason is Reason.STOPPED


def test_bytes_that_come_at_a_fair_pace_may_take_longer() -> None:
    with serving(answer(sized(b"y" * 400))) as address, exchange(60, 10_000, pace=1) as limits:
        assert read(address) == b"y" * 400
        assert limits.left() > 60


def test_an_exchange_inside_another_keeps_to_both() -> None:
    with serving(answer(head(), Endless(b"y" * 4096))) as address:
        with pytest.raises(ExchangeError, match="10000 bytes"), exchange(60, 10_000), exchange(60, 10**9):
            read(address)
        with pytest.raises(ExchangeError) as raised, exchange(0.2, 10**12), exchange(60, 10**12):
            read(address)
    assert raised.value.reason is Reason.LATE
    assert current() is None


@pytest.mark.parametrize(
    "strange", [ValueError, TypeError, RecursionError, OverflowError, KeyError, OSError, AttributeError]
)
def test_whatever_a_library_makes_of_an_answer_is_one_error(strange: type[Exception]) -> None:
    with pytest.raises(ExchangeError) as raised, exchange(60, 1000):
        raise strange("http://user:word@node.example/secret")
    assert raised.value.reason is Reason.BROKEN
    assert "secret" not in repr(raised.value)
    assert raised.value.__suppress_context__


def test_our_own_errors_pass_as_they_are() -> None:
    with pytest.raises(IntegrityError), exchange(60, 1000):
        raise IntegrityError("forged")


def test_a_request_outside_of_an_exchange_is_a_mistake() -> None:
    with serving(answer(sized(b"hello"))) as address, pytest.raises(RuntimeError, match="exchange"):
        Session().get(address)


def test_a_redirect_is_an_answer_whose_body_nobody_reads() -> None:
    redirect = answer(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", Endless(b"y" * 4096))
    with serving(redirect) as address, exchange(60, 10**9) as limits, Session().get(address, stream=True) as response:
        assert response.status_code == 302
    assert limits.received < 1 << 20


def test_what_is_compressed_although_nobody_asked_for_it_is_refused() -> None:
    with serving(answer(sized(b"hello", "Content-Encoding: gzip"))) as address:
        ends_by(Reason.BROKEN, address)


def test_cookies_are_kept_only_where_they_are_wanted() -> None:
    with serving(answer(sized(b"", "Set-Cookie: a=b"))) as address, exchange(60, 10_000):
        for cookies in (True, False):
            session = Session(cookies=cookies)
            session.get(address)
            assert bool(session.cookies) is cookies


def test_no_log_shows_what_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with serving(answer(sized(b"", "no colon in it"))) as address, exchange(60, 10_000):
        Session().get(f"{address}secret")
    assert "secret" not in caplog.text


def test_a_connection_is_used_again() -> None:
    made = []
    with Server(in_turn([answer(sized(b"hello"), stay=True)])).running() as server:
        session = Session()
        for _ in range(3):
            with exchange(60, 1000):
                assert session.get(f"http://127.0.0.1:{server.port}/").content == b"hello"
            made.append(server.connections)
    assert made == [1, 1, 1]


def test_a_socket_outside_of_any_exchange_keeps_to_its_time_out() -> None:
    left, right = socket.socketpair()
    with left, GuardedSocket(right.family, right.type, fileno=right.detach()) as guarded:
        guarded.settimeout(0.1)
        with pytest.raises(ExchangeError) as raised:
            guarded.recv(1)
        left.send(b"y")
        assert guarded.recv(10) == b"y"
    assert raised.value.reason is Reason.LATE


def test_a_socket_may_be_bound_to_the_limits_of_another_thread() -> None:
    left, right = socket.socketpair()
    found: list[Reason] = []

    def wait(guarded: GuardedSocket) -> None:
        try:
            guarded.recv(1)
        except ExchangeError as error:
            found.append(error.reason)

    with left, GuardedSocket(right.family, right.type, fileno=right.detach()) as guarded, exchange(0.2, 10) as limits:
        guarded.bound = limits
        waiting = threading.Thread(target=wait, args=(guarded,))
        waiting.start()
        waiting.join(SOON)
    assert found == [Reason.LATE]
