"""JSON with one spelling per value: the JSON Canonicalization Scheme (RFC 8785), read strictly.

What is read may come from anyone, so the reader refuses what parsers disagree about: duplicate keys, NaN and Infinity,
integers beyond 2^53, lone surrogates, deep nesting.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

import rfc8785

from processor.errors import ArtifactError

DEPTH_LIMIT = 16
INTEGER_LIMIT = 2**53 - 1
VALUES_LIMIT = 1 << 17
"""Values of one document, unless its reader says otherwise: they take a hundred times the memory of their text."""


def dumps(value: object) -> bytes:
    """The canonical bytes of `value`.

    Raises ArtifactError for what has none (NaN, an infinity, an integer beyond 2^53, a value that is not JSON).
    """
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError) as error:
        raise ArtifactError(f"cannot be written as canonical JSON: {error}") from error


def loads(data: bytes, values: int = VALUES_LIMIT) -> Any:
    """The value of canonical bytes, of at most `values` values in all.

    Raises ArtifactError for bytes that are not JSON, or not the canonical spelling of their value.
    """
    value = parse(data, values)
    if dumps(value) != data:
        raise ArtifactError("is JSON, but not canonical: expected the one spelling that RFC 8785 gives these values")
    return value


def parse(data: bytes, values: int = VALUES_LIMIT) -> Any:
    """The value of JSON in any spelling, read as strictly as `loads` but for the spelling.

    Raises ArtifactError.
    """
    # Every value but the outermost comes after one of these, so that nothing is built of what has too many.
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > values:
        raise ArtifactError(f"has too many values: expected at most {values}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise ArtifactError(f"is not JSON: not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ArtifactError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise ArtifactError(_TOO_DEEP) from error
    _check_depth(value)
    return value


_TOO_DEEP = f"is nested more than {DEPTH_LIMIT} levels deep"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        repeated, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ArtifactError(f"has the key {repeated[:64]!r} twice in one object")
    return members


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > INTEGER_LIMIT:
        raise ArtifactError(f"has an integer beyond 2^53 ({digits[:24]}): write larger amounts as strings")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ArtifactError(f"has a number that no float64 holds ({digits[:24]})")
    return number


def _constant(name: str) -> NoReturn:
    raise ArtifactError(f"has {name}, which is not JSON: numbers must be finite")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise ArtifactError(_TOO_DEEP)
