"""The IPFS storage against nodes that are wrong: none there, silent, dribbling, lying, or no IPFS node at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from processor.cid import cid_of
from processor.errors import (
    ArtifactError,
    ArtifactTooLarge,
    ArtifactUnavailable,
    ConfigurationError,
    IntegrityError,
    StorageError,
)
from processor.storage import IpfsStorage, get_bytes, ipfs, put_bytes

DATA = b"model" * 1000
CID = cid_of(DATA)

Answer = Callable[[BaseHTTPRequestHandler], None]
Node = Callable[[dict[str, Answer]], IpfsStorage]


@pytest.fixture
def node() -> Iterator[Node]:
    """Starts a pretended node from its answers by API path; reading times out after a fifth of a second."""
    servers: list[ThreadingHTTPServer] = []
    released = threading.Event()

    def start(answers: dict[str, Answer]) -> IpfsStorage:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                while self.headers.get("Transfer-Encoding") and (size := int(self.rfile.readline(), 16)):
                    self.rfile.read(size + 2)
                answer = answers.get(self.path.split("?")[0].removeprefix("/api/v0/"))
                if answer is None:
                    released.wait()
                else:
                    answer(self)

            def end_headers(self) -> None:
                self.send_header("Connection", "close")
                super().end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return IpfsStorage(f"/ip4/127.0.0.1/tcp/{server.server_port}", timeout=0.2)

    yield start
    released.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def says(body: object, status: int = 200, announced: int | None = None) -> Answer:
    """An answer of JSON, or of raw bytes; it may announce more bytes than it then sends."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(raw) if announced is None else announced))
        request.end_headers()
        request.wfile.write(raw)

    return answer


def stat(size: int = len(DATA), kind: str = "file") -> Answer:
    return says({"Hash": CID, "Size": size, "Type": kind})


def test_bytes_that_hash_to_another_cid_are_refused(node: Node, tmp_path: Path) -> None:
    storage = node({"files/stat": stat(), "cat": says(b"M" + DATA[1:])})
    with pytest.raises(IntegrityError, match=CID):
        storage.get(CID, tmp_path / "to" / "copy", limit=len(DATA))
    assert list((tmp_path / "to").iterdir()) == []


def test_a_size_above_the_limit_is_refused_before_the_content_is_asked_for(node: Node) -> None:
    with pytest.raises(ArtifactTooLarge, match="5000 bytes, expected at most 4999"):
        get_bytes(node({"files/stat": stat()}), CID, limit=len(DATA) - 1)


def test_a_node_that_sends_more_than_it_said_is_cut_off(node: Node) -> None:
    storage = node({"files/stat": stat(size=10), "cat": says(DATA)})
    with pytest.raises(ArtifactTooLarge, match="larger"):
        get_bytes(storage, CID, limit=100)


def test_content_that_ends_early_is_unavailable_and_not_forged(node: Node) -> None:
    storage = node({"files/stat": stat(), "cat": says(DATA[:-1])})
    with pytest.raises(ArtifactUnavailable, match="4999 of 5000"):
        get_bytes(storage, CID, limit=len(DATA))


def test_a_connection_that_breaks_midway_is_unavailable(node: Node) -> None:
    storage = node({"files/stat": stat(), "cat": says(DATA[:-1], announced=len(DATA))})
    with pytest.raises(ArtifactUnavailable, match=CID):
        get_bytes(storage, CID, limit=len(DATA))


def test_a_silent_node_is_not_waited_for(node: Node) -> None:
    with pytest.raises(ArtifactUnavailable, match=r"within 0\.2 s"):
        get_bytes(node({}), CID, limit=len(DATA))
    with pytest.raises(ArtifactUnavailable, match=r"within 0\.2 s"):
        get_bytes(node({"files/stat": stat()}), CID, limit=len(DATA))
    with pytest.raises(ArtifactUnavailable, match=r"within 0\.2 s"):
        node({}).pin(CID)


def test_a_dribbling_node_is_not_waited_for(node: Node) -> None:
    def dribble(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        pause = threading.Event()
        try:
            while not pause.wait(0.05):
                request.wfile.write(b"1\r\nm\r\n")
        except OSError:
            return

    storage = node({"files/stat": stat(), "cat": dribble})
    with pytest.raises(ArtifactUnavailable, match="of 5000 bytes"):
        get_bytes(storage, CID, limit=len(DATA))


def test_what_the_node_does_not_find_is_unavailable_in_its_words(node: Node) -> None:
    missing = says({"Message": "ipld: could not find it", "Code": 0, "Type": "error"}, status=500)
    with pytest.raises(ArtifactUnavailable, match="ipld: could not find it"):
        get_bytes(node({"files/stat": missing}), CID, limit=len(DATA))


def test_a_directory_is_no_artifact(node: Node) -> None:
    with pytest.raises(ArtifactError, match="is a directory on IPFS, expected a file"):
        get_bytes(node({"files/stat": stat(kind="directory")}), CID, limit=len(DATA))


def test_a_node_that_gives_another_cid_is_not_believed(node: Node) -> None:
    with pytest.raises(IntegrityError, match=CID):
        put_bytes(node({"add": says({"Name": "artifact", "Hash": cid_of(b"other")})}), DATA)


def test_a_file_may_leave_more_slowly_than_content_comes(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ipfs, "SLOWEST", 10**12)
    path = tmp_path / "file"
    path.write_bytes(DATA * 300)
    cid = cid_of(path.read_bytes())

    def slow(request: BaseHTTPRequestHandler) -> None:
        for _ in range(6):  # longer than the time-out, and never silent for as long
            time.sleep(0.2)
            request.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        says({"Name": "file", "Hash": cid, "Size": "1"})(request)

    storage = node({"add": slow})
    storage.timeout = 1.0
    assert storage.put(path) == cid


def test_an_add_that_the_node_refuses_is_a_storage_error(node: Node) -> None:
    full = says({"Message": "no space left on device", "Code": 0, "Type": "error"}, status=500)
    with pytest.raises(StorageError, match="no space left on device"):
        put_bytes(node({"add": full}), DATA)


@pytest.mark.parametrize("answer", [says(b"<html>hello</html>"), says(b"no", status=404), says({"Size": "many"})])
def test_a_program_that_is_no_ipfs_node_is_a_storage_error(node: Node, answer: Answer) -> None:
    with pytest.raises(StorageError, match="no IPFS node answers at"):
        get_bytes(node({"files/stat": answer}), CID, limit=len(DATA))
    with pytest.raises(StorageError, match="no IPFS node answers at"):
        put_bytes(node({"add": answer}), DATA)


def test_an_address_where_nobody_listens_says_how_to_start_a_node() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        storage = IpfsStorage(f"/ip4/127.0.0.1/tcp/{unused.getsockname()[1]}", timeout=1)
        with pytest.raises(StorageError, match="ipfs daemon.*--ipfs"):
            put_bytes(storage, DATA)
        with pytest.raises(StorageError, match="ipfs daemon.*--ipfs"):
            get_bytes(storage, CID, limit=len(DATA))


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:5001", "127.0.0.1:5001", "/ip4/127.0.0.1", "/tcp/5001"])
def test_what_is_no_node_address_is_a_configuration_error(address: str) -> None:
    with pytest.raises(ConfigurationError, match="/ip4/127.0.0.1/tcp/5001"):
        IpfsStorage(address, timeout=1)
