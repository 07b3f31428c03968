"""A node that answers anything at all, by HTTP, WebSocket and IPC: nothing but our own errors, nothing beyond deadline
and budget, and the stop is heard. `python -m tests.fuzz` plays more of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fuzz import nodes
from tests.fuzz.frames import random_frames
from tests.fuzz.http_answers import answers, framed
from tests.fuzz.play import Case, Play, faults, random_cases, scripted
from tests.fuzz.server import Answer
from tests.memory import fresh_peak, peak

MEMORY = 400 << 20
"""Bytes that all the clients and servers of a test together may need more than there was before."""
SECONDS = 0.3

SCRIPTED: dict[str, Callable[[], list[Case]]] = {
    "HTTP": lambda: [case for play, body in nodes.HTTP_NODE[:1] for case in scripted(play, answers(body))],
    "blocks": lambda: scripted(nodes.HTTP_NODE[1][0], nodes.blocks()),
    "opening": lambda: scripted(nodes.OPENING, framed(b"")),
    "WebSocket": lambda: scripted(nodes.WEBSOCKET, nodes.messages()),
    "IPC": lambda: scripted(nodes.IPC, nodes.lines()),
    "relay": lambda: [case for play, body in nodes.RELAY for case in scripted(play, answers(body))],
}


@pytest.mark.parametrize("cases", SCRIPTED.values(), ids=SCRIPTED.keys())
def test_no_scripted_answer_does_harm(cases: Callable[[], list[Case]]) -> None:
    before, tried = fresh_peak(), cases()
    assert len(tried) >= 100
    assert faults(tried, SECONDS) == []
    assert peak() - before < MEMORY


@pytest.mark.parametrize("plays", [nodes.HTTP_NODE, nodes.RELAY], ids=["HTTP", "relay"])
def test_no_random_http_answer_does_harm(plays: list[tuple[Play, bytes]]) -> None:
    before = fresh_peak()
    assert faults(random_cases(plays, 0, 150), SECONDS) == []
    assert peak() - before < MEMORY


@pytest.mark.parametrize(
    ("play", "random_answer"),
    [(nodes.WEBSOCKET, random_frames), (nodes.IPC, nodes.random_line)],
    ids=["frames", "lines"],
)
def test_no_random_bytes_do_harm(play: Play, random_answer: Callable[[int, bytes], Answer]) -> None:
    before = fresh_peak()
    tried = [Case(f"seed {seed}", play, random_answer(seed, nodes.CHAIN)) for seed in range(150)]
    assert faults(tried, SECONDS) == []
    assert peak() - before < MEMORY


@pytest.mark.parametrize("cases", [SCRIPTED["HTTP"], SCRIPTED["WebSocket"]], ids=["HTTP", "WebSocket"])
def test_a_stop_is_heard_whatever_is_answered(cases: Callable[[], list[Case]]) -> None:
    assert faults(cases(), seconds=60, stop_after=0.2) == []
