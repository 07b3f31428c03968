"""`koinon organization plan` says what becomes of a changed plan by what is known of its announcement."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from processor.cli import plan
from processor.errors import ChainError


def asked(monkeypatch: pytest.MonkeyPatch, announced: str | None | ChainError) -> str:
    """What is said of the plan "new" where the federation has "old", and this is the plan that is announced."""

    def look(*_: Any) -> str | None:
        if isinstance(announced, ChainError):
            raise announced
        return announced

    settings: Any = SimpleNamespace(plan_notice=600)
    found: Any = plan._Plans(settings)
    found.federation, found.view = SimpleNamespace(block=lambda: None), None
    found.before, found.own = SimpleNamespace(plan_cid="old"), SimpleNamespace(plan_cid="new")
    monkeypatch.setattr(plan, "announced_plan", look)
    said: str = found.asked()
    assert "once all of them have, or 600 seconds after" in said
    return said


@pytest.mark.parametrize("announced", [None, "another"])
def test_a_plan_that_is_not_announced_will_be(monkeypatch: pytest.MonkeyPatch, announced: str | None) -> None:
    said = asked(monkeypatch, announced)
    assert "The daemon, once it is started with this configuration, announces the other" in said
    assert "unless" not in said


def test_a_plan_that_is_announced_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    said = asked(monkeypatch, "new")
    assert "The other is announced" in said and "once it is started" not in said


def test_where_no_logs_tell_it_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "unless it did so before, which this node's logs do not tell" in asked(monkeypatch, ChainError("no logs"))
