"""A file of named arrays: the same content has the same bytes, and other bytes are refused."""

from __future__ import annotations

import errno
import gc
import json
import os
import struct
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import load_file, save

from processor import jcs
from processor.errors import ArtifactError, ArtifactTooLarge, Unreadable
from processor.tensors import Array, TensorFile, TensorWriter, write_tensors
from processor.tensors.form import HEADER_LIMIT

ARRAYS = st.sampled_from([np.float32, np.float64, np.int64]).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, max_side=4))
)
NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_./-]{0,20}\Z")
CONTENTS = st.dictionaries(NAMES, ARRAYS, max_size=6)
HEADERS = st.dictionaries(st.text('ab"\\é\n', max_size=5), st.integers(0, 9) | st.text('x"\\\n\x01\x7fé', max_size=5))

TENSORS: dict[str, Array] = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bias": np.array([1, -2, 3], dtype=np.float32),
    "steps": np.array(7, dtype=np.int64),
}


@settings(deadline=None)
@given(CONTENTS, HEADERS)
def test_what_was_written_is_read(tensors: dict[str, Array], header: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tensors"
        write_tensors(path, tensors, header)
        with TensorFile(path) as file:
            assert file.header == header
            assert set(file.names) == set(tensors)
            for name, array in tensors.items():
                assert (file.shape(name), file.dtype(name)) == (array.shape, array.dtype)
                assert file.read(name).tobytes() == array.tobytes()


@settings(deadline=None)
@given(CONTENTS, HEADERS)
def test_the_bytes_are_those_of_the_safetensors_library(tensors: dict[str, Array], header: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tensors"
        write_tensors(path, tensors, header)
        assert path.read_bytes() == save(tensors, metadata={"koinon": jcs.dumps(header).decode()})


def test_the_safetensors_library_reads_the_file(tmp_path: Path) -> None:
    write_tensors(tmp_path / "tensors", TENSORS, {})
    for name, array in load_file(tmp_path / "tensors").items():
        np.testing.assert_array_equal(array, TENSORS[name])


def test_the_order_in_which_tensors_are_given_changes_nothing(tmp_path: Path) -> None:
    write_tensors(tmp_path / "one", TENSORS, {"a": 1, "b": 2})
    write_tensors(tmp_path / "other", dict(reversed(TENSORS.items())), {"b": 2, "a": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_memory_layout_changes_nothing(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_tensors(tmp_path / "one", {"a": array.T.copy()}, {})
    write_tensors(tmp_path / "other", {"a": np.asfortranarray(array.T).astype(">f4")}, {})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_writer_makes_the_same_bytes_tensor_by_tensor(tmp_path: Path) -> None:
    write_tensors(tmp_path / "whole", TENSORS, {"round": 1})
    layout = {name: (array.dtype, array.shape) for name, array in TENSORS.items()}
    with TensorWriter(tmp_path / "streamed", {"round": 1}, layout) as writer:
        assert writer.names == ("steps", "bias", "weight")
        for name in writer.names:
            writer.write(name, TENSORS[name])
    assert (tmp_path / "streamed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_layout_that_was_read_writes_the_same_file(tmp_path: Path) -> None:
    write_tensors(tmp_path / "one", TENSORS, {"round": 1})
    with TensorFile(tmp_path / "one") as file, TensorWriter(tmp_path / "other", file.header, file.layout) as writer:
        for name in writer.names:
            writer.write(name, file.read(name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["bias"], "'bias' is out of order"),
        (["steps", "bias"], r"\['weight'\] were not written"),
        (["steps", "bias", "weight", "weight"], "'weight' is out of order"),
    ],
)
def test_a_writer_leaves_nothing_behind_unless_all_tensors_came_in_order(
    tmp_path: Path, names: list[str], reason: str
) -> None:
    layout = {name: (array.dtype, array.shape) for name, array in TENSORS.items()}
    with pytest.raises(ValueError, match=reason), TensorWriter(tmp_path / "tensors", {}, layout) as writer:
        for name in names:
            writer.write(name, TENSORS[name])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("array", [np.zeros(2, np.float32), np.zeros(3, np.float64), np.zeros((3, 1), np.float32)])
def test_a_writer_refuses_a_tensor_that_is_not_of_its_layout(tmp_path: Path, array: Array) -> None:
    with (
        pytest.raises(ValueError, match="its layout says float32"),
        TensorWriter(tmp_path / "tensors", {}, {"a": (np.float32, (3,))}) as writer,
    ):
        writer.write("a", array)


@pytest.mark.parametrize(
    ("name", "array", "code", "reason"),
    [
        ("a", np.zeros(1, np.float16), "dtype", "has type float16: expected one of int64, float64, float32"),
        ("a", np.zeros(1, np.int32), "dtype", "has type int32"),
        ("a", np.array([None]), "dtype", "has type object"),
        (
            "a",
            np.zeros((0, 2), np.float32),
            "malformed",
            r"shape \[0, 2\]: expected at most 8 extents, each at least 1",
        ),
        ("a", np.zeros((1,) * 9, np.float32), "malformed", "at most 8 extents"),
        ("", np.zeros(1, np.float32), "malformed", "is not allowed"),
        ("__metadata__", np.zeros(1, np.float32), "malformed", "is not allowed"),
        ('a"', np.zeros(1, np.float32), "malformed", "is not allowed"),
        ("a\n", np.zeros(1, np.float32), "malformed", "is not allowed"),
        ("a" * 257, np.zeros(1, np.float32), "malformed", "is not allowed"),
    ],
)
def test_the_format_has_a_place_for_few_things(tmp_path: Path, name: str, array: Array, code: str, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason) as refusal:
        write_tensors(tmp_path / "tensors", {name: array}, {})
    assert refusal.value.code == code


def test_a_header_over_the_limit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactTooLarge, match=f"over the limit, {HEADER_LIMIT}"):
        write_tensors(tmp_path / "tensors", {}, {"a": "x" * HEADER_LIMIT})


# What a hostile file may say.


def head_of(tensors: dict[str, Any], metadata: object = None) -> dict[str, Any]:
    return {"__metadata__": {"koinon": "{}"} if metadata is None else metadata} | tensors


def file_of(head: object, data: bytes = b"") -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: object, start: object, end: object, dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


GOOD = file_of(head_of({"a": entry([2], 0, 8)}), bytes(8))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is truncated: 0 bytes cannot hold a header"),
        (GOOD[:7], "is truncated: 7 bytes"),
        (GOOD[:9], "is truncated: its header should have"),
        (GOOD[:-1], "is truncated: expected 104 bytes, found 103"),
        (GOOD + b"\0", "has bytes after its last tensor"),
        (struct.pack("<Q", 2**64 - 1) + GOOD[8:], "says that its header has 18446744073709551615 bytes"),
        (struct.pack("<Q", HEADER_LIMIT + 8) + b" " * (HEADER_LIMIT + 8), "says that its header has"),
        (struct.pack("<Q", 0) + GOOD[8:], "is not JSON"),
        (file_of(b"[]"), "has a header that is no JSON object"),
        (file_of(b"[" * 100_000), "nested more than 16 levels"),
        (file_of(b"\xff"), "not UTF-8"),
        (file_of({}), "exactly one key, 'koinon'"),
        (file_of(head_of({}, {})), "exactly one key, 'koinon'"),
        (file_of(head_of({}, [])), "exactly one key, 'koinon'"),
        (file_of(head_of({}, {"koinon": {}})), "exactly one key, 'koinon'"),
        (file_of(head_of({}, {"format": "pt"})), "exactly one key, 'koinon'"),
        (file_of(head_of({}, {"koinon": "{}", "format": "pt"})), "exactly one key, 'koinon'"),
        (file_of(head_of({}, {"koinon": "{ }"})), "metadata that is JSON, but not canonical"),
        (file_of(head_of({}, {"koinon": '{"a":1,"a":1}'})), "metadata that has the key 'a' twice"),
        (file_of(head_of({}, {"koinon": '{"a":NaN}'})), "metadata that has NaN"),
        (file_of(head_of({}, {"koinon": '{"a":1e999}'})), "metadata that has a number that no float64 holds"),
        (file_of(head_of({}, {"koinon": '{"a":9007199254740993}'})), "metadata that has an integer beyond"),
        (file_of(head_of({}, {"koinon": "[" * 50})), "metadata that is not JSON"),
        (file_of(head_of({}, {"koinon": "\ud800"})), "has metadata that"),
        (file_of(head_of({}, {"koinon": "[]"})), "metadata that is no JSON object"),
        (file_of(b'{"__metadata__":{"koinon":"{}"},"__metadata__":{"koinon":"{}"}}'), "'__metadata__' twice"),
        (file_of(head_of({"a": 1})), "not described by exactly dtype, shape and data_offsets"),
        (file_of(head_of({"a": {"dtype": "F32", "shape": []}})), "not described by exactly"),
        (file_of(head_of({"a": entry([1], 0, 4) | {"extra": 1}}), bytes(4)), "not described by exactly"),
        (file_of(head_of({"a": entry([True], 0, 4)}), bytes(4)), "a shape that is no list of integers"),
        (file_of(head_of({"a": entry("2", 0, 8)}), bytes(8)), "a shape that is no list of integers"),
        (file_of(head_of({"a": entry([1.5], 0, 6)}), bytes(6)), "a shape that is no list of integers"),
        (file_of(head_of({"a": entry([-1], 0, 4)}), bytes(4)), "each at least 1"),
        (file_of(head_of({"a": entry([0, 2**50], 0, 0)})), "each at least 1"),
        (file_of(head_of({"a": entry([2**40], 0, 2**42)})), "is truncated: expected 4398046511"),
        (file_of(head_of({"a": entry([2**40] * 8, 0, 8)}), bytes(8)), "lies at"),
        (file_of(head_of({"a": entry([2], 0, 4)}), bytes(4)), r"lies at \[0, 4\]: expected \[0, 8\]"),
        (file_of(head_of({"a": entry([2], 8, 16)}), bytes(16)), "without overlaps, gaps"),
        (file_of(head_of({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}), bytes(8)), "'b' lies at"),
        (file_of(head_of({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}), bytes(12)), "without overlaps, gaps"),
        (file_of(head_of({"a": entry([2], 0, 8), "b": entry([2], 12, 20)}), bytes(20)), "without overlaps, gaps"),
        (file_of(head_of({"a": entry([2], -8, 0)})), "without overlaps, gaps"),
        (file_of(head_of({"a": entry([2], 0.0, 8.0)}), bytes(8)), "in another form than safetensors writes"),
        (file_of(head_of({"b": entry([1], 0, 4), "a": entry([1], 4, 8)}), bytes(8)), "in another form"),
        (file_of({"a": entry([1], 0, 4)} | head_of({}), bytes(4)), "in another form"),
        (file_of(json.dumps(head_of({})).encode()), "in another form"),
        (file_of(json.dumps(head_of({}), separators=(",", ":")).encode() + b" " * 8), "in another form"),
        (file_of(head_of({"../a": entry([1], 0, 4)}), bytes(4)), "tensor name '../a' is not allowed"),
        (file_of(head_of({"": entry([1], 0, 4)}), bytes(4)), "tensor name '' is not allowed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_the_writer_would_not_have_made_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "hostile").write_bytes(data)
    with pytest.raises(ArtifactError, match=reason) as refusal:
        TensorFile(tmp_path / "hostile")
    assert str(refusal.value).startswith("hostile: ")
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("dtype", ["F16", "BF16", "I32", "U8", "BOOL", "f32", 1, None, ["F32"], "x" * 10_000])
def test_a_tensor_of_another_type_has_a_reason_code_of_its_own(tmp_path: Path, dtype: object) -> None:
    (tmp_path / "hostile").write_bytes(file_of(head_of({"a": entry([1], 0, 4, dtype)}), bytes(4)))
    with pytest.raises(ArtifactError, match="expected one of int64, float64, float32") as refusal:
        TensorFile(tmp_path / "hostile")
    assert refusal.value.code == "dtype"


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(GOOD) - 9), st.integers(1, 255))
def test_no_byte_of_the_header_can_change_unseen(position: int, flip: int) -> None:
    data = bytearray(GOOD)
    data[position] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tensors"
        path.write_bytes(data)
        try:
            with TensorFile(path) as file:
                # A name or a type of the same width may be another one; the file then says so.
                assert (file.names, file.layout) != (("a",), {"a": (np.dtype(np.float32), (2,))})
        except ArtifactError:
            pass


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(GOOD)
    with pytest.raises(ArtifactTooLarge, match=f"large: is {len(GOOD)} bytes long, over the limit of 100"):
        TensorFile(tmp_path / "large", limit=100)
    TensorFile(tmp_path / "large", limit=len(GOOD)).close()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="missing: cannot be read: No such file"):
        TensorFile(tmp_path / "missing")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO])
