"""Answers that a seed makes: a good one, with faults at random in status, headers, framing, body and pace."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from tests.fuzz.http_answers import MANY, chunked
from tests.fuzz.server import Answer, Dribble, Endless, Reset, Send, Silence, Step

_NUMBERS = ("0", "-1", "1", "1.5", "1e9", "4294967296", "9" * 30, "9" * MANY, "\xb2", "NaN", "", "0x1", "7_0")
_NAMES = [
    "Content-Length",
    "Content-Range",
    "Content-Encoding",
    "Transfer-Encoding",
    "Location",
    "Connection",
    "Content-Type",
    "Set-Cookie",
    "Retry-After",
    "Upgrade",
    "Trailer",
    "Accept-Ranges",
    "Keep-Alive",
    "Date",
    "ETag",
    "X-Stream-Error",
    "Via",
    "Age",
]
_VALUES = (
    "chunked", "gzip", "close", "keep-alive", "identity", "bytes 0-9/10", "bytes */0", "http://127.0.0.1:1/", "/again",
    "//x", "a=b; Max-Age=-1", "text/html; charset=x", "", "\x00", "\xff" * 50, "y" * 70_000, "deflate, br",
)  # fmt: skip


def random_answer(seed: int, body: bytes) -> Answer:
    """The answer of a seed, around a body that a good server would send; the same seed gives the same."""
    chance = random.Random(seed)
    raw = _written(chance, _body(chance, body))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
        raw = chance.choice(_FAULTS)(chance, raw)
    return Answer(tuple(_steps(chance, raw)), deaf=chance.random() < 0.05, stay=chance.random() < 0.3)


def _body(chance: random.Random, good: bytes) -> bytes:
    if chance.random() < 0.3:
        return good
    try:
        document = json.loads(good)
    except ValueError:
        return chance.choice((good, good[: chance.randrange(len(good) + 1)], good + b"y", chance.randbytes(2000)))
    if isinstance(document, dict) and document and chance.random() < 0.7:
        document[chance.choice(list(document))] = _value(chance, 0)
        return json.dumps(document).encode()
    return json.dumps(_value(chance, 0)).encode()


def _value(chance: random.Random, depth: int) -> object:
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind < 6:
        plain = (
            None,
            chance.random() < 0.5,
            chance.randint(-(2**70), 2**70),
            chance.random() * 1e300,
            "y" * 9,
            "\ud800",
        )
        return plain[kind]
    if kind == 6:
        return [_value(chance, depth + 1) for _ in range(chance.randrange(5))]
    names = ("Hash", "Size", "Type", "Message", "error", "result", "id", "jsonrpc", "code", "data", "x")
    return {chance.choice(names): _value(chance, depth + 1) for _ in range(chance.randrange(5))}


def _written(chance: random.Random, body: bytes) -> bytes:
    status = chance.choice(
        ("200 OK",) * 6 + ("206 Partial Content", "302 Found", "404 No", "500 Error", "100 Continue", "204 No")
    )
    lines = [f"HTTP/1.{chance.choice('1110')} {status}"]
    framing = chance.randrange(4)
    if framing == 0:
        lines.append(f"Content-Length: {len(body)}")
    elif framing == 1:
        lines.append("Transfer-Encoding: chunked")
        body = chunked(body, chance.choice((1, 7, 1000, 10**6)) if len(body) < 10_000 else 1000) + b"0\r\n\r\n"
    elif framing == 2:
        lines.append(f"Content-Length: {chance.choice(_NUMBERS)}")
    for _ in range(chance.choice((0, 0, 1, 3))):
        lines.insert(chance.randint(1, len(lines)), f"{chance.choice(_NAMES)}: {chance.choice(_VALUES + _NUMBERS)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _flip(chance: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 3, 20))):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _flip_in_the_head(chance: random.Random, raw: bytes) -> bytes:
    return _flip(chance, raw[:120]) + raw[120:]


def _drop(chance: random.Random, raw: bytes) -> bytes:
    start = chance.randrange(len(raw) + 1)
    return raw[:start] + raw[start + chance.choice((1, 2, 10, 1000)) :]


def _repeat(chance: random.Random, raw: bytes) -> bytes:
    start = chance.randrange(len(raw) + 1)
    end = start + chance.choice((1, 20, 500))
    return raw[:end] + raw[start:end] * chance.choice((1, 5, 100)) + raw[end:]


def _insert(chance: random.Random, raw: bytes) -> bytes:
    start = chance.randrange(min(len(raw), 400) + 1)
    words = (b"\r\n", b"\n", b"\r\n\r\n", b":", b"\x00", b"9" * MANY, b"-", b"\xff", b"0\r\n\r\n", chance.randbytes(50))
    return raw[:start] + chance.choice(words) + raw[start:]


def _number(chance: random.Random, raw: bytes) -> bytes:
    """Another number in place of one that is there."""
    places = [place for place in range(len(raw[:500])) if raw[place : place + 1].isdigit()]
    if not places:
        return raw
    place = chance.choice(places)
    return raw[:place] + chance.choice(_NUMBERS).encode("latin-1") + raw[place + 1 :]


def _announced(chance: random.Random, raw: bytes) -> bytes:
    return b"HTTP/1.1 100 Continue\r\n\r\n" * chance.choice((1, 3, 2000)) + raw


def _no_returns(chance: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n")


_FAULTS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip, _flip_in_the_head, _drop, _repeat, _insert, _insert, _number, _number, _announced, _no_returns,
)  # fmt: skip


def _steps(chance: random.Random, raw: bytes) -> list[Step]:
    steps: list[Step] = []
    while raw and len(steps) < 6:
        size = chance.choice((len(raw), len(raw), 1, 20, 200, len(raw) // 2 + 1))
        piece, raw = raw[:size], raw[size:]
        slow = len(piece) <= 200 and chance.random() < 0.2
        steps.append(Dribble(piece, chance.choice((0.001, 0.01, 0.1))) if slow else Send(piece))
    steps.append(Send(raw))
    last = chance.random()
    if last < 0.1:
        steps.append(Silence())
    elif last < 0.2:
        steps.append(Reset())
    elif last < 0.3:
        steps.append(
            Endless(chance.choice((b"y" * 4096, b"\r\n", b"1\r\ny\r\n", b"X: y\r\n")), chance.choice((0.0, 0.01)))
        )
    return steps
