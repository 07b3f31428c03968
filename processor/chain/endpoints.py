"""One Ethereum node behind one address: HTTP, WebSocket, or the socket of a node on this machine (IPC).

An address may carry a key in its user, password, path and query: no error and no log shows more of it than scheme, host
and port, or the path of a socket.
"""

from __future__ import annotations

import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as ReadTimeout
from web3._utils.encoding import FriendlyJsonSerde, Web3JsonEncoder
from web3.types import RPCResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from processor.errors import ChainError
from processor.observability import shown

LARGEST_ANSWER = 64 * 2**20
"""Bytes: the logs of many blocks are long, and no node can fill the memory."""

_CHUNK = 2**16
_BUSY = (429, 500, 502, 503, 504)  # HTTP statuses of a node that works, but not now
_LOCAL = ("localhost", "127.0.0.1", "::1")
_CLOSING = 1.0  # seconds that a connection may take to end

logging.getLogger("urllib3").setLevel(logging.INFO)  # below that it logs the path of every request
_SILENT = logging.Logger("websockets")  # the package's own logs the headers, with user and password
_SILENT.disabled = True


class NoAnswer(ChainError):
    """The node was not reached, or what it said is no answer.

    `busy` where the same may work in a moment, `too_much` where it may work for a question with a shorter answer.
    """

    def __init__(self, message: str, *, busy: bool = False, too_much: bool = False) -> None:
        super().__init__(message)
        self.busy = busy
        self.too_much = too_much


class Endpoint(Protocol):
    """A node's JSON-RPC interface, for any number of threads. `shown` is what may be shown of its address."""

    shown: str

    def request(self, method: str, params: Any) -> RPCResponse:
        """What the node answers, an error of its own included. Raises NoAnswer within some seconds."""


def endpoint_at(rpc: str, timeout: float) -> Endpoint:
    """The node at an address; `timeout` in seconds bounds every request. Nothing is asked yet.

    Raises ChainError where that is no address.
    """
    scheme = _scheme(rpc)
    if scheme in ("http", "https"):
        return HttpEndpoint(rpc, timeout)
    if scheme in ("ws", "wss"):
        return WebSocketEndpoint(rpc, timeout)
    if rpc.endswith(".ipc") and "://" not in rpc:
        return IpcEndpoint(rpc, timeout)
    raise ChainError(
        "the node's address must be http://HOST:PORT or https://HOST, ws://HOST:PORT or wss://HOST, or the path of a "
        "socket that ends in .ipc; for example http://127.0.0.1:8545"
    )


def is_websocket(rpc: str) -> bool:
    """Whether a node tells news by itself at this address."""
    return _scheme(rpc) in ("ws", "wss")


class HttpEndpoint:
    def __init__(self, rpc: str, timeout: float) -> None:
        self.shown = shown(rpc)
        self._rpc = rpc
        self._timeout = timeout
        self._ids = itertools.count()
        self._session = requests.Session()
        self._session.trust_env = not _is_local(rpc)  # no proxy leads back here

    def request(self, method: str, params: Any) -> RPCResponse:
        body = _encode(next(self._ids), method, params)
        deadline = time.monotonic() + self._timeout
        try:
            with self._session.post(
                self._rpc,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
                stream=True,
            ) as response:
                if response.status_code >= 400:
                    raise NoAnswer(
                        f"the Ethereum node at {self.shown} answered with HTTP status {response.status_code} "
                        f"({response.reason}): check the address and the access it needs",
                        busy=response.status_code in _BUSY,
                    )
                answer = self._read(response, deadline)
        except (requests.Timeout, ReadTimeout, TimeoutError):
            raise _late(self.shown, self._timeout) from None
        except (requests.RequestException, HTTPError, OSError, ValueError):
            raise _unreachable(self.shown) from None
        return _decode(answer, self.shown)

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """Reads what there is, piece by piece: an answer that trickles in does not outlast the time allowed."""
        answer = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            answer += chunk
            if len(answer) > LARGEST_ANSWER:
                raise _too_large(self.shown)
            if time.monotonic() > deadline:
                raise TimeoutError
        return bytes(answer)


class WebSocketEndpoint:
    """Keeps one connection, on which one question at a time is asked; a connection that failed is made again."""

    def __init__(self, rpc: str, timeout: float) -> None:
        self.shown = shown(rpc)
        self._rpc = rpc
        self._timeout = timeout
        self._ids = itertools.count()
        self._turn = threading.Lock()
        self._connection: ClientConnection | None = None

    def request(self, method: str, params: Any) -> RPCResponse:
        id = next(self._ids)
        body = _encode(id, method, params)
        deadline = time.monotonic() + self._timeout
        with _turn(self._turn, self.shown, self._timeout):
            try:
                connection = self._connected(deadline)
                connection.send(body.decode())
                while True:
                    answer = _decode(connection.recv(_left(deadline)), self.shown)
                    if _answers_to(id, answer):
                        return answer
            except BaseException as error:
                self._drop()
                raise _websocket_error(error, self.shown, self._timeout) from None

    def _connected(self, deadline: float) -> ClientConnection:
        if self._connection is None or self._connection.protocol.state is not State.OPEN:
            self._drop()
            self._connection = open_websocket(self._rpc, _left(deadline))
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close_socket()


def open_websocket(rpc: str, timeout: float) -> ClientConnection:
    """A connection whose messages are never compressed, so that a small one stays small, and of bounded size."""
    return connect(
        rpc,
        compression=None,
        proxy=None if _is_local(rpc) else True,
        open_timeout=timeout,
        close_timeout=_CLOSING,
        max_size=LARGEST_ANSWER,
        logger=_SILENT,
    )


