"""Logs: one line per event, and never a secret."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import requests
import structlog
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from web3 import HTTPProvider, Web3

from processor import observability
from processor.errors import ConfigurationError

SECRET = "4c" * 32


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_line_for_a_person_has_time_event_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    observability.configure(json=False)
    structlog.get_logger().info("round opened", round=3, plan=None)
    structlog.get_logger().warning("trouble", error="no node")
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert first[2] == first[5] == ":" and first[8:] == "  round opened  round=3"
    assert second[8:] == "  WARNING  trouble  error=no node"


def test_json_has_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    observability.configure(json=True)
    structlog.get_logger().info("round opened", round=3, note="two\nlines")
    [line] = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "round opened", "level": "info", "round": 3, "note": "two\nlines"}


def test_the_environment_may_ask_for_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOINON_LOG", "json")
    observability.configure()
    structlog.get_logger().info("hello")
    assert json.loads(capsys.readouterr().err)["event"] == "hello"
    monkeypatch.setenv("KOINON_LOG", "loud")
    with pytest.raises(ConfigurationError, match="console or json"):
        observability.configure()


def test_events_below_the_level_are_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    observability.configure(level="warning")
    structlog.get_logger().info("small talk")
    assert capsys.readouterr().err == ""
    with pytest.raises(ConfigurationError, match="debug, info"):
        observability.configure(level="loud")


@pytest.mark.parametrize("name", ["passphrase", "private_key", "Secret", "key", "sealed-secret", "password"])
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_named_like_a_secret_is_hidden(capsys: pytest.CaptureFixture[str], as_json: bool, name: str) -> None:
    observability.configure(json=as_json)
    structlog.get_logger().info("started", **{name: SECRET}, settings={"deep": [{name: SECRET}]})
    said = capsys.readouterr().err
    assert SECRET not in said and said.count(observability.HIDDEN) == 2


@pytest.mark.parametrize(
    "text", [f"secret={SECRET}", f"private key: 0x{SECRET}", f'{{"key": "{SECRET}"}}', f"bad SECRET {SECRET.upper()}!"]
)
def test_a_secret_inside_a_text_is_hidden(capsys: pytest.CaptureFixture[str], text: str) -> None:
    observability.configure(json=True)
    structlog.get_logger().info(text, error=ValueError(text))
    assert SECRET not in capsys.readouterr().err.lower()


def test_a_secret_in_a_traceback_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    observability.configure(json=True)
    try:
        raise ValueError(f"key {SECRET}")
    except ValueError:
        structlog.get_logger().exception("a bug")
    said = capsys.readouterr().err
    assert "ValueError" in said and SECRET not in said


@pytest.mark.parametrize("name", ["sealing_key", "public_key", "keystore", "transaction"])
def test_what_everybody_may_know_is_shown(capsys: pytest.CaptureFixture[str], name: str) -> None:
    observability.configure()
    structlog.get_logger().info("round opened", **{name: SECRET})
    assert SECRET in capsys.readouterr().err


ADDRESSES = [
    "https://node.example:8545/v3/TOKEN",
    "wss://node.example/ws?apikey=TOKEN",
    "http://user:TOKEN@node.example:5001",
    "http://user:TO@KEN:TOKEN@node.example/api/v0/add",
    "https://node.example#TOKEN",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("as_json", [True, False])
def test_an_address_is_shown_without_what_may_be_a_key(
    capsys: pytest.CaptureFixture[str], as_json: bool, address: str
) -> None:
    observability.configure(json=as_json)
    log = structlog.get_logger()
    log.warning(f"cannot reach {address}, twice", url=address, deep=[{"at": address}], error=ValueError(f"<{address}>"))
    said = capsys.readouterr().err
    assert "TOKEN" not in said and said.count("node.example") == 4


@given(st.text("abzAZ09_.~!$&*+,;=:%@-", min_size=1, max_size=40))
def test_no_user_path_or_query_of_an_address_is_shown(secret: str) -> None:
    hidden = f"SECRET{secret}SECRET"
    for address in (
        f"https://{hidden}@node.example/x",
        f"https://node.example/{hidden}",
        f"ws://node.example?{hidden}",
    ):
        assert "SECRET" not in observability.without_secrets(f"cannot reach {address} (yet)")


def test_what_requests_say_of_a_failed_request_names_no_path() -> None:
    with pytest.raises(requests.ConnectionError) as failed:
        requests.get("http://127.0.0.1:1/v3/TOKEN?key=TOKEN", timeout=1)
    assert "TOKEN" in str(failed.value)
    assert "TOKEN" not in observability.without_secrets(str(failed.value))


class _Impolite(http.server.BaseHTTPRequestHandler):
    """Closes every connection without an answer, so that the library tries again and says so."""

    def handle(self) -> None:
        self.rfile.readline()


def test_libraries_log_no_address_even_when_asked_for_everything(capsys: pytest.CaptureFixture[str]) -> None:
    observability.configure(json=True, level="debug")
    loggers = [logging.getLogger(name) for name in ("urllib3", "web3", "requests", "websockets")]
    before = [logger.level for logger in loggers]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Impolite)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        address = f"http://127.0.0.1:{server.server_address[1]}/v3/TOKEN?key=TOKEN"
        with pytest.raises(urllib3.exceptions.MaxRetryError):
            urllib3.PoolManager().request("GET", address, retries=1)
        with pytest.raises(requests.ConnectionError):
            Web3(HTTPProvider(address, exception_retry_configuration=None)).eth.get_block_number()
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
        server.shutdown()
        server.server_close()
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert any("Retrying" in line["event"] and line["library"] == "urllib3.connectionpool" for line in said)
    assert all(line["level"] == "warning" and "TOKEN" not in json.dumps(line) for line in said)


def test_a_thread_that_ends_by_an_error_says_so_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.excepthook
    observability.configure(json=True)
    try:
        thread = threading.Thread(target=requests.get, args=("http://127.0.0.1:1/TOKEN",), name="worker")
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    said = json.loads(capsys.readouterr().err)
    assert said["thread"] == "worker" and "ConnectionError" in said["exception"] and "TOKEN" not in json.dumps(said)


@given(st.text())
def test_no_text_breaks_the_line_or_steers_the_terminal(text: str) -> None:
    line = observability.one_line(None, "", {"event": text, "error": text})
    assert line.isprintable() and len(line.splitlines()) == 1
