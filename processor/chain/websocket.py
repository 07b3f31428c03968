"""A WebSocket connection whose every byte is within the limits of an exchange, from the name's look-up on.

The protocol is that of the `websockets` package; the reading and writing is ours: in the caller's thread, on a guarded
socket, so that nothing is read that nobody waits for.
"""

from __future__ import annotations

import base64
import logging
import select
import ssl
from collections import deque
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import get_environ_proxies, select_proxy
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, PayloadTooBig, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from processor.exchange import ExchangeError, GuardedSocket, GuardedTls, Reason, connect, guarded_tls, is_this_machine

_CHUNK = 2**14  # bytes: of frames that are empty, still thousands
_HEAD = 2**13  # bytes of a proxy's answer
_SILENT = logging.Logger("websockets")  # the package's own logs the headers, with user and password
_SILENT.disabled = True


class Refused(Exception):
    """The server answered with another HTTP status than one that opens a connection."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class Channel:
    """A connection for one thread at a time. Messages are never compressed, so that a small one stays small.

    Everything raises ExchangeError within the limits of the exchange that it is used in; after any error the
    connection is of no use, and to be closed.
    """

    def __init__(self, address: str, largest: int) -> None:
        """Connects to ws:// or wss://, through the proxy that the environment names, if it names one; a message has at
        most `largest` bytes. Raises Refused where there is a server that does not want to."""
        try:
            uri = parse_uri(address)
        except WebSocketException:
            raise ExchangeError(Reason.UNREACHABLE, "its address is none of a WebSocket") from None
        self._protocol = ClientProtocol(uri, max_size=largest, logger=_SILENT)
        self._frames: deque[Frame] = deque()
        self._message = bytearray()
        self._socket = _opened(uri)
        try:
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    @property
    def open(self) -> bool:
        """Whether the other side still listens; what it sent in the meantime is read, and left out."""
        try:
            while self._protocol.state is State.OPEN and self._socket.is_ready(select.POLLIN, 0):
                self._read()
                self._frames.clear()
                self._message.clear()
        except ExchangeError as error:
            if error.reason in (Reason.LATE, Reason.STOPPED):
                raise
            return False
        except OSError:
            return False
        return self._protocol.state is State.OPEN

    def send(self, message: bytes) -> None:
        """Sends a text, given as UTF-8."""
        self._protocol.send_text(message)
        self._flush()

    def receive(self) -> bytes:
        """The next message. After an error for want of time, what came of it is kept for the next call."""
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    self._message += frame.data
                    if frame.fin:
                        message = bytes(self._message)
                        self._message.clear()
                        return message
            if self._protocol.state is not State.OPEN:
                raise ExchangeError(Reason.BROKEN, "the connection was closed")
            self._read()

    def close(self) -> None:
        """Ends the connection, without a word."""
        self._socket.close()

    def _shake_hands(self) -> None:
        request = self._protocol.connect()
        request.headers["User-Agent"] = "koinon"
        self._protocol.send_request(request)
        self._flush()
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            self._read()
        failed = self._protocol.handshake_exc
        if isinstance(failed, InvalidStatus):
            raise Refused(failed.response.status_code)
        if failed is not None:
            raise ExchangeError(Reason.BROKEN, "it does not open a WebSocket")

    def _read(self) -> None:
        """Reads what there is, and answers what the protocol answers by itself."""
        data = self._socket.recv(_CHUNK)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._frames += [event for event in self._protocol.events_received() if isinstance(event, Frame)]
        broken = self._protocol.parser_exc
        if isinstance(broken, PayloadTooBig):
            raise ExchangeError(Reason.TOO_MUCH, "a message is larger than may be")
        if broken is not None:
            raise ExchangeError(Reason.BROKEN, "the connection was closed")
        if data:
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(b"".join(self._protocol.data_to_send()))


def _opened(uri: WebSocketURI) -> GuardedSocket | GuardedTls:
    proxy = _proxy_of(uri)
    made = connect(uri.host, uri.port) if proxy is None else _through(proxy, uri)
    if not uri.secure:
        return made
    try:
        context = guarded_tls(ssl.create_default_context())
        return context.wrap_socket(made, server_hostname=uri.host)  # type: ignore[return-value]
    except (ssl.SSLError, ssl.CertificateError, OSError, ValueError):
        made.close()
        raise ExchangeError(Reason.UNREACHABLE, "it does not identify itself as TLS asks") from None
    except BaseException:
        made.close()
        raise


# ------------------------------------------------------------------------------------------------------------- proxies


def _proxy_of(uri: WebSocketURI) -> SplitResult | None:
    """The proxy that HTTP requests to the same host would take."""
    if is_this_machine(uri.host):
        return None
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    alike = f"{'https' if uri.secure else 'http'}://{host}:{uri.port}/"
    named = select_proxy(alike, get_environ_proxies(alike, no_proxy=None))
    if named is None:
        return None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        if proxy.scheme == "http" and proxy.hostname and (proxy.port or 1) > 0:
            return proxy
    except ValueError:
        pass
    raise ExchangeError(Reason.UNREACHABLE, "the environment names a proxy that is not like http://HOST:PORT")


def _through(proxy: SplitResult, uri: WebSocketURI) -> GuardedSocket:
    """A connection that a proxy makes for us."""
    made = connect(str(proxy.hostname), proxy.port or 80, to_proxy=True)
    try:
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        lines = [f"CONNECT {host}:{uri.port} HTTP/1.1", f"Host: {host}:{uri.port}", "User-Agent: koinon"]
        if proxy.username is not None:
            user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
        made.sendall("\r\n".join([*lines, "", ""]).encode())
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):  # one by one: what comes behind is no longer the proxy's
            head += made.recv(1) or b"\r\n\r\n"
            if len(head) > _HEAD:
                raise ExchangeError(Reason.TOO_MUCH, "the proxy that the environment names says too much")
        status = bytes(head[:12]).split(b" ")
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].startswith(b"2"):
            raise ExchangeError(Reason.UNREACHABLE, "the proxy that the environment names does not lead there")
        return made
    except BaseException:
        made.close()
        raise
