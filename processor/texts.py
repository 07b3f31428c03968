"""Text files of people: UTF-8 whatever the locale, with or without a byte order mark, of a bounded size."""

from __future__ import annotations

from pathlib import Path

from processor.errors import KoinonError
from processor.words import reason

MARK = "\ufeff"
"""What some editors put in front of a text. It is no part of it."""
LIMIT = 1024 * 1024
"""Bytes: what people write by hand is far below."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""What a text in UTF-16 begins with, as some Windows programs write it."""


def read_text(path: Path, what: str, error: type[KoinonError], *, limit: int = LIMIT) -> str:
    """The text in a file of at most `limit` bytes, without the byte order mark that it may begin with.

    `what` is the kind of file, as in "the voucher". Raises `error` with one sentence where the file cannot be read or
    is no such text; what is in it is never a part of that.
    """
    return text_of(read_bytes(path, what, error, limit=limit), path, what, error)


def read_bytes(path: Path, what: str, error: type[KoinonError], *, limit: int = LIMIT) -> bytes:
    """The bytes in a file of at most `limit` of them. Raises `error` as `read_text`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as refused:
        raise error(f"{what} {path} cannot be read: {reason(refused)}") from refused
    except ValueError:  # a zero byte, or a letter that the file system has no bytes for
        raise error(f"{what} cannot be read: {str(path)!r} is no path") from None
    if len(data) > limit:
        raise error(f"{what} {path} cannot be read: it is larger than {limit:,} bytes; is it the right file?")
    return data


def text_of(data: bytes, path: Path, what: str, error: type[KoinonError]) -> str:
    """The text in the bytes of `path`. Raises `error` as `read_text`."""
    if data.startswith(UTF_16):
        raise error(f"{what} {path} cannot be read: it is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise error(f"{what} {path} cannot be read: it is not UTF-8 at byte {wrong.start}; save it as UTF-8") from None
    if "\0" in text:
        raise error(f"{what} {path} cannot be read: it has zero bytes, as UTF-16 has; save it as UTF-8")
    return text


def write_text(path: Path, text: str, what: str, error: type[KoinonError]) -> None:
    """Writes a text as UTF-8 with plain line ends. Raises `error` with one sentence where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as refused:
        raise error(f"{what} {path} cannot be written: {reason(refused)}") from refused
    except ValueError:
        raise error(f"{what} cannot be written: {str(path)!r} is no path") from None
