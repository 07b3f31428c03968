"""An HTTP gateway to IPFS: artifacts are read from it, by their CID, and nothing is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from processor.errors import ArtifactUnavailable, ConfigurationError, IntegrityError, StorageError
from processor.observability import shown
from processor.storage.download import PIECE, Content, Download, fetch, transfer
from processor.types import Cid

REDIRECTS = 3
"""How often a gateway may send us on, as those do that give every CID a host of its own."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class GatewayStorage:
    """Reads `address/ipfs/<cid>`. `timeout` is how many seconds the gateway may be silent.

    A gateway is a stranger: its bytes are verified, its content is never decompressed, and it sends us on only within
    the scheme that it was named with. Of its address no more is shown than scheme, host and port.
    """

    def __init__(self, address: str, timeout: float) -> None:
        url = urlsplit(address)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ConfigurationError("a gateway's address must be like https://ipfs.example or http://127.0.0.1:8080")
        self.timeout = timeout
        self._address = address.rstrip("/")
        self._scheme = url.scheme
        self._shown = shown(address)
        self._session = requests.Session()
        self._session.trust_env = url.hostname not in ("localhost", "127.0.0.1", "::1")  # no proxy leads back here
        self._session.headers.update({"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "koinon"})

    def __repr__(self) -> str:
        return f"GatewayStorage({self._shown})"

    @property
    def name(self) -> str:
        return f"the gateway {self._shown}"

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        fetch([self], cid, to, limit, seconds=seconds)

    def put(self, path: Path) -> NoReturn:
        self._refuse(f"publish {path.name}")

    def pin(self, cid: Cid) -> NoReturn:
        self._refuse(f"pin {cid}")

    def unpin(self, cid: Cid) -> NoReturn:
        self._refuse(f"unpin {cid}")

    def _refuse(self, wish: str) -> NoReturn:
        raise ConfigurationError(f"cannot {wish}: {self.name} can only be read from; name an IPFS node with --ipfs")

    def supply(self, download: Download) -> None:
        response = self._ask(download)
        with response:
            if response.status_code == requests.codes.range_not_satisfiable:
                raise IntegrityError(f"{self.name} has less of {download.cid} than has come from others")
            if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
                raise ArtifactUnavailable(
                    f"{self.name} does not serve {download.cid}: HTTP status {response.status_code}"
                )
            size = self._continue(response, download)
            if size is not None:
                download.expect(size)
            transfer(self._content(response, download.cid), download, size, self.timeout, self.name)

    def _ask(self, download: Download) -> requests.Response:
        cid = download.cid
        url = f"{self._address}/ipfs/{cid}"
        headers = {"Range": f"bytes={download.size}-"} if download.size else {}
        for _ in range(1 + REDIRECTS):
            response = self._request(url, cid, headers, download.silence(self.timeout))
            if not response.is_redirect:
                return response
            response.close()
            url = urljoin(url, response.headers["Location"])
            if urlsplit(url).scheme != self._scheme:
                raise ArtifactUnavailable(f"{self.name} sends us for {cid} to an address that is not {self._scheme}")
        raise ArtifactUnavailable(f"{self.name} sends us on for {cid} more than {REDIRECTS} times")

    def _request(self, url: str, cid: Cid, headers: dict[str, str], silence: float) -> requests.Response:
        """The library's own errors show the whole address, and are left out."""
        try:
            return self._session.get(url, headers=headers, stream=True, timeout=silence, allow_redirects=False)
        except requests.ReadTimeout:
            raise ArtifactUnavailable(f"{self.name} did not serve {cid} within {silence:.3g} s") from None
        except requests.Timeout:
            raise StorageError(f"{self.name} cannot be reached within {silence:.3g} s") from None
        except (requests.RequestException, ValueError):
            raise StorageError(f"{self.name} cannot be reached: check the address, and that it is up") from None

    def _continue(self, response: requests.Response, download: Download) -> int | None:
        """Brings the download to where the answer begins, and returns the size that the whole should have."""
        if response.status_code == requests.codes.ok:
            if download.size:
                download.restart()
            return _number(response.headers.get("Content-Length", ""))
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != download.size:
            raise ArtifactUnavailable(
                f"{self.name} was asked for {download.cid} from byte {download.size} on, and answered with another part"
            )
        return _number(found[2])

    def _content(self, response: requests.Response, cid: Cid) -> Content:
        """The bytes as they arrive: a read that waits for a whole piece would not notice that they only trickle."""
        try:
            while piece := response.raw.read1(PIECE, decode_content=False):
                yield piece
        except (HTTPError, OSError):
            raise ArtifactUnavailable(f"{self.name} broke off while it sent {cid}: try again") from None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None
