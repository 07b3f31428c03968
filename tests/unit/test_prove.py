"""`make prove` plays the answers of strangers, at length or in short."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz
from tools.prove import Part, parts


def strangers(quick: bool) -> Part:
    return next(part for part in parts(quick, "0x1") if "tests.fuzz" in part.command)


def test_a_long_run_goes_on_where_one_broke_off_and_a_short_one_remembers_nothing() -> None:
    assert "--resume" in strangers(quick=False).command
    assert "--resume" not in strangers(quick=True).command
    assert strangers(quick=False).remembers


def test_whoever_answers_us_is_played_to() -> None:
    for name in ("gateway", "node", "chain by HTTP", "chain by WebSocket"):
        assert len(list(fuzz.TARGETS[name].scripted())) >= 100
        assert len(list(fuzz.TARGETS[name].random(7, 3))) == 3


def test_what_passed_counts_for_this_very_code_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "PASSED", tmp_path / "build" / "fuzz.json")
    assert fuzz._passed() == {}
    fuzz._remember({"seed": 5, "gateway": 500})
    assert fuzz._passed() == {"seed": 5, "gateway": 500}
    monkeypatch.setattr(fuzz, "_fingerprint", lambda: "other code")
    assert fuzz._passed() == {}
