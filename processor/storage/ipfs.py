"""An IPFS node (Kubo) as storage."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ipfshttpclient
from ipfshttpclient import exceptions as ipfs
from requests.exceptions import ConnectTimeout, RequestException

from processor.cid import cid_of_file, digest_of
from processor.errors import ArtifactError, ArtifactUnavailable, ConfigurationError, IntegrityError, StorageError
from processor.storage.download import Content, Download, fetch, transfer
from processor.types import Cid

# The client passes urllib3 an argument that it no longer needs, which is nothing that its users can change.
warnings.filterwarnings("ignore", message="The 'strict' parameter", category=FutureWarning)

CIDV0 = {"hash": "sha2-256", "inline": False, "max-file-links": 174}
"""What makes a file's CID, as well as what `put` names: said with every file, as a node's own settings may differ."""

READ = 64 << 10
"""Bytes that are read at a time: what is lost where a transfer breaks off, and how seldom its pace is looked at."""

NOT_PINNED = "not pinned"
"""How a node words its refusal to unpin what is not pinned; the status is the same for every error."""


class IpfsStorage:
    """Adds to, reads from and pins on the node whose HTTP API listens on a multiaddr, like /ip4/127.0.0.1/tcp/5001.

    `timeout` is how many seconds the node may be silent. Nothing is asked of it before it is used. Raises
    ConfigurationError for what is not such an address, StorageError where the node does not answer.
    """

    def __init__(self, address: str, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        try:
            # Not `connect`: it refuses every node since 0.8 by its version alone.
            self._client = ipfshttpclient.Client(address, session=True, timeout=timeout, chunk_size=READ)
        except (ipfs.AddressError, ValueError) as error:
            raise ConfigurationError(
                f"{address!r} is not the address of an IPFS node: expected one like /ip4/127.0.0.1/tcp/5001"
            ) from error

    @property
    def name(self) -> str:
        return f"the IPFS node at {self.address}"

    def put(self, path: Path) -> Cid:
        cid = cid_of_file(path)
        with self._answering(f"add {path}"):
            answer = self._client.add(
                path, chunker="size-262144", cid_version=0, raw_leaves=False, pin=True, opts=dict(CIDV0)
            )
            added = answer["Hash"]
        if added != cid:
            raise IntegrityError(f"the IPFS node at {self.address} gave {path} the CID {added}, expected {cid}")
        return cid

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        fetch([self], cid, to, limit, seconds=seconds)

    def pin(self, cid: Cid) -> None:
        digest_of(cid)
        with self._answering(f"pin {cid}", cid):
            self._client.pin.add(cid)

    def unpin(self, cid: Cid) -> None:
        digest_of(cid)
        with self._answering(f"unpin {cid}"):
            try:
                self._client.pin.rm(cid)
            except ipfs.ErrorResponse as error:
                if NOT_PINNED not in str(error):
                    raise

    def supply(self, download: Download) -> None:
        cid = download.cid
        silence = download.silence(self.timeout)
        with self._answering(f"read {cid}", cid, silence):
            status = self._client.files.stat(f"/ipfs/{cid}", timeout=silence)
            if status["Type"] != "file":
                raise ArtifactError(f"{cid} is a {status['Type']} on IPFS, expected a file")
            size = int(status["Size"])
        download.expect(size)
        if size < download.size:
            raise IntegrityError(f"{self.name} has {size} bytes of {cid}, less than have come from others")
        if size > download.size:
            content = self._content(cid, download.size, size, download.silence(self.timeout))
            transfer(content, download, size, self.timeout, self.name)

    def _content(self, cid: Cid, offset: int, size: int, silence: float) -> Content:
        """Asks for a byte more than is expected, to notice a file that is longer than the node said."""
        with (
            self._answering(f"read {cid}", cid, silence),
            self._client.cat(cid, offset=offset, length=size - offset + 1, stream=True, timeout=silence) as content,
        ):
            yield from content

    @contextmanager
    def _answering(self, wish: str, cid: Cid | None = None, silence: float | None = None) -> Iterator[None]:
        """Turns what goes wrong with the node into words; with a `cid`, silence means that nobody serves that."""
        try:
            yield
        except (ipfs.ErrorResponse, ipfs.TimeoutError, RequestException) as error:
            if cid is None or isinstance(getattr(error, "original", None), ConnectTimeout):
                raise StorageError(f"the IPFS node at {self.address} could not {wish}: {error}") from error
            seconds = silence or self.timeout
            raise ArtifactUnavailable(
                f"nobody served {cid} to the IPFS node at {self.address} within {seconds:.3g} s: {error}"
            ) from error
        except (ipfs.CommunicationError, ipfs.DecodingError, AssertionError, KeyError, ValueError) as error:
            # The last three: the client does not check the shape of an answer.
            raise StorageError(
                f"no IPFS node answers at {self.address}: start one with `ipfs daemon`, or name another with --ipfs"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot {wish}: {error}") from error
