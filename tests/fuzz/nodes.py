"""An Ethereum node by HTTP, WebSocket and IPC as what is played to, and a relay that something is handed to."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import structlog
from eth_account import Account
from websockets.utils import accept_key

from processor.chain.blocks import latest_block
from processor.chain.endpoints import endpoint_at
from processor.chain.jsonrpc import AROUND, LARGEST_ANSWER
from processor.chain.provider import connect
from processor.chain.signed import sign_registration
from processor.daemons.handover import HEAD, Handover
from processor.errors import ChainError, Interrupted
from processor.protocol.receipts import RECEIPT_LIMIT, Receipt, sign_receipt
from processor.protocol.relaying import HandedRegistration
from processor.types import Block
from tests.fuzz import frames
from tests.fuzz.http_answers import json_bodies, sized
from tests.fuzz.play import Play, Stop
from tests.fuzz.server import Answer, Dribble, Endless, Reset, Server, Silence, answer

ERRORS = (ChainError, Interrupted)
BUDGET = LARGEST_ANSWER + AROUND

CHAIN = b'{"jsonrpc": "2.0", "id": 0, "result": "0x1"}'
_BLOCK: dict[str, object] = {
    "number": "0x10",
    "hash": "0x" + "ab" * 32,
    "parentHash": "0x" + "cd" * 32,
    "timestamp": "0x66000000",
    "baseFeePerGas": "0x7",
    "gasLimit": "0x1c9c380",
    "gasUsed": "0x0",
    "difficulty": "0x0",
    "totalDifficulty": "0x0",
    "extraData": "0x",
    "miner": "0x" + "11" * 20,
    "nonce": "0x0000000000000000",
    "sha3Uncles": "0x" + "22" * 32,
    "logsBloom": "0x" + "00" * 256,
    "transactionsRoot": "0x" + "33" * 32,
    "stateRoot": "0x" + "44" * 32,
    "receiptsRoot": "0x" + "55" * 32,
    "size": "0x200",
    "transactions": [],
    "uncles": [],
}
BLOCK = json.dumps({"jsonrpc": "2.0", "id": 1, "result": _BLOCK}).encode()


def blocks() -> dict[str, Answer]:
    """Blocks of which something is of another kind, or missing."""
    values: tuple[object, ...] = (
        None,
        True,
        -1,
        1.5,
        "",
        "0x",
        "x",
        "0x" + "f" * 5_000,
        "٣",
        [],
        {},
        [[[]]],
        {"a": {"b": []}},
        [None],
        "0x-1",
    )
    bodies = [
        ({**_BLOCK, name: value}, f"block, {name} of kind {number}")
        for name in _BLOCK
        for number, value in enumerate(values)
    ]
    bodies += [({key: value for key, value in _BLOCK.items() if key != name}, f"block, no {name}") for name in _BLOCK]
    bodies.append(({**_BLOCK, "withdrawals": [{"index": {}}], "transactions": [{"from": 1}] * 9}, "block, with more"))
    return {
        name: answer(sized(json.dumps({"jsonrpc": "2.0", "id": 1, "result": block}).encode())) for block, name in bodies
    }


class WebSocketServer(Server):
    """Opens a WebSocket as it should be; from there on every question is answered by steps."""

    def _one(self, connection: socket.socket) -> bool:
        came = b""
        while b"\r\n\r\n" not in came:
            piece = connection.recv(1 << 16)
            if not piece:
                return False
            came += piece
            if not came.startswith(b"GET "):  # a question on a connection that is open
                return self._answer(connection)
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", came)
        accept = accept_key(key[1].decode()) if key else ""
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        connection.sendall(f"{head}{accept}\r\n\r\n".encode())
        return True

    def _answer(self, connection: socket.socket) -> bool:
        told = self.answers("")
        connection.settimeout(None)
        for step in told.steps:
            self._play(connection, step)
        return told.stay


class IpcServer(Server):
    """Listens on a Unix socket instead, whose name has the server's number in the place of a port."""

    @contextmanager
    def running(self) -> Iterator[Self]:
        self.port = id(self)
        path = socket_of(self.port)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(16)
            with self._accepting(listener):
                yield self
        path.unlink()

    def _one(self, connection: socket.socket) -> bool:
        if not connection.recv(1 << 16):
            return False
        told = self.answers("")
        connection.settimeout(None)
        for step in told.steps:
            self._play(connection, step)
        return told.stay


def socket_of(number: int) -> Path:
    return Path(tempfile.gettempdir()) / f"koinon-fuzz-{os.getpid()}-{number}.ipc"


def _endpoint(address: Callable[[int], str]) -> Callable[[int, float, Stop], object]:
    return lambda port, seconds, stop: endpoint_at(address(port), seconds, stop).request("eth_chainId", [])


def _latest(port: int, seconds: float, stop: Stop) -> object:
    return latest_block(connect(f"http://127.0.0.1:{port}", seconds, stop=stop))


