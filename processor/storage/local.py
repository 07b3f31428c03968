"""A directory as storage: one file per artifact, named by its CID. Several processes may share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from processor.cid import cid_of_file, digest_of
from processor.errors import ArtifactUnavailable, IntegrityError, StorageError
from processor.files import replacing
from processor.storage.download import Content, Download, fetch, pieces
from processor.types import Cid
from processor.words import in_full


class LocalStorage:
    """Keeps every artifact as `directory/<cid>`; what is there is pinned, for everybody.

    The store is shared, and no file says who needs it: `unpin` keeps it. Whoever owns the directory clears it when its
    federations are over. Raises StorageError where the directory cannot be made, read or written to. It is made
    `at_once`, or else when something is put into it: one storage of several may be out of reach for a while.
    """

    def __init__(self, directory: Path, at_once: bool = True) -> None:
        self.directory = directory
        if at_once:
            self._make()

    @property
    def name(self) -> str:
        return f"the store {self.directory}"

    def put(self, path: Path) -> Cid:
        cid = cid_of_file(path)
        self._make()
        with self._reachable(), path.open("rb") as file, replacing(self._path(cid)) as kept:
            copy = Download(cid, path.stat().st_size, kept)
            for piece in pieces(file):
                copy.add(piece)
            copy.check(str(path))
        return cid

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        fetch([self], cid, to, limit, seconds=seconds)

    def pin(self, cid: Cid) -> None:
        if not self._path(cid).is_file():
            raise ArtifactUnavailable(f"the store {self.directory} does not hold {cid}: is it the federation's store?")

    def unpin(self, cid: Cid) -> None:
        digest_of(cid)

    def supply(self, download: Download) -> None:
        self.pin(download.cid)
        size = self._size(download.cid)
        download.expect(size)
        if size < download.size:
            raise IntegrityError(f"{self.name} holds {size} bytes of {download.cid}, less than have come from others")
        with closing(self._content(download.cid, download.size)) as content:
            for piece in content:
                download.add(piece)

    def _make(self) -> None:
        with self._reachable():
            self.directory.mkdir(parents=True, exist_ok=True)

    def _path(self, cid: Cid) -> Path:
        digest_of(cid)  # A CID comes from others: nothing else may become a path.
        return self.directory / cid

    def _size(self, cid: Cid) -> int:
        with self._reachable():
            return self._path(cid).stat().st_size

    def _content(self, cid: Cid, offset: int) -> Content:
        """Only what goes wrong with the store itself is its fault, not what becomes of the pieces."""
        with self._reachable(), self._path(cid).open("rb") as file:
            file.seek(offset)
            yield from pieces(file)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"the store {self.directory} cannot be used: {in_full(error)}") from error
