"""WebSocket frames that are wrong in every way that a node could send them, around a message that a good one would."""

from __future__ import annotations

import random
import struct

from processor.chain.jsonrpc import LARGEST_ANSWER
from tests.fuzz.server import Answer, Dribble, Endless, Reset, Silence, Step, answer

TEXT, BINARY, CLOSE, PING, PONG, CONT = 1, 2, 8, 9, 10, 0
_NEWS = b'{"jsonrpc": "2.0", "method": "eth_subscription", "params": {"result": {}}}'
_OTHER = b'{"jsonrpc": "2.0", "id": 99, "result": "0x2"}'


def frame(
    payload: bytes,
    opcode: int = TEXT,
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes = b"",
    length: bytes | None = None,
) -> bytes:
    """A frame; `length` in the place of the bytes that say how long it is."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    if length is None:
        length = _length(len(payload))
    if mask:
        length = bytes([length[0] | 0x80]) + length[1:] + mask
    return bytes([first]) + length + payload


def _length(size: int) -> bytes:
    if size < 126:
        return bytes([size])
    return b"\x7e" + struct.pack(">H", size) if size < 2**16 else b"\x7f" + struct.pack(">Q", size)


def framed(body: bytes) -> dict[str, Answer]:
    """By name, all that can be wrong with the frames of an answer whose good message would be `body`."""
    return {**_heads(body), **_controls(body), **_parts(body), **_endings(body), **_messages(body)}


def _heads(body: bytes) -> dict[str, Answer]:
    found = {f"reserved bits {bits}": answer(frame(body, reserved=bits)) for bits in range(1, 8)}
    found |= {f"opcode {code}": answer(frame(body, code)) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)}
    found |= {
        "binary": answer(frame(body, BINARY)),
        "masked": answer(frame(body, mask=b"abcd")),
        "masked with nothing": answer(frame(body, mask=bytes(4))),
        "a length of two bytes for little": answer(frame(body[:50], length=b"\x7e\x00\x32")),
        "a length of eight bytes for little": answer(frame(body, length=b"\x7f" + struct.pack(">Q", len(body)))),
        "a length that is too short": answer(frame(body, length=b"\x05")),
        "a length that is too long": answer(frame(body, length=b"\x7d"), Silence()),
        "a length of 64 KiB, and no more": answer(frame(body, length=b"\x7e\xff\xff"), Silence()),
        "a length of 16 MiB": answer(frame(b"", length=b"\x7f" + struct.pack(">Q", 2**24)), Endless(b"y" * 4096)),
        "a length of 2**62": answer(frame(body, length=b"\x7f" + struct.pack(">Q", 2**62)), Endless(b"y" * 4096)),
        "a negative length": answer(frame(body, length=b"\x7f" + b"\xff" * 8), Endless(b"y" * 4096)),
        "half a length": answer(b"\x81\x7f\x00\x00", Silence()),
        "a dribbled length": answer(b"\x81", Dribble(b"\x7f" + bytes(7) + b"\x05" + b"12345")),
    }
    return found


def _controls(body: bytes) -> dict[str, Answer]:
    codes = (0, 1, 999, 1000, 1001, 1002, 1004, 1005, 1006, 1009, 1011, 1015, 2999, 3000, 4999, 5000, 65535)
    good = frame(body)
    found = {f"closed with {code}": answer(frame(struct.pack(">H", code) + b"x", CLOSE)) for code in codes}
    found |= {
        "closed without a code": answer(frame(b"", CLOSE)),
        "closed with half a code": answer(frame(b"\x03", CLOSE)),
        "closed in no UTF-8": answer(frame(b"\x03\xe8\xff\xfe", CLOSE)),
        "closed at length": answer(frame(b"\x03\xe8" + b"y" * 123, CLOSE)),
        "closed at greater length": answer(frame(b"\x03\xe8" + b"y" * 5_000, CLOSE)),
        "closed, and goes on": answer(frame(b"\x03\xe8", CLOSE) + good, Endless(good)),
        "closed again and again": answer(Endless(frame(b"\x03\xe8", CLOSE))),
        "a close in parts": answer(frame(b"\x03", CLOSE, fin=False) + frame(b"\xe8", CONT)),
        "a ping": answer(frame(b"y", PING) + good),
        "a ping of 125 bytes": answer(frame(b"y" * 125, PING) + good),
        "a ping of 126 bytes": answer(frame(b"y" * 126, PING) + good),
        "a ping in parts": answer(frame(b"y", PING, fin=False) + good),
        "a ping within": answer(frame(body[:9], fin=False) + frame(b"y", PING) + frame(body[9:], CONT)),
        "endless pings": answer(Endless(frame(b"y" * 100, PING))),
        "endless empty pings": answer(Endless(frame(b"", PING) * 1_000)),
        "pings now and then": answer(Endless(frame(b"", PING), 0.02)),
        "endless pongs": answer(Endless(frame(b"", PONG) * 1_000)),
        "a pong": answer(frame(b"y", PONG) + good),
    }
    return found


def _parts(body: bytes) -> dict[str, Answer]:
    empty = frame(b"", CONT, fin=False)
    halves = frame(body[:9], fin=False) + frame(body[9:], CONT)
    return {
        "two parts": answer(halves),
        "a part for each byte": answer(
            frame(b"", fin=False) + b"".join(frame(bytes([each]), CONT, fin=False) for each in body) + frame(b"", CONT)
        ),
        "a part without a beginning": answer(frame(body, CONT)),
        "a beginning within": answer(frame(body[:9], fin=False) + frame(body)),
        "parts without an end": answer(frame(body, fin=False), Silence()),
        "endless empty parts": answer(frame(body, fin=False), Endless(empty * 1_000)),
        "endless parts of a byte": answer(frame(body, fin=False), Endless(frame(b"y", CONT, fin=False) * 1_000)),
        "endless parts": answer(frame(body, fin=False), Endless(frame(b"y" * 4_000, CONT, fin=False))),
        "parts now and then": answer(frame(body, fin=False), Endless(empty, 0.02)),
        "no UTF-8 in parts": answer(frame(b"\xc3", fin=False) + frame(b"\x28", CONT)),
    }


def _endings(body: bytes) -> dict[str, Answer]:
    good = frame(body)
    found = {f"cut after {cut}": answer(good[:cut]) for cut in (0, 1, 2, 3, len(good) - 1)}
    found |= {f"reset after {cut}": answer(good[:cut], Reset()) for cut in (0, 1, 2, 3, len(good) - 1)}
    found |= {f"silent after {cut}": answer(good[:cut], Silence()) for cut in (0, 1, 2, 3, len(good) - 1)}
    found |= {
        "good": answer(good),
        "good and silent": answer(good, Silence()),
        "good and endless": answer(good, Endless(good)),
        "dribbled": answer(Dribble(good)),
        "at a walk": answer(Dribble(good, 0.001)),
        "zeros": answer(Endless(bytes(4096))),
        "ones": answer(Endless(b"\xff" * 4096)),
        "HTTP": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        "the opening again": answer(Endless(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")),
        "plain text": answer(body),
    }
    return found


def _messages(body: bytes) -> dict[str, Answer]:
    good = frame(body)
    return {
        "empty messages": answer(Endless(frame(b""))),
        "no UTF-8": answer(frame(b'{"jsonrpc": "2.0", "id": 0, "result": "\xff"}')),
        "news first": answer(frame(_NEWS) * 3 + good),
        "endless news": answer(Endless(frame(_NEWS))),
        "news now and then": answer(Endless(frame(_NEWS), 0.02)),
        "of another question": answer(frame(_OTHER) + good),
        "endless, of another question": answer(Endless(frame(_OTHER))),
        "as long as may be": answer(frame(b" " * (LARGEST_ANSWER - len(body)) + body)),
        "longer than may be": answer(frame(b" " * LARGEST_ANSWER + body)),
        "longer than may be in parts": answer(
            frame(b"", fin=False) + frame(b" " * (LARGEST_ANSWER // 2), CONT, fin=False) * 3 + frame(body, CONT)
        ),
    }


def random_frames(seed: int, body: bytes) -> Answer:
    """The frames of a seed, around a good message; the same seed gives the same."""
    chance = random.Random(seed)
    raw = b"".join(_some(chance, body) for _ in range(chance.choice((1, 1, 2, 5))))
    if chance.random() < 0.6:
        changed = bytearray(raw)
        for _ in range(chance.choice((1, 1, 3, 20))):
            changed[chance.randrange(min(len(changed), chance.choice((4, 1_000))))] = chance.randrange(256)
        raw = bytes(changed)
    cut = chance.randrange(len(raw) + 1) if chance.random() < 0.2 else len(raw)
    last: tuple[Step, ...] = chance.choice(
        ((), (), (), (Silence(),), (Reset(),), (Endless(chance.randbytes(3)),), (Endless(frame(b"y", PING), 0.01),))
    )
    first: Step | bytes = Dribble(raw[:cut], 0.001) if cut < 200 and chance.random() < 0.2 else raw[:cut]
    return answer(first, *last, stay=chance.random() < 0.3)


def _some(chance: random.Random, body: bytes) -> bytes:
    opcode = chance.choice((TEXT, TEXT, TEXT, BINARY, CONT, PING, PONG, CLOSE, chance.randrange(16)))
    payload = chance.choice(
        (body, body, body[: chance.randrange(len(body))], _NEWS, _OTHER, b"", chance.randbytes(300))
    )
    if opcode in (PING, PONG, CLOSE):
        payload = payload[: chance.choice((2, 100, 125, 126))]
    mask = chance.choice((b"", b"", b"", b"abcd"))
    length = chance.choice((None, None, None, None, b"\x7f" + chance.randbytes(8), b"\x7e" + chance.randbytes(2)))
    fin, reserved = chance.random() < 0.7, chance.choice((0,) * 9 + (4,))
    return frame(payload, opcode, fin=fin, reserved=reserved, mask=mask, length=length)
