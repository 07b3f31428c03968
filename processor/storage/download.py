"""A file on its way: gathered from one source or several, resumed where one broke off, and verified at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog
from aleph_cid import CidHasher

from processor.cid import digest_of
from processor.errors import ArtifactError, ArtifactTooLarge, ArtifactUnavailable, IntegrityError, StorageError
from processor.exchange import Stop, never
from processor.files import replacing
from processor.storage.patience import SLOWEST, patient, together
from processor.types import Cid
from processor.words import reason

PIECE = 1 << 20
"""Bytes in memory at a time."""

FRAMING = 256 << 10
"""Bytes that an answer may have around its content, as well as an eighth of that."""

Content = Generator[bytes, None, None]
"""Bytes that come piece by piece; closed where no more are wanted."""

_log = structlog.get_logger()


class Download:
    """What arrived of an artifact so far, in order from its first byte, in a working file; `until` is when it has to be
    whole, by the monotonic clock."""

    def __init__(self, cid: Cid, limit: int, file: BinaryIO, until: float = math.inf) -> None:
        self.cid = cid
        self.limit = limit
        self.size = 0
        self.until = until
        self._file = file
        self._hasher = CidHasher.for_ipfs()

    def expect(self, size: int) -> None:
        """Raises ArtifactTooLarge where the whole, as a source says, is above the limit."""
        if size > self.limit:
            raise self._too_large(f"has {size} bytes")

    def add(self, piece: bytes) -> None:
        """Raises ArtifactTooLarge above the limit, ArtifactUnavailable once it is too late, OSError where the file
        cannot be written."""
        self.check_time()
        if self.size + len(piece) > self.limit:
            raise self._too_large("is larger")
        self._file.write(piece)
        self._hasher.update(piece)
        self.size += len(piece)

    def check_time(self) -> None:
        """Raises ArtifactUnavailable once it is too late."""
        if time.monotonic() >= self.until:
            raise ArtifactUnavailable(f"only {self.size} bytes of {self.cid} came in the time allowed")

    def silence(self, timeout: float) -> float:
        """How many seconds of a time-out a source may be silent, so that it does not outlast the time allowed."""
        return max(0.01, min(timeout, self.until - time.monotonic()))

    def restart(self) -> None:
        """Throws away what arrived."""
        self._file.seek(0)
        self._file.truncate()
        self._hasher = CidHasher.for_ipfs()
        self.size = 0

    def check(self, source: str) -> None:
        """Ends the download. Raises IntegrityError where what arrived is not the artifact."""
        found = self._hasher.finalize()
        if found != self.cid:
            raise IntegrityError(
                f"{source} gave {self.size} bytes for {self.cid} that hash to {found}: damaged or forged, and not used"
            )

    def _too_large(self, found: str) -> ArtifactTooLarge:
        return ArtifactTooLarge(f"artifact {self.cid} {found}, expected at most {self.limit}: it is not read")


class Source(Protocol):
    """One place that artifacts are read from; `name` is for people, and holds no secret."""

    @property
    def name(self) -> str: ...

    def supply(self, download: Download) -> None:
        """Adds what the download still lacks, from its present size on.

        After an error what has arrived stays. Raises StorageError for trouble that may pass, ArtifactError for what
        this source will never have right, OSError where the working file cannot be written.
        """


def fetch(
    sources: Sequence[Source],
    cid: Cid,
    to: Path,
    limit: int,
    patience: float = 0.0,
    seconds: float | None = None,
    stop: Stop = never,
) -> None:
    """Writes the artifact to `to`, whole and verified, from the first source that has it; as `Storage.get`.

    Where a transfer breaks off, the next attempt goes on from there, whichever source it asks. A whole that is wrong is
    thrown away, and a source that gave nothing else is not asked again. Trouble that may pass is waited out for
    `patience` seconds, longer while bytes arrive (see `patient`). Raises Interrupted once `stop` says so.
    """
    digest_of(cid)
    try:
        with replacing(to) as file:
            download = Download(cid, limit, file, math.inf if seconds is None else time.monotonic() + seconds)
            asked, refused = list(sources), list[ArtifactError]()
            patient(patience, lambda: download.size, download.until, stop)(_ask_each, asked, refused, download)
    except OSError as error:
        raise StorageError(f"cannot write {cid} to {to}: {reason(error)}") from error


def transfer(content: Content, download: Download, size: int | None, timeout: float, source: str) -> None:
    """Adds what a source sends to a download that should have `size` bytes in the end, None where it did not say.

    However it ends, `content` is closed.

    Raises ArtifactUnavailable for content that comes too slowly or ends early, which is no forgery.
    """
    started, begun_with = time.monotonic(), download.size
    with closing(content):
        for piece in content:
            download.add(piece)
            seconds = time.monotonic() - started
            if seconds > timeout + (download.size - begun_with) / SLOWEST:
                raise ArtifactUnavailable(f"{source} is too slow: {so_far(download, size)} came in {seconds:.1f} s")
    if size is not None and download.size < size:
        raise ArtifactUnavailable(f"only {so_far(download, size)} came from {source}: try again")


def budget(size: int) -> int:
    """Bytes that a source may send for so many of content: headers and framing take some."""
    return size + size // 8 + FRAMING


def pieces(file: BinaryIO) -> Content:
    """The rest of an open file, piece by piece."""
    while piece := file.read(PIECE):
        yield piece


def so_far(download: Download, size: int | None) -> str:
    """How much has arrived, of how much."""
    return f"{download.size}{'' if size is None else f' of {size}'} bytes of {download.cid}"


def _ask_each(asked: list[Source], refused: list[ArtifactError], download: Download) -> None:
    """Asks one source after the other, and strikes off those whose answer is final."""
    trouble: list[StorageError] = []
    for source in list(asked):
        try:
            download.check_time()
            _complete(source, download)
        except ArtifactError as error:
            if len(asked) > 1:
                _log.warning("source refused", source=source.name, error=str(error))
            asked.remove(source)
            refused.append(error)
        except StorageError as error:
            trouble.append(error)
        else:
            return
    download.check_time()  # what went wrong at the last moment is no source's fault
    raise together(f"none of {len(refused) + len(trouble)} sources gave {download.cid}", [*refused, *trouble])


def _complete(source: Source, download: Download) -> None:
    """Lets one source complete the download. Where the whole is wrong, the fault may lie in what arrived before: the
    source is asked for all of it, so that nobody's bad beginning can spoil what another sends."""
    continued = download.size > 0
    try:
        source.supply(download)
        download.check(source.name)
    except IntegrityError:
        download.restart()
        if not continued:
            raise
        _complete(source, download)