def _is_an_answer(taken: object) -> bool:
    """What a node says of the chain is its word: that it speaks JSON-RPC is all that can be seen of one answer."""
    return isinstance(taken, dict) and taken.get("jsonrpc") == "2.0"


def _is_a_block(taken: object) -> bool:
    return isinstance(taken, Block) and taken.number >= 0 and taken.timestamp >= 0 and len(taken.hash) == 66


def _websocket(port: int) -> str:
    return f"ws://127.0.0.1:{port}"


HTTP_NODE: list[tuple[Play, bytes]] = [
    (Play("node", (), _endpoint(lambda port: f"http://127.0.0.1:{port}"), _is_an_answer, ERRORS, BUDGET), CHAIN),
    (Play("block", (answer(sized(CHAIN), stay=True),), _latest, _is_a_block, ERRORS, 3 * BUDGET), BLOCK),
]
OPENING = Play("websocket opening", (), _endpoint(_websocket), lambda taken: False, ERRORS, BUDGET)
WEBSOCKET = Play("websocket", (), _endpoint(_websocket), _is_an_answer, ERRORS, BUDGET, WebSocketServer)
IPC = Play("socket", (), _endpoint(lambda port: str(socket_of(port))), _is_an_answer, ERRORS, BUDGET, IpcServer)


def messages() -> dict[str, Answer]:
    """Frames that are wrong, and frames that are right around messages of other shapes."""
    shapes = {f"message, {name}": answer(frames.frame(body)) for name, body in json_bodies(json.loads(CHAIN)).items()}
    return frames.framed(CHAIN) | shapes


def lines() -> dict[str, Answer]:
    """What may come by a Unix socket."""
    good = CHAIN + b"\n"
    shapes = {f"line, {name}": answer(body + b"\n") for name, body in json_bodies(json.loads(CHAIN)).items()}
    cuts = {f"reset after {cut}": answer(good[:cut], Reset()) for cut in range(0, len(good), 10)}
    return (
        shapes
        | cuts
        | {
            "a dribbled line": answer(Dribble(good)),
            "good": answer(good),
            "good and endless": answer(good, Endless(good)),
            "good and reset": answer(good, Reset()),
            "without an end": answer(CHAIN, Silence()),
            "cut": answer(good[:20]),
            "cut and reset": answer(good[:20], Reset()),
            "cut and silent": answer(good[:20], Silence()),
            "nothing": answer(Silence()),
            "endless spaces": answer(Endless(b" " * 4_096)),
            "endless brackets": answer(b'{"result":', Endless(b"[" * 4_096)),
            "endless objects": answer(b'{"result":[', Endless(b"{}," * 1_000 + b"{}")),
            "endless ends": answer(Endless(b"}" * 4_096)),
            "endless answers of others": answer(Endless(b'{"jsonrpc": "2.0", "id": 7, "result": 1}\n' * 100)),
            "answers of others now and then": answer(Endless(b'{"jsonrpc": "2.0", "id": 7, "result": 1}\n', 0.02)),
        }
    )


def random_line(seed: int, body: bytes) -> Answer:
    """The bytes of a seed around a good line."""
    chance = random.Random(seed)
    raw = bytearray(body * chance.choice((1, 1, 2, 5)) + b"\n")
    for _ in range(chance.choice((0, 1, 3, 30))):
        raw[chance.randrange(len(raw))] = chance.choice((chance.randrange(256), *b'{}[]",:0'))
    last = chance.choice(((), (Silence(),), (Reset(),), (Endless(chance.randbytes(3) + b"}"),)))
    return answer(bytes(raw), *last, stay=chance.random() < 0.3)


# --------------------------------------------------------------------------------------------------------------- relay

_CLIENT, _RELAY = (Account.from_key(bytes(31) + bytes([number])) for number in (1, 2))
_FEDERATION = "0x000000000000000000000000000000000000dEaD"
_HANDED = HandedRegistration(
    chain_id=1,
    federation=_FEDERATION,
    client=_CLIENT.address,
    round=1,
    deadline=2_000_000_000,
    signature=sign_registration(_CLIENT, 1, _FEDERATION, 1, 2_000_000_000).hex(),
    voucher=None,
)
RECEIPT = sign_receipt(_RELAY, 1_700_000_000, _HANDED).encode()


def _hand_over(port: int, seconds: float, stop: Stop) -> object:
    with tempfile.TemporaryDirectory() as folder:
        relays = (f"http://127.0.0.1:{port}",)
        log = structlog.get_logger()
        handover = Handover(_CLIENT, 1, _FEDERATION, Path(folder), relays, log, silence=seconds, stop=stop)
        return handover.hand_over_call(_HANDED)


def _is_the_receipt(taken: object) -> bool:
    return taken is None or (isinstance(taken, Receipt) and taken.valid and taken.taken == _HANDED)


RELAY: list[tuple[Play, bytes]] = [
    (Play("relay", (), _hand_over, _is_the_receipt, (Interrupted,), RECEIPT_LIMIT + HEAD), RECEIPT)
]
