"""How long the storage takes, told to whoever counts it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from processor.errors import ArtifactError, ArtifactUnavailable, StorageError
from processor.storage.base import Storage
from processor.types import Cid


class StorageMetrics(Protocol):
    def storage(self, operation: str, seconds: float, outcome: str) -> None: ...


class Measured:
    """Another storage, whose every call is timed.

    The outcome is `ok`; `unavailable` where nobody served the artifact; `refused` for bytes that are not it, or too
    many; `trouble` where the storage cannot be reached; `error` for everything else.
    """

    def __init__(self, storage: Storage, metrics: StorageMetrics) -> None:
        self._storage = storage
        self._metrics = metrics

    def put(self, path: Path) -> Cid:
        with self._timed("put"):
            return self._storage.put(path)

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        with self._timed("get"):
            self._storage.get(cid, to, limit, seconds)

    def pin(self, cid: Cid) -> None:
        with self._timed("pin"):
            self._storage.pin(cid)

    def unpin(self, cid: Cid) -> None:
        with self._timed("unpin"):
            self._storage.unpin(cid)

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        started, outcome = time.monotonic(), "error"
        try:
            yield
            outcome = "ok"
        except ArtifactUnavailable:
            outcome = "unavailable"
            raise
        except ArtifactError:
            outcome = "refused"
            raise
        except StorageError:
            outcome = "trouble"
            raise
        finally:
            self._metrics.storage(operation, time.monotonic() - started, outcome)