def test_what_the_system_refuses_says_nothing_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*arguments: object, **options: object) -> object:
        raise OSError(number, os.strerror(number))

    (tmp_path / "tensors").write_bytes(GOOD)
    monkeypatch.setattr(os, "preadv", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        TensorFile(tmp_path / "tensors")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):
        TensorFile(tmp_path / "tensors")
    assert raised.value.errno == number


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: Is a directory"):
        TensorFile(tmp_path)


def test_files_share_what_their_headers_say_only_while_they_are_open(tmp_path: Path) -> None:
    files = [tmp_path / f"file-{number}" for number in range(8)]
    for number, path in enumerate(files):
        write_tensors(path, {f"tensor{number}.{place}": np.ones(1, np.float32) for place in range(2_000)}, {})

    def kept(work: Callable[[], object]) -> int:
        """Bytes that are still there after it."""
        tracemalloc.start()
        held = work()
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del held
        return left

    one = kept(lambda: TensorFile(files[0]))
    assert kept(lambda: [TensorFile(files[0]) for _ in range(20)]) < 1.5 * one

    def open_and_close() -> None:
        for path in files:
            TensorFile(path).close()

    assert kept(open_and_close) < one / 2


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "tensors", {"a": np.zeros(100_000, np.float32)}, {})
    with TensorFile(tmp_path / "tensors") as file:
        with (tmp_path / "tensors").open("r+b") as shrinking:
            shrinking.truncate(1_000)
        with pytest.raises(Unreadable, match="was truncated while it was read"):
            file.read("a")
