"""Content-addressed storage: whoever serves the bytes, they are those that hash to the CID, or they are refused."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol

from processor.types import Cid


class Storage(Protocol):
    """What every backend offers. Errors are `StorageError`s and `ArtifactError`s that name the CID and the place,
    `ConfigurationError` where the backend can only be read from, and `Interrupted` once it was asked to stop."""

    def put(self, path: Path) -> Cid:
        """Adds and pins a file.

        Raises IntegrityError where the backend gives it another CID than its bytes have.
        """

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        """Writes the artifact to `to`, whole and verified, or leaves nothing there.

        It takes as long as bytes arrive at a fair pace; with `seconds`, no longer than that.

        Raises ArtifactTooLarge above `limit` bytes, ArtifactUnavailable where nobody serves it in the time allowed, and
        IntegrityError for bytes that do not hash to the CID.
        """

    def pin(self, cid: Cid) -> None:
        """Keeps an artifact that somebody else added, so that it outlives their interest in it.

        Raises ArtifactUnavailable as `get` does.
        """

    def unpin(self, cid: Cid) -> None:
        """Lets go of an artifact that was put or pinned: the backend may drop it when it needs the room.

        One that is not pinned is as good.
        """


def put_bytes(storage: Storage, data: bytes) -> Cid:
    """Adds and pins an artifact that is small enough to be held in memory."""
    with tempfile.TemporaryDirectory(prefix="koinon-") as directory:
        path = Path(directory) / "artifact"
        path.write_bytes(data)
        return storage.put(path)


def get_bytes(storage: Storage, cid: Cid, limit: int, seconds: float | None = None) -> bytes:
    """Reads an artifact that is small enough to be held in memory; raises as `Storage.get`."""
    with tempfile.TemporaryDirectory(prefix="koinon-") as directory:
        path = Path(directory) / "artifact"
        storage.get(cid, path, limit, seconds)
        return path.read_bytes()
