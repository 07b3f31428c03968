"""Artifacts by their kind: each is fetched under the limit of its kind, and what is small is decoded and remembered.

Bytes behind a CID never change, so what was read once need not be read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from processor.artifacts.canonical import Fields
from processor.artifacts.versions import Kind
from processor.storage.base import Storage, get_bytes, put_bytes
from processor.types import Cid

T = TypeVar("T", bound=Fields)

REMEMBERED = 32
"""Artifacts; a report of 1,000 updates takes a few MiB of memory."""


class Library:
    """Reads and publishes artifacts in a storage.

    `kept` may give the bytes of an artifact that somebody kept next to the storage; they are asked for first, and have
    to be those of the CID.
    """

    def __init__(self, storage: Storage, kept: Callable[[Cid], bytes | None] = lambda cid: None) -> None:
        self.storage = storage
        self._kept = kept
        self._read: OrderedDict[tuple[str, Cid], Any] = OrderedDict()
        self._lock = Lock()

    def read(self, kind: Kind[T], cid: Cid, seconds: float | None = None) -> T:
        """An artifact that is small enough to be held in memory, in the time that `Storage.get` takes with `seconds`;
        raises as that and the kind's `decode`."""
        key = (kind.name, cid)
        with self._lock:
            if key in self._read:
                self._read.move_to_end(key)
                found: T = self._read[key]
                return found
        value = kind.decode(self._bytes(cid, kind.limit, seconds))
        with self._lock:
            self._read[key] = value
            while len(self._read) > REMEMBERED:
                self._read.popitem(last=False)
        return value

    def fetch(self, kind: Kind[Any], cid: Cid, to: Path, limit: int | None = None) -> None:
        """Writes an artifact's file to `to`, of at most the `limit` of its kind or a smaller one; as `Storage.get`."""
        self.storage.get(cid, to, kind.limit if limit is None else min(limit, kind.limit))

    def publish(self, kind: Kind[T], value: T) -> Cid:
        """Adds and pins an artifact. Raises ArtifactError for one that could not be read back."""
        return put_bytes(self.storage, kind.encode(value))

    def _bytes(self, cid: Cid, limit: int, seconds: float | None) -> bytes:
        data = self._kept(cid)
        return get_bytes(self.storage, cid, limit, seconds) if data is None else data
