"""A gateway and an IPFS node that answer anything at all: nothing but our own errors, nothing beyond deadline and
budget, and the stop is heard. `python -m tests.fuzz` plays more of it."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.http_answers import answers, foreign, shaped
from tests.fuzz.play import Case, Play, faults, random_cases, scripted
from tests.fuzz.server import Endless, Silence, answer
from tests.fuzz.storages import ENCRYPTED, GATEWAY, NODE
from tests.memory import fresh_peak, peak

MEMORY = 300 << 20
"""Bytes that all the clients and servers of a test together may need more than there was before."""

SECONDS = 0.3
"""That each call may take."""

Plays = list[tuple[Play, bytes]]

both = pytest.mark.parametrize("plays", [GATEWAY, NODE], ids=["gateway", "node"])


@both
def test_no_scripted_answer_does_harm(plays: Plays) -> None:
    before = fresh_peak()
    tried: list[Case] = []
    for number, (play, body) in enumerate(plays):
        tried += scripted(play, answers(body) if number < 2 else shaped(json.loads(body)))
    assert len(tried) >= 350
    assert faults(tried, SECONDS) == []
    assert peak() - before < MEMORY


@both
def test_no_random_answer_does_harm(plays: Plays) -> None:
    before = fresh_peak()
    assert faults(random_cases(plays, 0, 150), SECONDS) == []
    assert peak() - before < MEMORY


def test_no_answer_does_harm_where_tls_should_have_begun() -> None:
    tried = foreign() | {
        "silence": answer(Silence(), deaf=True),
        "a handshake without end": answer(Endless(b"\x16\x03\x03\x40\x00" + bytes(0x4000)), deaf=True),
        "a slow handshake": answer(Endless(b"\x16", 0.02), deaf=True),
        "endless alerts": answer(Endless(b"\x15\x03\x03\x00\x02\x01\x00"), deaf=True),
    }
    assert faults(scripted(ENCRYPTED, tried), SECONDS) == []
    assert faults(scripted(ENCRYPTED, tried), seconds=60, stop_after=0.2) == []


@both
def test_a_stop_is_heard_whatever_is_answered(plays: Plays) -> None:
    play, body = plays[0]
    assert faults(scripted(play, answers(body)), seconds=60, stop_after=0.2) == []
