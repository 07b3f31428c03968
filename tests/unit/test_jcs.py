"""JSON with one spelling per value, read strictly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor import jcs
from processor.errors import ArtifactError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-jcs.INTEGER_LIMIT, jcs.INTEGER_LIMIT)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(blacklist_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé", max_size=3), inner),
    max_leaves=8,
)


@given(VALUES)
def test_what_was_written_is_read(value: Any) -> None:
    data = jcs.dumps(value)
    assert jcs.loads(data) == value
    assert jcs.dumps(jcs.loads(data)) == data


def test_the_spelling_is_that_of_rfc_8785() -> None:
    value = {"b": [1.0, 1e-7, 1e21, 0.1, -0.0, 333333333.33333329], "a": '€\n\u000f\\"', "\U0001f600": 1, "\ufb33": 2}
    assert jcs.dumps(value) == (
        '{"a":"€\\n\\u000f\\\\\\"","b":[1,1e-7,1e+21,0.1,0,333333333.3333333],"\U0001f600":1,"\ufb33":2}'.encode()
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {1: 2}, b"bytes", "\ud800", {1, 2}])
def test_what_has_no_canonical_spelling_is_not_written(value: object) -> None:
    with pytest.raises(ArtifactError, match="cannot be written as canonical JSON"):
        jcs.dumps(value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"a":1}x', "is not JSON"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a":1,"b":2,"a":1}', "the key 'a' twice"),
        (b'[{"x":{"a":1,"a":2}}]', "the key 'a' twice"),
        (b'{"a":NaN}', "has NaN, which is not JSON"),
        (b"[Infinity]", "has Infinity, which is not JSON"),
        (b"[-Infinity]", "has -Infinity, which is not JSON"),
        (b"[1e999]", "a number that no float64 holds"),
        (b"[9007199254740992]", "an integer beyond 2\\^53"),
        (b"[-9007199254740992]", "an integer beyond 2\\^53"),
        (b"1" + b"0" * 100_000, "an integer beyond 2\\^53"),
        (b"[" * 200_000, "too many values: expected at most 131072"),
        (b"[" * 17 + b"]" * 17, "nested more than 16 levels"),
        (b"[" * 100_000, "nested more than 16 levels"),
        (b'{"a":' * 100_000, "nested more than 16 levels"),
        (b'["\\ud800"]', "cannot be written as canonical JSON"),
        (b'{"a": 1}', "not canonical"),
        (b'{"b":1,"a":1}', "not canonical"),
        (b"[1.0]", "not canonical"),
        (b"[-0]", "not canonical"),
        (b'["\\u0061"]', "not canonical"),
        (b"[]\n", "not canonical"),
    ],
)
def test_other_bytes_are_refused_in_few_words(data: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason) as refusal:
        jcs.loads(data)
    assert len(str(refusal.value)) < 200


def test_sixteen_levels_are_read() -> None:
    assert jcs.dumps(jcs.loads(b"[" * 16 + b"]" * 16)) == b"[" * 16 + b"]" * 16


def test_a_lone_surrogate_in_a_key_is_refused_in_words() -> None:
    with pytest.raises(ArtifactError):
        jcs.loads(b'{"\\ud800":1}')
