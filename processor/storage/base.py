"""Content-addressed storage: whoever serves the bytes, they are those that hash to the CID, or they are refused."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from aleph_cid import CidHasher

from processor.errors import ArtifactTooLarge, IntegrityError
from processor.files import replacing
from processor.types import Cid

PIECE = 1 << 20
"""Bytes in memory at a time."""


class Storage(Protocol):
    """What every backend offers. Errors are `StorageError`s and `ArtifactError`s that name the CID and the place."""

    def put(self, path: Path) -> Cid:
        """Adds and pins a file.

        Raises IntegrityError where the backend gives it another CID than its bytes have.
        """

    def get(self, cid: Cid, to: Path, limit: int) -> None:
        """Writes the artifact to `to`, whole and verified, or leaves nothing there.

        Raises ArtifactTooLarge above `limit` bytes, ArtifactUnavailable where nobody serves it in the time allowed, and
        IntegrityError for bytes that do not hash to the CID.
        """

    def pin(self, cid: Cid) -> None:
        """Keeps an artifact that somebody else added, so that it outlives their interest in it.

        Raises ArtifactUnavailable as `get` does.
        """


def put_bytes(storage: Storage, data: bytes) -> Cid:
    """Adds and pins an artifact that is small enough to be held in memory."""
    with tempfile.TemporaryDirectory(prefix="koinon-") as directory:
        path = Path(directory) / "artifact"
        path.write_bytes(data)
        return storage.put(path)


def get_bytes(storage: Storage, cid: Cid, limit: int) -> bytes:
    """Reads an artifact that is small enough to be held in memory; raises as `Storage.get`."""
    with tempfile.TemporaryDirectory(prefix="koinon-") as directory:
        path = Path(directory) / "artifact"
        storage.get(cid, path, limit)
        return path.read_bytes()


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The rest of an open file, piece by piece."""
    while piece := file.read(PIECE):
        yield piece


def receive(content: Iterable[bytes], cid: Cid, to: Path, limit: int, source: str) -> None:
    """Writes `content` to `to` as it arrives, and keeps it only if it hashes to `cid` and is within `limit` bytes."""
    hasher = CidHasher.for_ipfs()
    size = 0
    with replacing(to) as file:
        for piece in content:
            size += len(piece)
            if size > limit:
                raise too_large(cid, limit)
            hasher.update(piece)
            file.write(piece)
        found = hasher.finalize()
        if found != cid:
            raise IntegrityError(
                f"{source} gave {size} bytes for {cid} that hash to {found}: damaged or forged, and not used"
            )


def too_large(cid: Cid, limit: int, size: int | None = None) -> ArtifactTooLarge:
    found = f"has {size} bytes" if size is not None else "is larger"
    return ArtifactTooLarge(f"artifact {cid} {found}, expected at most {limit}: it is not read")
