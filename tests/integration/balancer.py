"""What is in front of nodes: it gives receipts late, answers for a node that is behind, or refuses in its own words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from web3.middleware import Web3Middleware
from web3.types import RPCEndpoint, RPCResponse

Answer = dict[str, Any]
Change = Callable[[str, list[Any], Answer], Answer]
"""Makes of a node's answer to a method and its parameters what the balancer answers."""

BY_HASH = ("eth_getTransactionReceipt", "eth_getTransactionByHash")


@contextmanager
def balanced(node: str, change: Change) -> Iterator[str]:
    """Yields the address at which the node at `node` is asked, and its answers changed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(asked)
            answer = requests.post(node, data=asked, headers={"Content-Type": "application/json"}, timeout=30).json()
            body = json.dumps(change(request["method"], request["params"], answer)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def receipts_late(seconds: float) -> Change:
    """What there is of a transaction is shown so long after it was first asked for."""
    first: dict[str, float] = {}

    def change(method: str, params: list[Any], answer: Answer) -> Answer:
        if method not in BY_HASH or answer.get("result") is None:
            return answer
        late = time.monotonic() < first.setdefault(params[0], time.monotonic()) + seconds
        return {**answer, "result": None} if late else answer

    return change


class OneBehind(Web3Middleware):
    """Every second time, the latest block is that of a node which is one behind."""

    def wrap_make_request(self, make_request: Callable[[RPCEndpoint, Any], RPCResponse]) -> Any:
        asked = 0

        def middleware(method: RPCEndpoint, params: Any) -> RPCResponse:
            nonlocal asked
            answer = make_request(method, params)
            if method == "eth_getBlockByNumber" and params[0] == "latest":
                asked += 1
                if asked % 2 == 0:
                    return make_request(method, [hex(int(answer["result"]["number"], 16) - 1), *params[1:]])
            return answer

        return middleware


class ShowsLate(Web3Middleware):
    """Shows what there is of a transaction at the fourth look: what was mined is in no block before."""

    looks = 3

    def wrap_make_request(self, make_request: Callable[[RPCEndpoint, Any], RPCResponse]) -> Any:
        seen: dict[str, int] = {}

        def middleware(method: RPCEndpoint, params: Any) -> RPCResponse:
            answer = make_request(method, params)
            if method not in BY_HASH or answer.get("result") is None:
                return answer
            key = f"{method} {params[0]}"
            seen[key] = seen.get(key, 0) + 1
            return answer if seen[key] > self.looks else {**answer, "result": None}

        return middleware
