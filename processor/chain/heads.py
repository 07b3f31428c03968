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
from contextlib import AbstractContextManager, closing
from types import TracebackType
from typing import Any, Self

import structlog

from processor.chain import jsonrpc
from processor.chain.endpoints import is_websocket
from processor.chain.websocket import Channel, Refused
from processor.exchange import ExchangeError, Limits, Reason, exchange
from processor.observability import shown

LEAST_WAIT = 0.25
"""Seconds that a wait takes whatever the news of blocks: a node that tells too much of it makes nobody hurry."""

_TICK = 0.05  # seconds between two looks at whether to stop
_OPEN_TIMEOUT = 10.0
_SILENCE = 30.0  # seconds without a word after which a node is asked for one; it has as long for that
_LARGEST = 2**18  # bytes of a message: the head of a block is small
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
        self._thread = threading.Thread(target=self._follow, name="heads", daemon=True)

    def __enter__(self) -> Self:
        if self._addresses:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
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
                with closing(self._connected(address)) as channel:
                    self._subscribe(channel)
                    failures = 0
                    self._listen(channel)
            except Exception as error:  # whatever a node sends, the thread goes on
                if not failures and not self._closing.is_set():
                    self._log.warning("no news of blocks", node=shown(address), reason=_reason(error))
            pause = min(_FIRST_PAUSE * 2 ** min(failures, 10), _LONGEST_PAUSE)
            failures += 1
            self._closing.wait(pause * random.uniform(0.5, 1.0))

    def _connected(self, address: str) -> Channel:
        with self._bounded(_OPEN_TIMEOUT):
            return Channel(address, _LARGEST)

    def _subscribe(self, channel: Channel) -> None:
        with self._bounded(_OPEN_TIMEOUT):
            channel.send(jsonrpc.encode(1, "eth_subscribe", ["newHeads"]))
            answer = _message(channel)
        if answer.get("id") != 1 or "result" not in answer:
            raise ValueError("the node gives no news of blocks")
        self._news.set()  # there may have been blocks while nobody listened

    def _listen(self, channel: Channel) -> None:
        while not self._closing.is_set():
            if self._next(channel).get("method") == "eth_subscription":
                self._news.set()
            self._closing.wait(_TICK)  # a node that tells too much of it keeps no processor busy

    def _next(self, channel: Channel) -> dict[str, Any]:
        """The next message. A node that is silent is asked whether it is there: a connection may end without a word."""
        try:
            with self._bounded(_SILENCE):
                return _message(channel)
        except ExchangeError as error:
            if error.reason is not Reason.LATE:
                raise
        with self._bounded(_SILENCE):
            channel.send(jsonrpc.encode(2, "eth_chainId", []))
            return _message(channel)

    def _bounded(self, seconds: float) -> AbstractContextManager[Limits]:
        return exchange(seconds, 2 * _LARGEST, self._closing.is_set)


def _message(channel: Channel) -> dict[str, Any]:
    message = json.loads(channel.receive())
    if not isinstance(message, dict):
        raise ValueError("the node sends something else than JSON-RPC")
    return message


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ExchangeError | Refused) else type(error).__name__
