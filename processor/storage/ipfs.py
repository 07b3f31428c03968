"""An IPFS node (Kubo) as storage."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ipfshttpclient
from ipfshttpclient import exceptions as ipfs
from requests.exceptions import ConnectTimeout, RequestException

from processor.cid import cid_of_file, digest_of
from processor.errors import ArtifactError, ArtifactUnavailable, ConfigurationError, IntegrityError, StorageError
from processor.storage.base import PIECE, receive, too_large
from processor.types import Cid

# The client passes urllib3 an argument that it no longer needs, which is nothing that its users can change.
warnings.filterwarnings("ignore", message="The 'strict' parameter", category=FutureWarning)

SLOWEST = 128 << 10
"""Bytes a second, after the time-out, below which a transfer is given up: nobody can hold a daemon by dribbling."""

CIDV0 = {"hash": "sha2-256", "inline": False, "max-file-links": 174}
"""What makes a file's CID, beside what `put` names: said with every file, since a node's own settings may differ."""


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
            self._client = ipfshttpclient.Client(address, session=True, timeout=timeout, chunk_size=PIECE)
        except (ipfs.AddressError, ValueError) as error:
            raise ConfigurationError(
                f"{address!r} is not the address of an IPFS node: expected one like /ip4/127.0.0.1/tcp/5001"
            ) from error

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

    def get(self, cid: Cid, to: Path, limit: int) -> None:
        digest_of(cid)
        with self._answering(f"read {cid}", cid):
            status = self._client.files.stat(f"/ipfs/{cid}")
            if status["Type"] != "file":
                raise ArtifactError(f"{cid} is a {status['Type']} on IPFS, expected a file")
            if (size := int(status["Size"])) > limit:
                raise too_large(cid, limit, size)
            with self._client.cat(cid, length=limit + 1, stream=True) as content:
                receive(self._arriving(content, cid, size), cid, to, limit, source=f"the IPFS node at {self.address}")

    def pin(self, cid: Cid) -> None:
        digest_of(cid)
        with self._answering(f"pin {cid}", cid):
            self._client.pin.add(cid)

    def _arriving(self, content: Iterable[bytes], cid: Cid, size: int) -> Iterator[bytes]:
        """Passes the content on; a node that lost its source midway just ends it early, which is no forgery."""
        started, received = time.monotonic(), 0
        for piece in content:
            received += len(piece)
            if time.monotonic() - started > self.timeout + received / SLOWEST:
                raise ipfs.TimeoutError(None, f"{received} of {size} bytes")
            yield piece
        if received < size:
            raise ArtifactUnavailable(
                f"only {received} of {size} bytes of {cid} came from the IPFS node at {self.address}: try again"
            )

    @contextmanager
    def _answering(self, wish: str, cid: Cid | None = None) -> Iterator[None]:
        """Turns what goes wrong with the node into words; with a `cid`, silence means that nobody serves that."""
        try:
            yield
        except (ipfs.ErrorResponse, ipfs.TimeoutError, RequestException) as error:
            if cid is None or isinstance(getattr(error, "original", None), ConnectTimeout):
                raise StorageError(f"the IPFS node at {self.address} could not {wish}: {error}") from error
            raise ArtifactUnavailable(
                f"nobody served {cid} to the IPFS node at {self.address} within {self.timeout:g} s: {error}"
            ) from error
        except (ipfs.CommunicationError, ipfs.DecodingError, AssertionError, KeyError, ValueError) as error:
            # The last three: the client does not check the shape of an answer.
            raise StorageError(
                f"no IPFS node answers at {self.address}: start one with `ipfs daemon`, or name another with --ipfs"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot {wish}: {error}") from error
