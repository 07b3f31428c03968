"""TOML that people wrote: what is wrong has its place, and a hint where another format would have taken it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import ConfigurationError
from processor.toml_texts import parse_toml, read_toml

FILE = Path("koinon.toml")


def said(text: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse_toml(text, FILE)
    return str(error.value)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("publish = True", "write true, in small letters and without quotes"),
        ("publish = yes # of course", "write true"),
        ("flags = [False, true]", "write false, in small letters and without quotes"),
        ("voucher = None", "leave the line out"),
        ("wallet = wallets/mine", 'put a text in quotes, "…"'),
        ("rpc = http://127.0.0.1:8545", 'put a text in quotes, "…"'),
        ("metrics = 127.0.0.1:9464", 'put a text in quotes, "…"'),
        ("keep = 30d", 'put a text in quotes, "…"'),
        ("wallet = “wallets”", "write plain quotes"),
        ('wallet = "C:\\Users\\me"', "write a path with \\ in single quotes"),
        ("rate = 0,5", "write a decimal point, and no comma"),
        ("rate = .5", "write a 0 in front of the decimal point"),
        ("wallet =", "something has to stand behind the = sign"),
        ("wallet: mine", "write NAME = VALUE"),
        ("[network", "a table's name stands in brackets"),
        ('wallet = "mine\ndata = "d"', "close the quotes on the line where they open"),
        ("a = 1\na = 2", "one name stands twice in its table"),
        ("[a]\n[a]", "one table stands twice"),
    ],
)
@pytest.mark.parametrize("before", ["", "[client]\n\n"])
@pytest.mark.parametrize("after", ["", "\n"])
def test_a_slip_of_another_format_is_answered_with_how_it_is_written(
    line: str, hint: str, before: str, after: str
) -> None:
    words = said(before + line + after)
    assert words.startswith(f"the configuration file {FILE} is not TOML: ") and hint in words


def test_a_secret_on_the_line_is_not_shown() -> None:
    assert "hunter2" not in said("rpc = https://node/hunter2") + said('rpc = "https://node/hunter2')


@pytest.mark.parametrize(
    ("text", "words"), [("a = " + "[" * 10_000, "nested too deep"), ("a = " + "1" * 10_000, "too many digits")]
)
def test_what_no_parser_takes_is_said_too(text: str, words: str) -> None:
    assert words in said(text)


@given(st.text())
def test_any_text_is_tables_or_a_sentence(text: str) -> None:
    try:
        assert isinstance(parse_toml(text, FILE), dict)
    except ConfigurationError as error:
        assert str(FILE) in str(error)


def test_a_mark_in_front_is_no_part_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "koinon.toml").write_bytes('\ufeff[network]\nstore = "Grüße"\n'.encode())
    assert read_toml(tmp_path / "koinon.toml") == {"network": {"store": "Grüße"}}
