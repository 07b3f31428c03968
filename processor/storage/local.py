"""A directory as storage: one file per artifact, named by its CID. Several processes may share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processor.cid import cid_of_file, digest_of
from processor.errors import ArtifactUnavailable, StorageError
from processor.storage.base import pieces, receive, too_large
from processor.types import Cid


class LocalStorage:
    """Keeps every artifact as `directory/<cid>`; what is there is pinned.

    Raises StorageError where the directory cannot be made, read or written to.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with self._reachable():
            directory.mkdir(parents=True, exist_ok=True)

    def put(self, path: Path) -> Cid:
        cid = cid_of_file(path)
        with self._reachable(), path.open("rb") as file:
            receive(pieces(file), cid, self._path(cid), path.stat().st_size, source=str(path))
        return cid

    def get(self, cid: Cid, to: Path, limit: int) -> None:
        self.pin(cid)
        kept = self._path(cid)
        with self._reachable(), kept.open("rb") as file:
            if (size := kept.stat().st_size) > limit:
                raise too_large(cid, limit, size)
            receive(pieces(file), cid, to, limit, source=str(kept))

    def pin(self, cid: Cid) -> None:
        if not self._path(cid).is_file():
            raise ArtifactUnavailable(f"the store {self.directory} does not hold {cid}: is it the federation's store?")

    def _path(self, cid: Cid) -> Path:
        digest_of(cid)  # A CID comes from others: nothing else may become a path.
        return self.directory / cid

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"the store {self.directory} cannot be used: {error}") from error
