"""An HTTP gateway to IPFS: artifacts are read from it, by their CID, and nothing is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

import requests

from processor.errors import ArtifactUnavailable, ConfigurationError, IntegrityError, Interrupted, StorageError
from processor.exchange import ExchangeError, Kind, Limits, Reason, Session, Stop, exchange, may_lead, never, pieces_of
from processor.observability import shown
from processor.storage.download import Content, Download, budget, fetch, so_far, transfer
from processor.storage.patience import SLOWEST
from processor.types import Cid

REDIRECTS = 3
"""How often a gateway may send us on, as those do that give every CID a host of its own."""

HEAD = 256 << 10
"""Bytes that may come before the content, those of the answers that send us on included."""

_DIGITS = 19  # of a size: more would be an exabyte
_RANGE = re.compile(rf"bytes ([0-9]{{1,{_DIGITS}}})-[0-9]{{1,{_DIGITS}}}/([0-9]{{1,{_DIGITS}}}|\*)")


class GatewayStorage:
    """Reads `address/ipfs/<cid>`. `timeout` is how many seconds the gateway may be silent, and take until its content
    begins; that has as many more as its bytes take at the slowest pace. Once `stop` says so, whatever is at work ends
    with Interrupted.

    A gateway is a stranger: its bytes are verified, its content is never decompressed, and it sends us on only within
    the scheme that it was named with and the kind of address that it has itself, so that none on the net leads to this
    machine or a private network. Of its address no more is shown than scheme, host and port.
    """

    def __init__(self, address: str, timeout: float, stop: Stop = never) -> None:
        if (scheme := _scheme(address)) is None:
            raise ConfigurationError("a gateway's address must be like https://ipfs.example or http://127.0.0.1:8080")
        self.timeout = timeout
        self._address = address.rstrip("/")
        self._scheme = scheme
        self._shown = shown(address)
        self._stop = stop
        self._session = Session()
        self._session.headers.update({"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "koinon"})

    def __repr__(self) -> str:
        return f"GatewayStorage({self._shown})"

    @property
    def name(self) -> str:
        return f"the gateway {self._shown}"

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        fetch([self], cid, to, limit, seconds=seconds, stop=self._stop)

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
            transfer(self._content(response, download, size), download, size, self.timeout, self.name)

    def _ask(self, download: Download) -> requests.Response:
        """The answer that the gateway, or whoever it sends us on to, begins."""
        silence = download.silence(self.timeout)
        try:
            with exchange(silence, HEAD, self._stop, until=download.until) as limits:
                return self._follow(download, silence, limits)
        except ExchangeError as error:
            self._heard(error, download.cid)
            if error.reason is Reason.LATE:
                raise ArtifactUnavailable(f"{self.name} did not serve {download.cid} within {silence:.3g} s") from None
            if error.reason is Reason.FORBIDDEN:
                raise ArtifactUnavailable(
                    f"{self.name} sends us for {download.cid} to another kind of address: {error}"
                ) from None
            raise StorageError(
                f"{self.name} cannot be reached ({error}): check the address, and that it is up"
            ) from None

    def _follow(self, download: Download, silence: float, limits: Limits) -> requests.Response:
        """A gateway behind a proxy counts as one on the net. Whoever it sends us on to is told no password."""
        cid, first = download.cid, f"{self._address}/ipfs/{download.cid}"
        headers = {"Range": f"bytes={download.size}-"} if download.size else {}
        url = first
        for _ in range(1 + REDIRECTS):
            auth = None if urlsplit(url).netloc == urlsplit(first).netloc else _nobody
            response = self._session.get(url, headers=headers, stream=True, timeout=silence, auth=auth)
            if not response.is_redirect:
                return response
            response.close()
            limits.only = limits.only or limits.reached or Kind.PUBLIC
            url = urljoin(url, response.headers["Location"])
            if urlsplit(url).scheme != self._scheme:
                raise ArtifactUnavailable(f"{self.name} sends us for {cid} to an address that is not {self._scheme}")
            if not may_lead(first, url, limits.only):
                raise limits.fail(Reason.FORBIDDEN, "a redirect may not lead there")
        raise ArtifactUnavailable(f"{self.name} sends us on for {cid} more than {REDIRECTS} times")

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

    def _content(self, response: requests.Response, download: Download, size: int | None) -> Content:
        """The bytes as they arrive."""
        most = budget((download.limit if size is None else size) - download.size)
        try:
            with exchange(self.timeout, most, self._stop, pace=SLOWEST, until=download.until):
                yield from pieces_of(response)
        except ExchangeError as error:
            self._heard(error, download.cid)
            what = "is too slow" if error.reason is Reason.LATE else f"broke off ({error})"
            raise ArtifactUnavailable(f"{self.name} {what}: {so_far(download, size)} came") from None

    def _heard(self, error: ExchangeError, cid: Cid) -> None:
        """Raises Interrupted for an exchange that ended because it was asked to."""
        if error.reason is Reason.STOPPED:
            raise Interrupted(f"stopped before {self.name} had sent {cid}") from None


def _scheme(address: str) -> str | None:
    """The scheme of a gateway's address; None for what is none."""
    try:
        url = urlsplit(address)
        return url.scheme if url.scheme in ("http", "https") and url.hostname and url.port != 0 else None
    except ValueError:
        return None


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Who asks without a password, whatever the address or the user's netrc has."""
    return request


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None
