"""A measured storage does what the one behind it does, and tells how it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from processor.cid import cid_of
from processor.errors import ArtifactError, StorageError
from processor.metrics import Metrics
from processor.storage import LocalStorage, Measured, get_bytes, put_bytes


class Heard:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def storage(self, operation: str, seconds: float, outcome: str) -> None:
        assert seconds >= 0
        self.calls.append((operation, outcome))


def test_every_call_is_timed_and_has_its_outcome(tmp_path: Path) -> None:
    heard, store = Heard(), LocalStorage(tmp_path / "store")
    storage = Measured(store, heard)
    cid = put_bytes(storage, b"model")
    assert get_bytes(storage, cid, limit=5) == b"model"
    storage.pin(cid)
    storage.unpin(cid)
    assert heard.calls == [("put", "ok"), ("get", "ok"), ("pin", "ok"), ("unpin", "ok")]


def test_what_goes_wrong_is_told_apart_and_raised_as_it_was(tmp_path: Path) -> None:
    heard, store = Heard(), LocalStorage(tmp_path / "store")
    storage = Measured(store, heard)
    cid = put_bytes(store, b"model")
    with pytest.raises(StorageError, match="does not hold"):
        storage.pin(cid_of(b"nobody's"))
    with pytest.raises(ArtifactError, match="expected at most 4"):
        get_bytes(storage, cid, limit=4)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        storage.get(cid, tmp_path / "file" / "copy", limit=5)
    with pytest.raises(FileNotFoundError):
        storage.put(tmp_path / "not there")
    assert heard.calls == [("pin", "unavailable"), ("get", "refused"), ("get", "trouble"), ("put", "error")]


def test_a_daemons_metrics_show_it(tmp_path: Path) -> None:
    metrics = Metrics()
    put_bytes(Measured(LocalStorage(tmp_path), metrics), b"model")
    labels = {"operation": "put", "outcome": "ok"}
    assert metrics.registry.get_sample_value("koinon_storage_seconds_count", labels) == 1
