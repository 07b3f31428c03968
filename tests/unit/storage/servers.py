"""Servers on this machine that pretend to be IPFS nodes and gateways, and fail as such do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from processor.cid import cid_of

CHUNK = 10_000


@dataclass
class Server:
    """Serves `data` under a CID, as a gateway and as a node at once.

    Of its contents, one after the other, no more than the next of `cuts` is sent before the connection breaks. `asked`
    is from which byte on content was asked for. While it is `down` it closes every connection; with a `status` it
    answers nothing else.
    """

    data: bytes
    cid: str
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    sized: bool = True
    status: int | None = None
    location: str = ""
    down: bool = False
    silent: bool = False
    dribbles: bool = False
    gives_cid: str = ""
    asked: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def node(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        server = ThreadingHTTPServer((self.host, 0), _handler(self))
        server.daemon_threads = True
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield self
        finally:
            self.ended.set()
            server.shutdown()
            server.server_close()


def honest(data: bytes) -> Server:
    return Server(data, cid_of(data))


def _handler(told: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            offset = int(self.headers.get("Range", "bytes=0-")[6:-1])
            told.calls.append(self.path)
            told.asked.append(offset)
            if self._refuses():
                return
            if told.location:
                self._answer(302, b"", {"Location": told.location})
            elif self.path != f"/ipfs/{told.cid}":
                self._answer(404, b"no such artifact")
            elif not offset or not told.ranges:
                self._answer(200, told.data, cut=True)
            elif offset >= len(told.data):
                self._answer(416, b"")
            else:
                part = f"bytes {offset}-{len(told.data) - 1}/{len(told.data)}"
                self._answer(206, told.data[offset:], {"Content-Range": part}, cut=True)

        def do_POST(self) -> None:
            while self.headers.get("Transfer-Encoding") and (size := int(self.rfile.readline(), 16)):
                self.rfile.read(size + 2)
            url = urlsplit(self.path)
            call, asked = url.path.removeprefix("/api/v0/"), parse_qs(url.query)
            told.calls.append(call)
            if self._refuses():
                return
            if call == "files/stat":
                self._says({"Hash": told.cid, "Size": len(told.data), "Type": "file"})
            elif call == "cat":
                offset = int(asked.get("offset", ["0"])[0])
                told.asked.append(offset)
                self._stream(told.data[offset:][: int(asked["length"][0])])
            elif call == "add":
                self._says({"Name": "artifact", "Hash": told.gives_cid or told.cid})
            elif call in ("pin/add", "pin/rm"):
                self._says({"Pins": [told.cid]})

        def _refuses(self) -> bool:
            if told.silent:
                told.ended.wait()
            if told.down or told.silent:
                self.close_connection = True
            elif told.status is not None:
                self._answer(told.status, b'{"Message": "out of order", "Code": 0, "Type": "error"}')
            return told.down or told.silent or told.status is not None

        def _says(self, answer: object) -> None:
            self._answer(200, json.dumps(answer).encode())

        def _stream(self, body: bytes) -> None:
            """In chunks, as Kubo sends content."""
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if told.dribbles:
                for byte in body:
                    self.wfile.write(b"1\r\n%c\r\n" % byte)
                    if told.ended.wait(0.05):
                        return
            sent = body[: told.cuts[0]] if told.cuts else body
            for start in range(0, len(sent), CHUNK):
                chunk = sent[start : start + CHUNK]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if told.cuts:
                told.cuts.pop(0)
            else:
                self.wfile.write(b"0\r\n\r\n")

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if told.sized or not cut:
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if cut and told.dribbles:
                for number in range(len(body)):
                    self.wfile.write(body[number : number + 1])
                    if told.ended.wait(0.05):
                        return
            self.wfile.write(body[: told.cuts.pop(0)] if cut and told.cuts else body)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client has gone, as it does when it has had enough
                return

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler
