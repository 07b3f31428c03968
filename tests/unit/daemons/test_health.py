"""The HTTP server next to a daemon, asked over real sockets."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from processor.daemons import serving
from processor.daemons.health import MOST_CONNECTIONS, served
from processor.demo.nodes import free_port
from processor.errors import ConfigurationError
from processor.metrics import Metrics


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())


def test_metrics_are_what_prometheus_reads() -> None:
    metrics, port = Metrics(), free_port()
    metrics.cycle("waited")
    metrics.balance(5)
    with served(metrics, ("127.0.0.1", port)):
        status, text, headers = ask(port, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=")
    samples = {sample.name: sample.value for each in text_string_to_metric_families(text) for sample in each.samples}
    assert samples["koinon_cycles_total"] == 1 and samples["koinon_balance_wei"] == 5


def test_health_turns_with_the_clock_and_back_with_a_sign_of_life() -> None:
    ticks, port = Ticks(), free_port()
    metrics = Metrics(ticks=ticks, patience=60)
    with served(metrics, ("127.0.0.1", port)):
        assert ask(port, "/healthz")[:2] == (200, "ok: the last sign of life was 0 s ago; no cycle has ended yet\n")
        ticks.now = 61
        status, words, _ = ask(port, "/healthz?verbose")
        assert status == 503 and "61 s" in words
        metrics.beat()
        assert ask(port, "/healthz")[0] == 200


def test_nothing_else_is_served_and_nothing_is_said_of_the_program() -> None:
    port = free_port()
    with served(Metrics(), ("127.0.0.1", port)):
        assert ask(port, "/")[0] == 404
        assert ask(port, "/metrics/../etc/passwd")[0] == 404
        status, text, headers = ask(port, "/metrics", "HEAD")
        assert (status, text) == (200, "") and "Python" not in headers["Server"]
        assert ask(port, "/metrics", "POST")[0] == 501


def test_requests_are_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with served(Metrics(), ("127.0.0.1", port)):
        ask(port, "/metrics")
        ask(port, "/nothing")
        socket.create_connection(("127.0.0.1", port)).close()
        ask(port, "/healthz")
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_is_a_mistake_that_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: Address already in use"),
            served(Metrics(), ("127.0.0.1", port)),
        ):
            raise AssertionError("it must not begin")


def test_an_address_that_is_not_ours_is_a_mistake_too() -> None:
    with pytest.raises(ConfigurationError, match="metrics cannot be served at"), served(Metrics(), ("192.0.2.1", 9464)):
        raise AssertionError("it must not begin")


def test_the_port_is_free_again_afterwards() -> None:
    port = free_port()
    for _ in range(2):
        with served(Metrics(), ("127.0.0.1", port)):
            assert ask(port, "/healthz")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/healthz")


def test_it_listens_on_an_ipv6_address() -> None:
    port = free_port()
    with (
        served(Metrics(), ("::1", port)),
        closing(http.client.HTTPConnection("::1", port, timeout=10)) as connection,
    ):
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


def test_without_an_endpoint_nothing_listens() -> None:
    threads = threading.active_count()
    with served(Metrics(), None):
        assert threading.active_count() == threads


def test_those_who_ask_and_say_nothing_cannot_take_every_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 60.0)
    port, threads = free_port(), threading.active_count()
    with served(Metrics(), ("127.0.0.1", port)):
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * MOST_CONNECTIONS)]
        try:
            turned_away = silent[-1]
            turned_away.settimeout(10)
            assert turned_away.recv(1) == b""
            assert threading.active_count() <= threads + 1 + MOST_CONNECTIONS
        finally:
            for connection in silent:
                connection.close()
