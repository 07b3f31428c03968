"""What a person sees when the address of the node is wrong: real sockets that answer badly, or not at all."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from processor.chain.provider import connect
from processor.errors import ChainError


@contextmanager
def server(body: bytes, status: int = 200) -> Iterator[str]:
    """An HTTP server that gives the same answer to everything, as its own; yields host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.replace(b'"id": 0', b'"id": %d' % asked["id"]))

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def answer(result: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 0, "result": result}).encode()


@pytest.mark.parametrize(
    "rpc", ["", "127.0.0.1:8545", "localhost", "ftp://127.0.0.1", "http://", "http://host:port", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_with_an_example(rpc: str) -> None:
    with pytest.raises(ChainError, match="must be http://HOST:PORT"):
        connect(rpc)


def test_a_node_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rpc = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ChainError, match=f"cannot reach an Ethereum node at {rpc}"):
            connect(rpc)


def test_a_node_that_does_not_answer_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ChainError, match="did not answer within 0.2 s"):
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"\xff", b"[]", b'{"result": "0x1"}', answer("many")])
def test_something_that_is_no_ethereum_node_is_refused(body: bytes) -> None:
    with server(body) as host, pytest.raises(ChainError):
        connect(f"http://{host}")


def test_a_refused_access_names_the_status() -> None:
    with server(b"", status=403) as host, pytest.raises(ChainError, match="HTTP status 403"):
        connect(f"http://{host}")


def test_another_chain_than_the_expected_is_refused() -> None:
    with server(answer("0x1")) as host:
        assert connect(f"http://{host}", chain_id=1).eth.chain_id == 1
        with pytest.raises(ChainError, match="is on chain 1; chain 31337 was expected"):
            connect(f"http://{host}", chain_id=31337)


def test_credentials_in_an_address_are_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="web3")
    seen = []
    for body, status in ((b"", 401), (b"no json", 200), (answer("0x1"), 200)):
        with server(body, status) as host:
            rpc = f"http://user:secret@{host}/v3/secret?key=secret"
            with pytest.raises(ChainError) as refused:
                connect(rpc, chain_id=2)
            seen += [str(refused.value), repr(refused.value)]
    with server(answer("0x1")) as host:
        web3 = connect(f"http://user:secret@{host}/v3/secret?key=secret")
        seen += [str(web3.provider), repr(web3.provider)]
    with pytest.raises(ChainError) as refused:
        connect("user:secret@node.example:8545")
    seen += [str(refused.value), caplog.text]

    assert all("secret" not in text for text in seen)