class IpcEndpoint:
    """Keeps one connection to a node's socket, on which one question at a time is asked."""

    def __init__(self, path: str, timeout: float) -> None:
        self.shown = path
        self._path = str(Path(path).expanduser())
        self._timeout = timeout
        self._ids = itertools.count()
        self._turn = threading.Lock()
        self._socket: socket.socket | None = None

    def request(self, method: str, params: Any) -> RPCResponse:
        id = next(self._ids)
        body = _encode(id, method, params)
        deadline = time.monotonic() + self._timeout
        with _turn(self._turn, self.shown, self._timeout):
            try:
                connected = self._connected(deadline)
                connected.sendall(body + b"\n")
                for answer in self._answers(connected, deadline):
                    if _answers_to(id, answer):
                        return answer
                raise ConnectionError
            except BaseException as error:
                self._drop()
                if isinstance(error, TimeoutError):
                    raise _late(self.shown, self._timeout) from None
                if isinstance(error, OSError):
                    raise _unreachable(self.shown) from None
                raise

    def _connected(self, deadline: float) -> socket.socket:
        if self._socket is not None and _ended(self._socket):
            self._drop()
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(_left(deadline))
            self._socket.connect(self._path)
        self._socket.settimeout(_left(deadline))
        return self._socket

    def _answers(self, connected: socket.socket, deadline: float) -> Iterator[RPCResponse]:
        """Answers as they come. Some nodes end each with a new line, others put them one after the other."""
        waiting = bytearray()
        while True:
            connected.settimeout(_left(deadline))
            chunk = connected.recv(_CHUNK)
            if not chunk:
                return
            waiting += chunk
            if len(waiting) > LARGEST_ANSWER:
                raise _too_large(self.shown)
            if chunk.rstrip()[-1:] not in (b"}", b"]"):  # an answer cannot end here
                continue
            try:
                documents = list(_documents(waiting.decode()))
            except ValueError:
                continue
            except RecursionError:
                raise no_node(self.shown) from None
            waiting.clear()
            yield from (_checked(document, self.shown) for document in documents)

    def _drop(self) -> None:
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()


@contextmanager
def _turn(lock: threading.Lock, name: str, timeout: float) -> Iterator[None]:
    if not lock.acquire(timeout=timeout):
        raise _late(name, timeout)
    try:
        yield
    finally:
        lock.release()


def _documents(text: str) -> Iterator[Any]:
    """The JSON documents in a text. Raises ValueError where the last is not complete."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:].lstrip()


def _ended(connected: socket.socket) -> bool:
    """Whether the other side closed the connection, or sent what nobody waits for."""
    connected.setblocking(False)
    try:
        connected.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _scheme(rpc: str) -> str:
    """The scheme of an address that names a host; empty for all else."""
    try:
        url = urlsplit(rpc)
        return url.scheme if url.hostname and url.port != 0 else ""
    except ValueError:
        return ""


def _is_local(rpc: str) -> bool:
    return urlsplit(rpc).hostname in _LOCAL


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _encode(id: int, method: str, params: Any) -> bytes:
    request = {"jsonrpc": "2.0", "method": method, "params": params or [], "id": id}
    return FriendlyJsonSerde().json_encode(request, Web3JsonEncoder).encode()


def _decode(answer: bytes | str, name: str) -> RPCResponse:
    try:
        return _checked(json.loads(answer), name)
    except (ValueError, RecursionError):
        raise no_node(name) from None


def _checked(answer: Any, name: str) -> RPCResponse:
    if not isinstance(answer, dict) or answer.get("jsonrpc") != "2.0":
        raise no_node(name)
    if answer.get("error") is None:
        answer.pop("error", None)  # some nodes name an error that there is not
    elif not isinstance(answer["error"], dict):
        raise no_node(name)
    return answer  # type: ignore[return-value]


def _answers_to(id: int, answer: RPCResponse) -> bool:
    """Whether an answer is that to the request `id`: not one that came too late for its own, nor news. A node that
    cannot read a request refuses it without its id."""
    return answer.get("id") == id or (answer.get("id") is None and "error" in answer)


def _websocket_error(error: BaseException, name: str, timeout: float) -> BaseException:
    if isinstance(error, ConnectionClosed) and error.sent is not None and error.sent.code == 1009:
        return _too_large(name)
    if isinstance(error, InvalidStatus):
        return NoAnswer(
            f"the Ethereum node at {name} answered with HTTP status {error.response.status_code}: check the address "
            "and the access it needs",
            busy=error.response.status_code in _BUSY,
        )
    if isinstance(error, TimeoutError):
        return _late(name, timeout)
    if isinstance(error, WebSocketException | OSError | EOFError | ValueError):
        return _unreachable(name)
    return error


def no_node(name: str) -> NoAnswer:
    """What is at an address speaks another language."""
    return NoAnswer(
        f"{name} answers, but not as an Ethereum node does: give the address of a node's JSON-RPC interface"
    )


def _unreachable(name: str) -> NoAnswer:
    return NoAnswer(f"cannot reach an Ethereum node at {name}: check that it runs and that the address is right")


def _late(name: str, timeout: float) -> NoAnswer:
    return NoAnswer(
        f"the Ethereum node at {name} did not answer within {timeout:g} s: "
        "check that it runs and that the address is right",
        too_much=True,
    )


def _too_large(name: str) -> NoAnswer:
    return NoAnswer(
        f"the Ethereum node at {name} answered with more than {LARGEST_ANSWER} bytes: ask for less at a time",
        too_much=True,
    )
