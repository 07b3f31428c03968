"""Logs: one line per event, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.text())
def test_no_text_breaks_the_line_or_steers_the_terminal(text: str) -> None:
    line = observability.one_line(None, "", {"event": text, "error": text})
    assert line.isprintable() and len(line.splitlines()) == 1
