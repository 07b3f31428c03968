"""HTTP answers that are wrong in every way that a page could be: around a body that a good server would send."""

from __future__ import annotations

import gzip
import json
import zlib
from functools import cache

from tests.fuzz.server import Answer, Dribble, Endless, Reset, Silence, answer

MANY = 5_000
"""Digits of a number that Python refuses to read."""

_NINES = b"9" * MANY


def head(*lines: str | bytes, status: str = "200 OK") -> bytes:
    written = [line.encode("latin-1") if isinstance(line, str) else line for line in lines]
    return b"\r\n".join([f"HTTP/1.1 {status}".encode("latin-1"), *written, b"", b""])


def sized(body: bytes, *lines: str | bytes, status: str = "200 OK") -> bytes:
    """A good answer."""
    return head(f"Content-Length: {len(body)}", *lines, status=status) + body


def chunked(body: bytes, size: int = 1000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def framed(body: bytes) -> dict[str, Answer]:
    """By name, all that can be wrong with status, headers and framing of an answer whose good body would be `body`."""
    return {
        **_statuses(body),
        **_headers(body),
        **_lengths(body),
        **_chunks(body),
        **_endings(body),
        **_redirects(),
        **foreign(),
    }


@cache
def _bomb() -> bytes:
    """100 MiB, compressed twice without ever having been there."""
    inner = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return gzip.compress(b"".join([*(inner.compress(bytes(1 << 20)) for _ in range(100)), inner.flush()]))


def _statuses(body: bytes) -> dict[str, Answer]:
    rest = f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    found = {
        f"status line {line[:24]!r}": answer(line + b"\r\n" + rest)
        for line in (
            b"",
            b"HTTP/1.1",
            b"HTTP/1.1 ",
            b"HTTP/1.1 200",
            b"HTTP/1.1 2 OK",
            b"HTTP/1.1 -200 OK",
            b"HTTP/1.1 99999 OK",
            b"HTTP/1.1 " + _NINES + b" OK",
            b"HTTP/1.1 two OK",
            b"HTTP/9.9 200 OK",
            b"HTTP/2 200 OK",
            b"ICY 200 OK",
            b"\x00\xff\xfe 200",
            b"HTTP/1.1 200 " + b"O" * 100_000,
        )
    }
    found |= {
        f"status {status}": answer(sized(body, status=f"{status} Some"))
        for status in (199, 204, 206, 304, 401, 404, 416, 429, 500, 503)
    }
    found |= {
        "endless 100 Continue": answer(Endless(b"HTTP/1.1 100 Continue\r\n\r\n")),
        "100 Continue now and then": answer(Endless(b"HTTP/1.1 100 Continue\r\n\r\n", 0.02)),
        "100 Continue with endless headers": answer(b"HTTP/1.1 100 Continue\r\n", Endless(b"X: y\r\n")),
        "102 Processing endless": answer(Endless(b"HTTP/1.1 102 Processing\r\n\r\n")),
        "an upgrade": answer(head("Upgrade: h2c", "Connection: Upgrade", status="101 Switching Protocols"), Silence()),
        "a dribbled status": answer(Dribble(b"HTTP/1.1 200 OK" * 1000)),
        "an endless status": answer(Endless(b"HTTP/1.1 200 OK " * 100)),
    }
    return found


def _headers(body: bytes) -> dict[str, Answer]:
    good = f"Content-Length: {len(body)}"
    return {
        "dribbled headers": answer(b"HTTP/1.1 200 OK\r\n", Dribble(b"X-Slow: y\r\n" * 1000)),
        "headers line by line": answer(b"HTTP/1.1 200 OK\r\n", Endless(b"X-Slow: y\r\n", 0.02)),
        "endless headers": answer(b"HTTP/1.1 200 OK\r\n", Endless(b"X: y\r\n" * 100)),
        "an endless header": answer(b"HTTP/1.1 200 OK\r\nX: ", Endless(b"y" * 4096)),
        "a header of 1 MB": answer(head(good, "X: " + "y" * 1_000_000) + body),
        "99 headers of 60 kB": answer(head(good, *[f"X-{number}: {'y' * 60_000}" for number in range(99)]) + body),
        "a header without a colon": answer(head(good, "nothing") + body),
        "a header without a name": answer(head(good, ": y") + body),
        "a folded header": answer(head(good, "X: y\r\n z") + body),
        "headers of other bytes": answer(head(good, b"X-\xff\x00: \x80\x00") + body),
        "line feeds alone": answer(head(good).replace(b"\r\n", b"\n") + body),
        "carriage returns alone": answer(head(good).replace(b"\r\n", b"\r") + body),
        "no end of the headers": answer(head(good)[:-2], Silence()),
        "cookies": answer(
            head(good, *[f"Set-Cookie: a{n}={'b' * 4000}; Max-Age={'9' * 300}" for n in range(90)]) + body
        ),
        "a strange cookie": answer(head(good, "Set-Cookie: =;;;=;\x00; expires=;Version=x", "Set-Cookie2: x") + body),
        "a strange type": answer(head(good, "Content-Type: text/html; charset=\xff\x00=;;;") + body),
        "an unknown encoding": answer(head(good, "Content-Encoding: zstd, br, x") + body),
        "an encoding that is not there": answer(head(good, "Content-Encoding: gzip") + body),
        "encodings one in the other": answer(head(good, "Content-Encoding: " + ", ".join(["gzip"] * 100)) + body),
        "a bomb": answer(sized(_bomb(), "Content-Encoding: gzip, gzip")),
        "a strange keep-alive": answer(head(good, "Connection: close, keep-alive, upgrade", "Keep-Alive: -1") + body),
        "a date that is none": answer(head(good, "Date: never", "Retry-After: " + "9" * 400) + body),
    }


def _lengths(body: bytes) -> dict[str, Answer]:
    lengths = [
        "",
        " ",
        "-1",
        "-99999999999999999999",
        "0",
        "1",
        "1.5",
        "1e3",
        "0x10",
        "ten",
        "²",
        "٣",
        "+5",
        "5 5",
        "5,6",
    ]
    lengths += [str(len(body) - 1), str(len(body) + 1), str(2**31), str(2**63), str(2**64), "9" * 4300, "9" * MANY]
    found = {f"length {length[:22]!r}": answer(head(f"Content-Length: {length}".encode()) + body) for length in lengths}
    found["two lengths"] = answer(head("Content-Length: 1", f"Content-Length: {len(body)}") + body)
    found["no length"] = answer(head() + body)
    found["no length and no end"] = answer(head() + body, Endless(b"y" * 4096))
    found["a length that is waited for"] = answer(head(f"Content-Length: {len(body) + 10}") + body, Silence())
    found["ranges"] = answer(head(f"Content-Range: bytes 0-{'9' * MANY}/{'9' * MANY}", status="206 Partial") + body)
    for number, named in enumerate(("bytes", "bytes x-y/z", "bytes ٣-٤/٥", "bytes 5-1/0", "bytes -1-5/*", "\x00")):
        found[f"range {number}"] = answer(head(f"Content-Range: {named}".encode(), status="206 Partial Content") + body)
    return found


def _chunks(body: bytes) -> dict[str, Answer]:
    start, good, end = head("Transfer-Encoding: chunked"), chunked(body), b"0\r\n\r\n"
    found = {
        f"a chunk of {size[:18]!r}": answer(start + size + b"\r\n" + body + b"\r\n" + end)
        for size in (
            b"",
            b"-5",
            b"-0",
            b"0x10",
            b"1_0",
            b"zz",
            b"+3e8",
            b"ffffffffffffffffffffffff",
            b"f" * MANY,
            b"9" * 100_000,
            b"3e8;" + b"x" * 100_000,
            b"\xd9\xa3",
            b"\x00",
        )
    }
    found |= {
        "chunks": answer(start + good + end),
        "chunks without an end": answer(start + good, Silence()),
        "chunks that break off": answer(start + good[: len(good) // 2]),
        "dribbled chunks": answer(start, Dribble(chunked(body, 1))),
        "a dribbled chunk": answer(start + b"%x\r\n" % len(body), Dribble(body)),
        "a dribbled chunk size": answer(start, Dribble(b"0" * 10_000)),
        "an endless chunk size": answer(start, Endless(b"0" * 4096)),
        "an endless chunk extension": answer(start + b"5;", Endless(b"x" * 4096)),
        "endless chunks": answer(start, Endless(b"5\r\nhello\r\n" * 500)),
        "endless tiny chunks": answer(start, Endless(b"1\r\nx\r\n", 0.01)),
        "endless chunks with extensions": answer(start, Endless(b"1;" + b"e" * 4000 + b"\r\nx\r\n")),
        "no line behind a chunk": answer(start + good.replace(b"\r\n", b"") + end),
        "dribbled trailers": answer(start + good + b"0\r\n", Dribble(b"X: y\r\n" * 1000)),
        "endless trailers": answer(start + good + b"0\r\n", Endless(b"X: y\r\n" * 500)),
        "an endless trailer": answer(start + good + b"0\r\nX: ", Endless(b"y" * 4096)),
        "trailers now and then": answer(start + good + b"0\r\n", Endless(b"X: y\r\n", 0.02)),
        "chunks and a length": answer(head("Transfer-Encoding: chunked", "Content-Length: 3") + good + end),
        "an unknown transfer": answer(head("Transfer-Encoding: gzip, chunked, x") + good + end),
        "not chunked after all": answer(start + body),
    }
    return found


def _endings(body: bytes) -> dict[str, Answer]:
    good = sized(body)
    found = {f"cut after {cut}": answer(good[:cut]) for cut in (0, 1, 9, 20, len(good) - len(body), len(good) - 1)}
    found |= {f"reset after {cut}": answer(good[:cut], Reset()) for cut in (0, 1, 20, len(good) - len(body) + 1)}
    found |= {f"silent after {cut}": answer(good[:cut], Silence()) for cut in (0, 1, 20, len(good) - 1)}
    found |= {
        "good": answer(good),
        "good and more": answer(good + good + b"more"),
        "good and endless": answer(good, Endless(b"HTTP/1.1 200 OK\r\n\r\n")),
        "good, to the deaf": answer(good, deaf=True),
        "a reset before a word": answer(Reset(), deaf=True),
        "nobody listens": answer(Endless(b"", 0.05), deaf=True),
        "a dribbled body": answer(head(f"Content-Length: {len(body)}"), Dribble(body)),
        "a body at a walk": answer(head(f"Content-Length: {len(body)}"), Dribble(body, 0.001)),
    }
    return found


def _redirects() -> dict[str, Answer]:
    def sent_on(location: str) -> bytes:
        return sized(b"", f"Location: {location}", status="302 Found")

    found = {
        f"sent on to {location[:30]!r}": answer(sent_on(location))
        for location in (
            "",
            "/",
            "//",
            "///",
            "http://",
            "http://[",
            "http://[::1",
            "http://[::1]:1/",
            "http://127.0.0.1:1/",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1:x/",
            "http://" + "a" * 300 + "/",
            "http://a..b/",
            "http://\xff\xfe/",
            "http://xn--/",
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.1/",
            "http://0x7f.1:1/",
            "https://127.0.0.1/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:,x",
            "\x00",
            "http://user:word@127.0.0.1:1/",
            "?" + "q" * 60_000,
        )
    }
    endless = b"HTTP/1.1 302 Found\r\nLocation: /again\r\n"
    found |= {
        "a redirect with an endless body": answer(endless + b"\r\n", Endless(b"y" * 65_536)),
        "a redirect with endless chunks": answer(
            endless + b"Transfer-Encoding: chunked\r\n\r\n", Endless(b"ffff\r\n" + b"y" * 65_535 + b"\r\n")
        ),
        "a redirect with a dribbled body": answer(endless + b"Content-Length: 99999\r\n\r\n", Dribble(b"y" * 99_999)),
        "in circles": answer(sent_on("/again")),
        "several places": answer(head("Location: /a", "Location: http://127.0.0.1:1/", status="301 Moved")),
        "nowhere": answer(head("Content-Length: 0", status="307 Temporary Redirect")),
    }
    return found


def foreign() -> dict[str, Answer]:
    """What speaks another language."""
    return {
        "a TLS alert": answer(b"\x15\x03\x01\x00\x02\x02\x28"),
        "a TLS hello": answer(b"\x16\x03\x03\x00\x7a\x02" + bytes(0x79), Silence()),
        "a mail server": answer(b"220 mail.example ESMTP\r\n", Silence()),
        "a shell": answer(b"SSH-2.0-OpenSSH_9.6\r\n", Silence()),
        "zeros": answer(Endless(bytes(4096))),
        "text": answer(b"hello, world\n" * 100),
        "a second protocol": answer(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Silence()),
        "nothing but line ends": answer(Endless(b"\r\n" * 1000)),
        "nothing but line ends, slowly": answer(Endless(b"\r\n", 0.01)),
    }


def shaped(good: object) -> dict[str, Answer]:
    """By name, good HTTP answers whose body is JSON of another shape than `good`, or none."""
    bodies = json_bodies(good)
    found = {f"JSON: {name}": answer(sized(body)) for name, body in bodies.items()}
    found |= {f"refused, JSON: {name}": answer(sized(body, status="500 Error")) for name, body in bodies.items()}
    return found | {"a refusal without end": answer(head(status="500 Error"), Endless(b'{"Message": "' + b"y" * 4000))}


def json_bodies(good: object) -> dict[str, bytes]:
    """By name, JSON of another shape than `good`, or none."""
    deep = 20_000
    bodies: dict[str, bytes] = {
        "empty": b"",
        "a space": b" ",
        "an array": b"[]",
        "null": b"null",
        "true": b"true",
        "a number": b"7",
        "a text": b'"text"',
        "an object": b"{}",
        "not a number": b"NaN",
        "infinity": b"-Infinity",
        "1e999": b"1e999",
        "a number of 5,000 digits": b"9" * MANY,
        "two documents": json.dumps(good).encode() * 2,
        "half a document": json.dumps(good).encode()[:-3],
        "a document and rubbish": json.dumps(good).encode() + b"}",
        "a byte order mark": b"\xef\xbb\xbf" + json.dumps(good).encode(),
        "UTF-16": json.dumps(good).encode("utf-16"),
        "UTF-32": json.dumps(good).encode("utf-32"),
        "no UTF-8": b'{"\xff": 1}',
        "a lone surrogate": b'{"Hash": "\\ud800", "Message": "\\ud800", "error": "\\ud800"}',
        "deep arrays": b"[" * deep + b"]" * deep,
        "deep arrays that do not end": b"[" * deep,
        "deep objects": b'{"a":' * deep + b"1" + b"}" * deep,
        "many lines": b'{"a":' + b"\n" * 60_000 + b"1}",
        "many lines that do not end": b'{"a":' + b"\n" * 60_000,
        "the same name again": b'{"Size": 1, "Size": [], "Hash": "a", "Hash": {}, "id": 0, "id": 1}',
        "a script": b"<html><script>alert(1)</script></html>",
        "single quotes": b"{'Hash': 'x'}",
        "a comment": b"/* x */ {}",
        "control characters": json.dumps({"Message": "\x1b[2J\x07\r\n" * 100}).encode() + b" ",
        "a long message": json.dumps({"Message": "y" * 50_000}).encode(),
        "a message of another kind": json.dumps({"Message": {"a": [1]}, "Code": "x"}).encode(),
    }
    values: tuple[object, ...] = (
        None,
        True,
        -1,
        0,
        1.5,
        2**64,
        10**300,
        "",
        "x",
        "9" * MANY,
        [],
        {},
        [[[1]]],
        {"a": {}},
    )
    if isinstance(good, dict):
        for name in good:
            for number, value in enumerate(values):
                bodies[f"{name} of kind {number}"] = json.dumps({**good, name: value}).encode()
            bodies[f"no {name}"] = json.dumps({key: value for key, value in good.items() if key != name}).encode()
            bodies[f"{name} of 1e999"] = json.dumps({**good, name: "!"}).replace('"!"', "1e999").encode()
            bodies[f"{name} of 5,000 digits"] = json.dumps({**good, name: "!"}).replace('"!"', "9" * MANY).encode()
    return bodies


def answers(body: bytes) -> dict[str, Answer]:
    """Those of wrong framing, and, where the body is JSON, those of other shapes."""
    return framed(body) | (shaped(json.loads(body)) if body.startswith(b"{") else {})
