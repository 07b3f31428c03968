"""The gateway and the IPFS node of a storage as what is played to."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from processor.cid import cid_of
from processor.errors import ArtifactError, Interrupted, StorageError
from processor.storage import GatewayStorage, IpfsStorage
from processor.storage.download import Download, Source, budget, fetch
from processor.storage.gateway import HEAD
from processor.storage.ipfs import ANSWER
from tests.fuzz.http_answers import sized
from tests.fuzz.play import Play, Stop
from tests.fuzz.server import answer

DATA = bytes(range(256)) * 100
CID = cid_of(DATA)
ERRORS = (StorageError, ArtifactError, Interrupted)
HALF = len(DATA) // 2
LIMIT = len(DATA) + 1000

STAT = json.dumps({"Hash": CID, "Size": len(DATA), "CumulativeSize": len(DATA) + 14, "Type": "file"}).encode()
ADDED = json.dumps({"Name": "artifact", "Hash": CID, "Size": str(len(DATA) + 14)}).encode()
PINS = json.dumps({"Pins": [CID]}).encode()


class _Half:
    """A source that breaks off in the middle, so that the next one is asked for the rest."""

    name = "a source that breaks off"

    def supply(self, download: Download) -> None:
        if not download.size:
            download.add(DATA[:HALF])
        raise StorageError("broken off")


def _read(*sources: Source, seconds: float, stop: Stop) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "artifact"
        fetch(sources, CID, path, LIMIT, seconds=seconds, stop=stop)
        return path.read_bytes()


def _gateway(port: int, seconds: float, stop: Stop) -> object:
    return _read(GatewayStorage(f"http://127.0.0.1:{port}", seconds, stop), seconds=seconds, stop=stop)


def _gateway_after_half(port: int, seconds: float, stop: Stop) -> object:
    return _read(_Half(), GatewayStorage(f"http://127.0.0.1:{port}", seconds, stop), seconds=seconds, stop=stop)


def _encrypted_gateway(port: int, seconds: float, stop: Stop) -> object:
    return _read(GatewayStorage(f"https://127.0.0.1:{port}", seconds, stop), seconds=seconds, stop=stop)


def _node(port: int, seconds: float, stop: Stop) -> IpfsStorage:
    return IpfsStorage(f"/ip4/127.0.0.1/tcp/{port}", seconds, stop)


def _node_reads(port: int, seconds: float, stop: Stop) -> object:
    return _read(_node(port, seconds, stop), seconds=seconds, stop=stop)


def _node_adds(port: int, seconds: float, stop: Stop) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "artifact"
        path.write_bytes(DATA)
        return _node(port, seconds, stop).put(path)


def _node_pins(port: int, seconds: float, stop: Stop) -> object:
    _node(port, seconds, stop).pin(CID)
    return None


def _node_unpins(port: int, seconds: float, stop: Stop) -> object:
    _node(port, seconds, stop).unpin(CID)
    return None


def _play(
    name: str, call: Callable[[int, float, Stop], object], right: object, *honest: bytes, most: int = ANSWER
) -> Play:
    answers = tuple(answer(given, stay=True) for given in honest)
    return Play(name, answers, call, lambda taken: taken == right, ERRORS, most)


_CONTENT = 2 * (HEAD + budget(LIMIT))

GATEWAY = [
    (_play("gateway", _gateway, DATA, most=_CONTENT), DATA),
    (_play("gateway after half", _gateway_after_half, DATA, most=_CONTENT), DATA[HALF:]),
]
"""What is played to a gateway, with the body of a good answer."""

ENCRYPTED = _play("gateway by TLS", _encrypted_gateway, DATA, most=_CONTENT)
"""A gateway that should have answered by TLS."""

NODE = [
    (_play("node reads, size", _node_reads, DATA, most=ANSWER + _CONTENT), STAT),
    (_play("node reads, content", _node_reads, DATA, sized(STAT), most=ANSWER + _CONTENT), DATA),
    (_play("node adds", _node_adds, CID), ADDED),
    (_play("node pins", _node_pins, None), PINS),
    (_play("node unpins", _node_unpins, None), PINS),
]
"""What is played to an IPFS node, with the body of a good answer."""
