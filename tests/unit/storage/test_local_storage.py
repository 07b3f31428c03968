"""The local store: what it gives is what the CID names, whole, or an error."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.cid import cid_of
from processor.errors import (
    ArtifactError,
    ArtifactTooLarge,
    ArtifactUnavailable,
    IntegrityError,
    StorageError,
)
from processor.storage import LocalStorage, get_bytes, put_bytes


@pytest.fixture
def store(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "store")


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=600_000))
def test_what_was_put_is_got_by_the_cid_of_its_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = LocalStorage(Path(directory))
        cid = put_bytes(store, data)
        assert cid == cid_of(data)
        assert get_bytes(store, cid, limit=len(data)) == data


def test_a_file_is_kept_apart_from_the_one_that_was_put(store: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"model")
    cid = store.put(tmp_path / "model")
    (tmp_path / "model").write_bytes(b"other")
    store.get(cid, tmp_path / "folder" / "copy", limit=5)
    assert (tmp_path / "folder" / "copy").read_bytes() == b"model"


def test_two_stores_on_one_directory_share_their_artifacts(store: LocalStorage) -> None:
    assert get_bytes(LocalStorage(store.directory), put_bytes(store, b"plan"), limit=4) == b"plan"


def test_damaged_bytes_are_refused_and_leave_nothing(store: LocalStorage, tmp_path: Path) -> None:
    cid = put_bytes(store, b"model")
    (store.directory / cid).write_bytes(b"mODel")
    with pytest.raises(IntegrityError, match=cid):
        store.get(cid, tmp_path / "to" / "copy", limit=5)
    assert list((tmp_path / "to").iterdir()) == []


def test_damaged_bytes_leave_an_older_copy_as_it_was(store: LocalStorage, tmp_path: Path) -> None:
    cid = put_bytes(store, b"model")
    (store.directory / cid).write_bytes(b"mODel")
    (tmp_path / "copy").write_bytes(b"older")
    with pytest.raises(IntegrityError):
        store.get(cid, tmp_path / "copy", limit=5)
    assert (tmp_path / "copy").read_bytes() == b"older"


def test_putting_again_repairs_a_damaged_artifact(store: LocalStorage) -> None:
    cid = put_bytes(store, b"model")
    (store.directory / cid).write_bytes(b"mODel")
    put_bytes(store, b"model")
    assert get_bytes(store, cid, limit=5) == b"model"


def test_an_artifact_above_the_limit_is_not_read(store: LocalStorage) -> None:
    cid = put_bytes(store, b"model")
    with pytest.raises(ArtifactTooLarge, match="5 bytes, expected at most 4"):
        get_bytes(store, cid, limit=4)


def test_an_artifact_that_nobody_put_is_unavailable(store: LocalStorage) -> None:
    with pytest.raises(ArtifactUnavailable, match="does not hold"):
        get_bytes(store, cid_of(b"nobody's"), limit=100)
    with pytest.raises(ArtifactUnavailable, match="does not hold"):
        store.pin(cid_of(b"nobody's"))


@pytest.mark.parametrize("cid", ["", "../secret", "/etc/passwd", "QmNotACid", "bafkqaaa"])
def test_what_is_no_cid_never_becomes_a_path(store: LocalStorage, cid: str) -> None:
    with pytest.raises(ArtifactError, match="CIDv0"):
        get_bytes(store, cid, limit=100)


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        LocalStorage(tmp_path / "file" / "store")


def test_what_the_store_holds_stays_there_for_others(store: LocalStorage) -> None:
    cid = put_bytes(store, b"model")
    store.unpin(cid)
    store.unpin(cid_of(b"nobody's"))
    assert get_bytes(store, cid, limit=5) == b"model"
