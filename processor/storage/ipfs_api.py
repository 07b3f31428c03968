"""The HTTP API of an IPFS node (Kubo), asked within the limits of an exchange."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests
from ipfshttpclient.exceptions import AddressError
from ipfshttpclient.http_common import multiaddr_to_url_data
from ipfshttpclient.multipart import stream_files

from processor.errors import ConfigurationError, KoinonError
from processor.exchange import ExchangeError, Reason, Session, pieces_of
from processor.exchange.connecting import FAMILIES

CHUNK = 64 << 10
"""Bytes of a file that are sent at a time."""

LONGEST_WORDS = 300
"""Characters of what a node says that are shown."""

_FAMILY_NAMES = {int(family): name for name, family in FAMILIES.items()}


class Refused(KoinonError):
    """The node works, and says in its own words why it does not do what it was asked for."""


class IpfsApi:
    """The API at a multiaddr, like /ip4/127.0.0.1/tcp/5001. Nothing is asked of it before it is used.

    Every call has to be made in an exchange. Raises ConfigurationError for what is not such an address.
    """

    def __init__(self, address: str) -> None:
        try:
            base, _, family, _ = multiaddr_to_url_data(address, "api/v0")
        except (AddressError, ValueError) as error:
            raise ConfigurationError(
                f"{address!r} is not the address of an IPFS node: expected one like /ip4/127.0.0.1/tcp/5001"
            ) from error
        url, name = urlsplit(base), _FAMILY_NAMES[int(family)]
        self._base = url._replace(scheme=f"{url.scheme}+{name}" if name else url.scheme).geturl()
        self._session = Session()
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "koinon"})

    def ask(self, call: str, argument: str, silence: float, options: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The one JSON object that a call answers with. Raises Refused."""
        with self._called(call, {**(options or {}), "arg": argument}, silence) as response:
            return _one_object(response)

    def add(self, file: BinaryIO, silence: float, options: Mapping[str, str]) -> dict[str, Any]:
        """What the node says of a file that it is sent. Raises Refused."""
        body, headers = stream_files(file, chunk_size=CHUNK)
        with self._called("add", options, silence, body, headers) as response:
            return _one_object(response)

    @contextmanager
    def read(self, call: str, argument: str, silence: float, options: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """The bytes that a call answers with, as they arrive. Raises Refused."""
        with self._called(call, {**options, "arg": argument}, silence) as response:
            yield pieces_of(response)

    @contextmanager
    def _called(
        self,
        call: str,
        options: Mapping[str, str],
        silence: float,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        with self._session.post(
            self._base + call, params=options, data=body, headers=headers, timeout=silence, stream=True
        ) as response:
            if response.status_code != requests.codes.ok:
                raise Refused(_words(_one_object(response)))
            yield response


def shown(words: object) -> str:
    """What a stranger says, for people: of bounded length, and without what would move their cursor."""
    text = str(words)
    text = text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS]}…"
    return "".join(character if character.isprintable() else " " for character in text)


def _one_object(response: requests.Response) -> dict[str, Any]:
    found = json.loads(b"".join(pieces_of(response)))
    if not isinstance(found, dict):
        raise ExchangeError(Reason.BROKEN, "the answer is not understood")
    return found


def _words(answer: dict[str, Any]) -> str:
    """Raises ExchangeError for an answer that is not a node's."""
    message = answer.get("Message")
    if not isinstance(message, str):
        raise ExchangeError(Reason.BROKEN, "the answer is not understood")
    return shown(message)
