"""One Ethereum node behind one address: HTTP, WebSocket, or the socket of a node on this machine (IPC).

An address may carry a key in its user, password, path and query: no error and no log shows more of it than scheme, host
and port, or the path of a socket.
"""

from __future__ import annotations

import itertools
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from web3.types import RPCResponse

from processor.chain import jsonrpc
from processor.chain.websocket import Channel, Refused
from processor.errors import ChainError
from processor.exchange import (
    ExchangeError,
    GuardedSocket,
    Session,
    Stop,
    connect,
    current,
    exchange,
    never,
    wait_until,
)
from processor.observability import shown

_CHUNK = 2**16
_TRIES = 8  # times the bytes of the largest answer, that are read for its end at most


class Endpoint(Protocol):
    """A node's JSON-RPC interface, for any number of threads. `shown` is what may be shown of its address."""

    shown: str

    def request(self, method: str, params: Any) -> RPCResponse:
        """What the node answers, an error of its own included.

        Raises NoAnswer within some seconds, Interrupted where we are asked to stop.
        """


def endpoint_at(rpc: str, timeout: float, stop: Stop = never) -> Endpoint:
    """The node at an address; `timeout` in seconds bounds every request, whatever the node does, and `stop` ends it.
    Nothing is asked yet.

    Raises ChainError where that is no address.
    """
    scheme = _scheme(rpc)
    if scheme in ("http", "https"):
        return HttpEndpoint(rpc, timeout, stop)
    if scheme in ("ws", "wss"):
        return WebSocketEndpoint(rpc, timeout, stop)
    if rpc.endswith(".ipc") and "://" not in rpc:
        return IpcEndpoint(rpc, timeout, stop)
    raise ChainError(
        "the node's address must be http://HOST:PORT or https://HOST, ws://HOST:PORT or wss://HOST, or the path of a "
        "socket that ends in .ipc; for example http://127.0.0.1:8545"
    )


def is_websocket(rpc: str) -> bool:
    """Whether a node tells news by itself at this address."""
    return _scheme(rpc) in ("ws", "wss")


class _Bounded:
    """What the three have in common: a question is one exchange."""

    def __init__(self, name: str, timeout: float, stop: Stop) -> None:
        self.shown = name
        self._timeout = timeout
        self._stop = stop
        self._ids = itertools.count()

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        try:
            with exchange(self._timeout, jsonrpc.LARGEST_ANSWER + jsonrpc.AROUND, self._stop):
                yield
        except ExchangeError as error:
            raise jsonrpc.trouble(error, self.shown, self._timeout) from None


class HttpEndpoint(_Bounded):
    """Keeps its connections. The node's redirects are followed by nobody: it could be anybody's address."""

    def __init__(self, rpc: str, timeout: float, stop: Stop = never) -> None:
        super().__init__(shown(rpc), timeout, stop)
        self._rpc = rpc
        self._session = Session(cookies=True)  # by which a load balancer knows to which node it sent us before
        self._session.headers.update(
            {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "koinon"}
        )

    def request(self, method: str, params: Any) -> RPCResponse:
        id = next(self._ids)
        body = jsonrpc.encode(id, method, params)
        with self._exchange(), self._session.post(self._rpc, data=body, stream=True) as response:
            if not 200 <= response.status_code < 300:
                raise jsonrpc.status_refused(self.shown, response.status_code, response.reason or "")
            answer = jsonrpc.decode(self._read(response), self.shown)
        if not jsonrpc.answers_to(id, answer):
            self._session.close()  # whose connections may be one answer behind
            raise jsonrpc.no_node(self.shown)
        return answer

    def _read(self, response: requests.Response) -> bytearray:
        """The answer, no more of it than may be: compressed, much fits into few bytes."""
        answer = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            answer += chunk
            if len(answer) > jsonrpc.LARGEST_ANSWER:
                raise jsonrpc.too_large(self.shown)
        return answer


class _OneAtATime(_Bounded):
    """Keeps one connection, on which one question at a time is asked; a connection that failed is made again."""

    def __init__(self, name: str, timeout: float, stop: Stop) -> None:
        super().__init__(name, timeout, stop)
        self._lock = threading.Lock()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One question on the connection, which is of no use afterwards if anything goes wrong with it."""
        with self._exchange():
            wait_until(lambda seconds: self._lock.acquire(timeout=seconds), current())
            try:
                yield
            except BaseException:
                self._drop()
                raise
            finally:
                self._lock.release()

    def _drop(self) -> None:
        raise NotImplementedError


class WebSocketEndpoint(_OneAtATime):
    def __init__(self, rpc: str, timeout: float, stop: Stop = never) -> None:
        super().__init__(shown(rpc), timeout, stop)
        self._rpc = rpc
        self._channel: Channel | None = None

    def request(self, method: str, params: Any) -> RPCResponse:
        id = next(self._ids)
        with self._turn():
            channel = self._connected()
            channel.send(jsonrpc.encode(id, method, params))
            while True:
                answer = jsonrpc.decode(channel.receive(), self.shown)
                if jsonrpc.answers_to(id, answer):
                    return answer

    def _connected(self) -> Channel:
        if self._channel is not None and not self._channel.open:
            self._drop()
        if self._channel is None:
            try:
                self._channel = Channel(self._rpc, jsonrpc.LARGEST_ANSWER)
            except Refused as refused:
                raise jsonrpc.status_refused(self.shown, refused.status) from None
        return self._channel

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


class IpcEndpoint(_OneAtATime):
    def __init__(self, path: str, timeout: float, stop: Stop = never) -> None:
        super().__init__(path, timeout, stop)
        try:
            self._path = str(Path(path).expanduser())
        except RuntimeError:
            raise ChainError(f"{path} begins with the home of somebody who has none here: write the path out") from None
        self._socket: GuardedSocket | None = None

    def request(self, method: str, params: Any) -> RPCResponse:
        id = next(self._ids)
        with self._turn():
            connected = self._connected()
            connected.sendall(jsonrpc.encode(id, method, params) + b"\n")
            for answer in self._answers(connected):
                if jsonrpc.answers_to(id, answer):
                    return answer
            raise ConnectionError("the connection was closed")

    def _connected(self) -> GuardedSocket:
        if self._socket is not None and self._socket.is_ready(
            select.POLLIN, 0
        ):  # it ended, or sent what nobody waits for
            self._drop()
        if self._socket is None:
            self._socket = connect(self._path, 0, "unix")
        return self._socket

    def _answers(self, connected: GuardedSocket) -> Iterator[RPCResponse]:
        """Answers as they come. Some nodes end each with a new line, others put them one after the other."""
        waiting, tried = bytearray(), 0
        while chunk := connected.recv(_CHUNK):
            waiting += chunk
            if len(waiting) > jsonrpc.LARGEST_ANSWER:
                raise jsonrpc.too_large(self.shown)
            if chunk.rstrip()[-1:] not in (b"}", b"]"):  # an answer cannot end here
                continue
            tried += len(waiting)
            if tried > _TRIES * jsonrpc.LARGEST_ANSWER:
                raise jsonrpc.no_node(self.shown)
            try:
                answers = list(jsonrpc.decode_several(waiting, self.shown))
            except ValueError:
                continue
            waiting.clear()
            yield from answers

    def _drop(self) -> None:
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()


def _scheme(rpc: str) -> str:
    """The scheme of an address that names a host; empty for all else."""
    try:
        url = urlsplit(rpc)
        return url.scheme if url.hostname and url.port != 0 else ""
    except ValueError:
        return ""
