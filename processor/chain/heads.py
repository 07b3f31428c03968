"""News of blocks: a node that is reached by WebSocket says when there is one, so that nobody has to wait for the poll.

Whoever waits here may also be woken by what ends on this machine. News only wakes: what there is to do is read from the
chain.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import structlog
from websockets.sync.client import ClientConnection

from processor.chain.endpoints import is_websocket, open_websocket
from processor.observability import shown

LEAST_WAIT = 0.25
"""Seconds that a wait takes whatever the news of blocks: a node that tells too much of it makes nobody hurry."""

_TICK = 0.05  # seconds between two looks at whether to stop
_OPEN_TIMEOUT = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds before the next attempt to connect, twice as long each time


class Heads:
    """Waits for the next block; without a WebSocket among the addresses `rpc`, for the time to pass. The event `done`
    ends a wait, too.

    While its `with` block runs, a thread of its own keeps a subscription to new heads, whatever becomes of the
    connection; its trouble is logged, and never anybody else's.
    """

    def __init__(self, rpc: Sequence[str], done: threading.Event | None = None) -> None:
        self._addresses = [address for address in rpc if is_websocket(address)]
        self._log = structlog.get_logger()
        self._news = threading.Event()
        self._done = threading.Event() if done is None else done
        self._closing = threading.Event()
        self._connection: ClientConnection | None = None
        self._thread = threading.Thread(target=self._follow, name="heads", daemon=True)

    def __enter__(self) -> Self:
        if self._addresses:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.close_socket()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def wait(self, seconds: float, stopping: threading.Event) -> None:
        """Returns at a block that is new since the last wait, once `done` or `stopping` is set, or after `seconds`.

        For a block it returns after `LEAST_WAIT` at the soonest, or after `seconds` where that is less; `done` is
        clear again then.

        A signal handler may set `stopping`, also while this runs: it is only looked at. To wait for it would hold its
        lock, which a handler in the same thread could then never have.
        """
        start = time.monotonic()
        while not stopping.is_set():
            waited = time.monotonic() - start
            if waited >= seconds or self._done.is_set() or (waited >= LEAST_WAIT and self._news.is_set()):
                break
            blocks = bool(self._addresses) and waited >= LEAST_WAIT
            (self._news if blocks else self._done).wait(min(seconds - waited, _TICK))
        self._news.clear()
        self._done.clear()

    def _follow(self) -> None:
        failures = 0
        while not self._closing.is_set():
            address = self._addresses[failures % len(self._addresses)]
            try:
                self._connection = connection = open_websocket(address, _OPEN_TIMEOUT)
                with connection:
                    self._subscribe(connection)
                    failures = 0
                    self._listen(connection)
            except Exception as error:  # whatever a node sends, the thread goes on
                if not failures and not self._closing.is_set():
                    self._log.warning("no news of blocks", node=shown(address), reason=type(error).__name__)
            finally:
                self._connection = None
            pause = min(_FIRST_PAUSE * 2 ** min(failures, 10), _LONGEST_PAUSE)
            failures += 1
            self._closing.wait(pause * random.uniform(0.5, 1.0))

    def _subscribe(self, connection: ClientConnection) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
        connection.send(json.dumps(request))
        answer = _message(connection, _OPEN_TIMEOUT)
        if answer.get("id") != 1 or "result" not in answer:
            raise ValueError("the node gives no news of blocks")
        self._news.set()  # there may have been blocks while nobody listened

    def _listen(self, connection: ClientConnection) -> None:
        while not self._closing.is_set():
            if _message(connection, None).get("method") == "eth_subscription":
                self._news.set()


def _message(connection: ClientConnection, timeout: float | None) -> dict[str, Any]:
    message = json.loads(connection.recv(timeout))
    if not isinstance(message, dict):
        raise ValueError("the node sends something else than JSON-RPC")
    return message
