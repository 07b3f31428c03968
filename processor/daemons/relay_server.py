"""A relay's HTTP server: POST /registration, /update and /leaving, and GET /status.

Anybody may ask, so everything is small and takes no time: a request that is large, slow, or one of too many is cut off
before anything is read into it. Bodies and answers are JSON; a body says by its content type that it is, so that no
website can make a browser send one.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from processor.daemons.relay_limits import Rates, neighbourhood
from processor.daemons.serving import BoundedHandler, BoundedServer, refusal_to_listen, running
from processor.errors import KoinonError
from processor.protocol.relaying import HANDED_LIMIT, SIGNED_LEAVING, SIGNED_REGISTRATION, SIGNED_UPDATE

MOST_CONNECTIONS = 32
"""Answered at a time."""
JSON = "application/json"
KINDS = {
    "/update": SIGNED_UPDATE.name,
    "/registration": SIGNED_REGISTRATION.name,
    "/leaving": SIGNED_LEAVING.name,
}


class Refused(Exception):
    """What was asked for is not done; `status` is HTTP's, the text says why and what to do."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Desk(Protocol):
    """Who answers (`processor.daemons.relay_desk`)."""

    def take(self, kind: str, body: bytes) -> bytes:
        """The receipt for what was handed over. Raises Refused, or KoinonError where it cannot be judged now."""

    def status(self) -> dict[str, Any]: ...


@contextmanager
def answering(desk: Desk, endpoint: tuple[str, int], rates: Rates, log: FilteringBoundLogger) -> Iterator[int]:
    """Serves the desk at host and port during the block, and gives the port. `rates` bounds what one address asks.

    Raises ConfigurationError where nobody can listen there.
    """
    host, port = endpoint
    with refusal_to_listen(f"the relay cannot listen at {host}:{port}: {{}}. Name another address as relay.listen"):
        server = _Server(host, port, desk, rates, log)
    with running(server, "relay") as found:
        yield found


class _Server(BoundedServer):
    def __init__(self, host: str, port: int, desk: Desk, rates: Rates, log: FilteringBoundLogger) -> None:
        self.desk, self.rates, self.log = desk, rates, log
        super().__init__(host, port, _Handler, MOST_CONNECTIONS)


class _Handler(BoundedHandler):
    server: _Server
    body_limit = HANDED_LIMIT

    def do_GET(self) -> None:
        self._answer(self._status)

    def do_POST(self) -> None:
        self._answer(self._take)

    def _status(self) -> bytes:
        if self.path != "/status":
            raise Refused(404, "here is /status")
        self.arrived()
        return json.dumps(self.server.desk.status(), sort_keys=True).encode()

    def _take(self) -> bytes:
        kind = KINDS.get(self.path)
        if kind is None:
            raise Refused(404, f"here are {', '.join(KINDS)}")
        if self.headers.get_content_type() != JSON:
            raise Refused(415, f"expected the content type {JSON}")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 10) or "Transfer-Encoding" in self.headers:
            raise Refused(411, "expected the length of the body as Content-Length")
        if int(length) > HANDED_LIMIT:
            raise Refused(413, f"a body has at most {HANDED_LIMIT} bytes")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise Refused(400, "the body has another length than announced")
        self.arrived()
        return self.server.desk.take(kind, body)

    def _answer(self, find: Any) -> None:
        try:
            if not self.server.rates.allows(neighbourhood(str(self.client_address[0]))):
                raise Refused(429, "too many requests from this address: wait a minute")
            self.answer(200, JSON, find())
        except Refused as refused:
            self.refuse(refused.status, str(refused))
        except KoinonError as error:  # of a node, or a disk; what it says is for whoever runs the relay
            self.server.log.warning("nothing can be taken now", error=str(error))
            self.refuse(503, "this relay cannot judge that now: try again later, or ask another relay")
        except (OSError, http.client.HTTPException):  # it was cut off, or has gone
            self.close_connection = True
        except Exception as error:
            self.server.log.error("a request failed", exc_info=error)
            self.refuse(500, "this relay has failed: ask another one")

    def refuse(self, status: int, words: str) -> None:
        self.answer(status, JSON, json.dumps({"error": words}).encode())
