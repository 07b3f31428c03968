"""An IPFS node (Kubo) as storage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processor.cid import cid_of_file, digest_of
from processor.errors import ArtifactError, ArtifactUnavailable, IntegrityError, Interrupted, StorageError
from processor.exchange import ExchangeError, Limits, Reason, Stop, exchange, never
from processor.storage.download import Content, Download, budget, fetch, so_far, transfer
from processor.storage.ipfs_api import IpfsApi, Refused, shown
from processor.storage.patience import SLOWEST, SLOWEST_UP
from processor.types import Cid

ADDED = {
    "chunker": "size-262144",
    "cid-version": "0",
    "hash": "sha2-256",
    "inline": "false",
    "max-file-links": "174",
    "pin": "true",
    "raw-leaves": "false",
}
"""What makes a file's CID: said with every file, as a node's own settings may differ."""

ANSWER = 128 << 10
"""Bytes of an answer that is no content, headers included."""

NOT_PINNED = "not pinned"
"""How a node words its refusal to unpin what is not pinned; the status is the same for every error."""


class IpfsStorage:
    """Adds to, reads from and pins on the node whose HTTP API listens on a multiaddr, like /ip4/127.0.0.1/tcp/5001.

    `timeout` is how many seconds the node may be silent, and a whole answer may take, content and files apart: these
    have as many more as their bytes take at the slowest pace, which is lower for files. Once `stop` says so, whatever
    is at work ends with Interrupted. Nothing is asked of the node before it is used. Raises ConfigurationError for what
    is not such an address, StorageError where the node does not answer.
    """

    def __init__(self, address: str, timeout: float, stop: Stop = never) -> None:
        self.address = address
        self.timeout = timeout
        self._stop = stop
        self._api = IpfsApi(address)

    @property
    def name(self) -> str:
        return f"the IPFS node at {self.address}"

    def put(self, path: Path) -> Cid:
        cid, wish = cid_of_file(path), f"add {path}"
        try:
            with path.open("rb") as file, self._asking(wish, pace=SLOWEST_UP):
                added = _text(self._api.add(file, self.timeout, ADDED), "Hash")
        except OSError as error:
            raise StorageError(f"cannot {wish}: {error}") from error
        if added != cid:
            raise IntegrityError(f"{self.name} gave {path} the CID {shown(added)}, expected {cid}")
        return cid

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        fetch([self], cid, to, limit, seconds=seconds, stop=self._stop)

    def pin(self, cid: Cid) -> None:
        digest_of(cid)
        with self._asking(f"pin {cid}", cid):
            self._api.ask("pin/add", cid, self.timeout)

    def unpin(self, cid: Cid) -> None:
        digest_of(cid)
        with self._asking(f"unpin {cid}"):
            try:
                self._api.ask("pin/rm", cid, self.timeout)
            except Refused as refusal:
                if NOT_PINNED not in str(refusal):
                    raise

    def supply(self, download: Download) -> None:
        cid, silence = download.cid, download.silence(self.timeout)
        with self._asking(f"read {cid}", cid, silence, until=download.until):
            status = self._api.ask("files/stat", f"/ipfs/{cid}", silence)
            kind, size = _text(status, "Type"), _count(status, "Size")
        if kind != "file":
            raise ArtifactError(f"{cid} is a {shown(kind)} on IPFS, expected a file")
        download.expect(size)
        if size < download.size:
            raise IntegrityError(f"{self.name} has {size} bytes of {cid}, less than have come from others")
        if size > download.size:
            transfer(self._content(download, size), download, size, self.timeout, self.name)

    def _content(self, download: Download, size: int) -> Content:
        """Asks for a byte more than is expected, to notice a file that is longer than the node said."""
        cid, silence, length = download.cid, download.silence(self.timeout), size - download.size + 1
        part = {"offset": str(download.size), "length": str(length)}
        try:
            with (
                exchange(silence, budget(length), self._stop, pace=SLOWEST, until=download.until),
                self._api.read("cat", cid, silence, part) as content,
            ):
                yield from content
        except (Refused, ExchangeError) as error:
            self._heard(error, f"read {cid}")
            late = isinstance(error, ExchangeError) and error.reason is Reason.LATE
            why = f"no more was served within {silence:.3g} s" if late else str(error)
            raise ArtifactUnavailable(f"only {so_far(download, size)} came from {self.name}: {why}") from None

    @contextmanager
    def _asking(
        self,
        wish: str,
        cid: Cid | None = None,
        seconds: float | None = None,
        most_bytes: int = ANSWER,
        pace: float = 0.0,
        until: float = math.inf,
    ) -> Iterator[Limits]:
        """An exchange, and words for what goes wrong in it; with a `cid`, silence means that nobody serves that."""
        seconds = self.timeout if seconds is None else seconds
        try:
            with exchange(seconds, most_bytes, self._stop, pace=pace, until=until) as limits:
                yield limits
        except (Refused, ExchangeError) as error:
            self._heard(error, wish)
            if isinstance(error, ExchangeError) and error.reason is not Reason.LATE:
                raise StorageError(
                    f"no IPFS node answers at {self.address}: start one with `ipfs daemon`, or name another with "
                    f"--ipfs ({error})"
                ) from None
            if cid is None:
                raise StorageError(f"{self.name} could not {wish}: {error}") from None
            late = "" if isinstance(error, Refused) else f" within {seconds:.3g} s"
            raise ArtifactUnavailable(f"nobody served {cid} to {self.name}{late}: {error}") from None

    def _heard(self, error: Exception, wish: str) -> None:
        """Raises Interrupted for an exchange that ended because it was asked to."""
        if isinstance(error, ExchangeError) and error.reason is Reason.STOPPED:
            raise Interrupted(f"stopped before {self.name} could {wish}") from None


def _text(answer: dict[str, object], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str):
        raise _strange()
    return found


def _count(answer: dict[str, object], name: str) -> int:
    found = answer.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise _strange()
    return found


def _strange() -> ExchangeError:
    return ExchangeError(Reason.BROKEN, "the answer is not understood")
