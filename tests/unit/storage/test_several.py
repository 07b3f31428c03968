"""Several sources as one storage: what one cannot give, the next does; what one begins, another ends; and a quorum of
nodes has what is published."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from processor.cid import cid_of
from processor.errors import (
    ArtifactTooLarge,
    ArtifactUnavailable,
    ConfigurationError,
    IntegrityError,
    StorageError,
)
from processor.storage import LocalStorage, SeveralStorage, Storage, get_bytes, open_storage, put_bytes
from processor.storage import cooldown as cooldown_module
from processor.storage import patience as patience_module
from tests.unit.storage.servers import Server, honest

Ask = Callable[..., Storage]

DATA = os.urandom(300_000)
CID = cid_of(DATA)
FORGED = bytes(len(DATA))
LONG = 3_600
"""A time-out, in seconds, that no test outlasts: nothing may wait for it."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "FIRST_PAUSE", 0.01)


@pytest.fixture
def run() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(run: ExitStack, *servers: Server) -> list[Server]:
    return [run.enter_context(server.running()) for server in servers]


def nodes(*servers: Server, quorum: int | None = None, timeout: float = 2) -> Storage:
    return open_storage([server.node for server in servers], quorum=quorum, timeout=timeout)


def gateways(*servers: Server, timeout: float = 2) -> Storage:
    return open_storage(gateways=[server.gateway for server in servers], timeout=timeout, publishing=False)


def read(storage: Storage, limit: int = len(DATA)) -> bytes:
    return get_bytes(storage, CID, limit)


# ------------------------------------------------------------------------------------------------------------- reading


def test_a_node_that_is_down_is_replaced_by_the_next(run: ExitStack) -> None:
    first, second = start(run, Server(DATA, CID, down=True), honest(DATA))
    assert read(nodes(first, second)) == DATA


def test_gateways_are_asked_after_every_node(run: ExitStack) -> None:
    first, second, gateway = start(run, Server(DATA, CID, status=500), Server(DATA, CID, status=500), honest(DATA))
    storage = open_storage([first.node, second.node], gateways=[gateway.gateway], timeout=2)
    assert read(storage) == DATA
    assert (first.calls, second.calls) == (["files/stat"], ["files/stat"])


def test_bad_bytes_are_refused_and_the_next_source_is_asked(run: ExitStack) -> None:
    forger, good = start(run, Server(FORGED, CID), honest(DATA))
    with capture_logs() as logs:
        assert read(gateways(forger, good)) == DATA
    assert [(log["event"], log["source"]) for log in logs] == [("source refused", f"the gateway {forger.gateway}")]


def test_a_source_that_gave_bad_bytes_is_not_asked_again(run: ExitStack) -> None:
    forger, other = start(run, Server(FORGED, CID), Server(DATA, CID, status=503))
    with pytest.raises(ArtifactUnavailable, match="damaged or forged.*503"):
        read(gateways(forger, other))
    assert len(forger.calls) == 1
    assert len(other.calls) == patience_module.ATTEMPTS


def test_a_beginning_that_is_forged_does_not_spoil_what_another_sends(run: ExitStack) -> None:
    forger, good = start(run, Server(FORGED, CID, cuts=[100_000]), honest(DATA))
    assert read(gateways(forger, good)) == DATA
    assert good.asked == [100_000, 0]


def test_a_forged_beginning_longer_than_the_artifact_does_not_spoil_it_either(run: ExitStack) -> None:
    for ask in (gateways, nodes):
        forger, good = start(run, Server(FORGED * 2, CID, cuts=[len(DATA) + 5]), honest(DATA))
        assert read(ask(forger, good), limit=2 * len(DATA)) == DATA


@pytest.mark.parametrize("ask", [gateways, nodes])
def test_a_transfer_that_breaks_goes_on_at_another_source(run: ExitStack, ask: Ask) -> None:
    first, second = start(run, Server(DATA, CID, cuts=[100_000]), honest(DATA))
    assert get_bytes(ask(first, second), CID, len(DATA)) == DATA
    assert (first.asked, second.asked) == ([0], [100_000])


@pytest.mark.parametrize("ask", [gateways, nodes])
def test_a_transfer_that_breaks_again_and_again_ends_while_it_gains_bytes(run: ExitStack, ask: Ask) -> None:
    (server,) = start(run, Server(DATA, CID, cuts=[40_000] * 7))
    assert get_bytes(ask(server), CID, len(DATA)) == DATA
    assert server.asked == [40_000 * part for part in range(8)]


def test_a_gateway_that_cannot_resume_sends_everything_again(run: ExitStack) -> None:
    (server,) = start(run, Server(DATA, CID, cuts=[100_000], ranges=False))
    assert read(gateways(server)) == DATA
    assert server.asked == [0, 100_000]


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_wherever_transfers_break_the_same_bytes_arrive(data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=1, max_size=2_000))
    cuts = st.lists(st.integers(0, len(content)), max_size=3)
    with ExitStack() as run:
        servers = [
            Server(content, cid_of(content), cuts=data.draw(cuts), ranges=data.draw(st.booleans())) for _ in "ab"
        ]
        first, second = start(run, *servers)
        storage = open_storage([first.node], gateways=[second.gateway], timeout=2)
        assert get_bytes(storage, cid_of(content), len(content)) == content


def test_trouble_that_passes_is_waited_out(run: ExitStack) -> None:
    (server,) = start(run, Server(DATA, CID, cuts=[0, 0, 0]))
    assert read(gateways(server)) == DATA
    assert server.asked == [0] * 4


def test_trouble_that_does_not_pass_is_given_up(run: ExitStack) -> None:
    (server,) = start(run, Server(DATA, CID, status=503))
    with pytest.raises(ArtifactUnavailable, match="503"):
        read(gateways(server))
    assert len(server.calls) == patience_module.ATTEMPTS


def test_silence_is_not_waited_out_twice(run: ExitStack) -> None:
    (server,) = start(run, Server(DATA, CID, silent=True))
    with pytest.raises(ArtifactUnavailable, match=r"within 0\.3 s"):
        read(open_storage(gateways=[server.gateway], timeout=0.3, publishing=False))
    assert len(server.calls) == 1


def test_what_is_final_is_not_tried_again(run: ExitStack) -> None:
    (server,) = start(run, honest(DATA))
    with pytest.raises(ArtifactTooLarge, match="expected at most 10"):
        read(nodes(server), limit=10)
    assert server.calls == ["files/stat"]
    (forger,) = start(run, Server(FORGED, CID))
    with pytest.raises(IntegrityError):
        read(nodes(forger))
    assert forger.calls == ["files/stat", "cat"]


def test_a_source_that_let_us_wait_in_vain_is_read_from_last(run: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooldown_module, "SLOW", 0.2)
    silent, good = start(run, Server(DATA, CID, silent=True), honest(DATA))
    storage = open_storage([silent.node, good.node], timeout=0.3)
    assert [read(storage) for _ in range(3)] == [DATA] * 3
    assert silent.calls == ["files/stat"]
    good.status = 500
    with pytest.raises(ArtifactUnavailable, match="none of 2 sources"):
        read(storage)
    assert silent.calls == ["files/stat"] * 2, "it is asked where no other has it"


def test_a_source_that_fails_at_once_keeps_its_place(run: ExitStack) -> None:
    first, second = start(run, Server(DATA, CID, down=True), honest(DATA))
    storage = nodes(first, second)
    assert read(storage) == DATA
    first.down = False
    assert read(storage) == DATA
    assert len(second.asked) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ask", [gateways, nodes])
@pytest.mark.parametrize("trouble", ["silent", "dribbles", "broken"])
def test_a_read_ends_in_the_time_allowed_however_much_it_would_wait_for(
    run: ExitStack, ask: Ask, trouble: str, tmp_path: Path
) -> None:
    servers = [Server(DATA, CID, silent=trouble == "silent", dribbles=trouble == "dribbles") for _ in "ab"]
    if trouble == "broken":
        for server in servers:
            server.cuts = [100] * 1_000
    start(run, *servers)
    with pytest.raises(ArtifactUnavailable, match=CID):
        ask(*servers, timeout=LONG).get(CID, tmp_path / "copy", len(DATA), seconds=0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_an_address_where_nobody_takes_the_call_is_given_up_in_the_time_allowed(run: ExitStack, tmp_path: Path) -> None:
    """As unavailable: the trouble is that there was no more time."""
    listener = run.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    port = listener.getsockname()[1]
    run.enter_context(socket.create_connection(("127.0.0.1", port)))  # the queue is full
    gateway = open_storage(gateways=[f"http://127.0.0.1:{port}"], timeout=LONG, publishing=False)
    node = open_storage([f"/ip4/127.0.0.1/tcp/{port}"], timeout=LONG)
    for storage in (gateway, node):
        with pytest.raises(ArtifactUnavailable, match="in the time allowed"):
            storage.get(CID, tmp_path / "copy", len(DATA), seconds=0.5)


def test_a_read_that_has_its_time_is_whole(run: ExitStack, tmp_path: Path) -> None:
    for ask in (gateways, nodes):
        (server,) = start(run, Server(DATA, CID, cuts=[100_000]))
        ask(server).get(CID, tmp_path / "copy", len(DATA), seconds=60)
        assert (tmp_path / "copy").read_bytes() == DATA


@pytest.mark.parametrize("trouble", [{"silent": True}, {"down": True}, {"status": 503}])
def test_a_stranger_who_claims_a_large_size_is_not_believed_above_trouble_that_passes(
    run: ExitStack, trouble: dict[str, int | bool]
) -> None:
    own, liar = start(run, Server(DATA, CID, **trouble), Server(2 * DATA, CID))  # type: ignore[arg-type]
    storage = open_storage([own.node], gateways=[liar.gateway], timeout=0.3)
    with pytest.raises(StorageError, match="none of 2 sources.*expected at most"):
        read(storage)
    own.silent, own.down, own.status = False, False, None
    assert read(storage) == DATA


def test_an_artifact_is_too_large_where_all_sources_say_so(run: ExitStack) -> None:
    first, second, forger = start(run, honest(DATA), honest(DATA), Server(FORGED[:5], CID))
    with pytest.raises(ArtifactTooLarge):
        read(gateways(first, second), limit=10)
    with pytest.raises(IntegrityError):
        read(gateways(first, second, forger), limit=10)


def test_every_source_is_quoted_where_none_has_it(run: ExitStack) -> None:
    down, missing = start(run, Server(DATA, CID, down=True), Server(DATA, CID, status=404))
    with pytest.raises(ArtifactUnavailable, match=f"none of 2 sources.*{down.gateway}.*{missing.gateway}.*404"):
        read(gateways(down, missing))


def test_a_disk_that_cannot_be_written_is_no_sources_fault(run: ExitStack, tmp_path: Path) -> None:
    (server,) = start(run, honest(DATA))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        gateways(server).get(CID, tmp_path / "file" / "copy", len(DATA))
    assert server.calls == []


def test_what_the_store_lacks_comes_from_a_gateway(run: ExitStack, tmp_path: Path) -> None:
    (server,) = start(run, honest(DATA))
    storage = open_storage([(tmp_path / "store").as_uri()], gateways=[server.gateway], timeout=2)
    assert read(storage) == DATA
    assert put_bytes(storage, b"plan") == put_bytes(LocalStorage(tmp_path / "store"), b"plan")


# ---------------------------------------------------------------------------------------------------------- publishing


def test_what_is_published_is_on_every_node(run: ExitStack) -> None:
    servers = start(run, *(honest(DATA) for _ in range(3)))
    assert put_bytes(nodes(*servers), DATA) == CID
    assert [server.calls for server in servers] == [["add"]] * 3


def test_a_quorum_is_enough_and_the_node_that_missed_it_is_named(run: ExitStack) -> None:
    first, second, dead = start(run, honest(DATA), honest(DATA), Server(DATA, CID, down=True))
    with capture_logs() as logs:
        assert put_bytes(nodes(first, second, dead), DATA) == CID
    assert [(log["event"], log["node"]) for log in logs] == [("node missed", f"the IPFS node at {dead.node}")]


@pytest.mark.timeout(60)
def test_a_silent_node_holds_nothing_up_once_a_quorum_has_it(run: ExitStack) -> None:
    silent, *good = start(run, Server(DATA, CID, silent=True), honest(DATA), honest(DATA))
    storage = nodes(silent, *good, timeout=LONG)
    for act in (lambda: put_bytes(storage, DATA), lambda: storage.pin(CID), lambda: storage.unpin(CID)):
        with capture_logs() as logs:
            act()
        assert [(log["event"], log["node"]) for log in logs] == [("node missed", f"the IPFS node at {silent.node}")]
        assert "in time" in logs[0]["error"]
    assert [server.calls for server in good] == [["add", "pin/add", "pin/rm"]] * 2


@pytest.mark.timeout(60)
def test_many_artifacts_at_once_are_not_held_up_either(run: ExitStack) -> None:
    silent, *good = start(run, Server(DATA, CID, silent=True), honest(DATA), honest(DATA))
    storage = nodes(silent, *good, timeout=LONG)
    publishing = [threading.Thread(target=put_bytes, args=(storage, DATA)) for _ in range(20)]
    for thread in publishing:
        thread.start()
    for thread in publishing:
        thread.join()
    assert [len(server.calls) for server in good] == [20, 20]


@pytest.mark.timeout(60)
def test_a_slower_node_has_it_too_after_all(run: ExitStack) -> None:
    """It reads what it is given although the caller is done with it."""

    class Slow(Server):
        @property
        def status(self) -> int | None:
            published.wait()
            has_it.set()
            return None

        @status.setter
        def status(self, value: int | None) -> None:
            pass

    published, has_it = threading.Event(), threading.Event()
    slow, *good = start(run, Slow(DATA, CID), honest(DATA), honest(DATA))
    assert put_bytes(nodes(slow, *good, timeout=LONG), DATA) == CID
    published.set()
    assert has_it.wait(30)


def test_a_node_that_let_us_wait_in_vain_is_written_to_where_it_is_needed(
    run: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooldown_module, "SLOW", 0.2)
    silent, first, second = start(run, Server(DATA, CID, silent=True), honest(DATA), honest(DATA))
    storage = nodes(silent, first, second, timeout=0.3)
    with capture_logs() as logs:
        put_bytes(storage, DATA)
        put_bytes(storage, DATA)
    assert silent.calls == ["add"]
    assert [log["event"] for log in logs] == ["node missed"] * 2
    assert "let us wait for nothing" in logs[1]["error"]
    silent.silent, first.status = False, 500
    assert put_bytes(storage, DATA) == CID
    assert silent.calls == ["add"] * 2


def test_a_silent_node_does_not_hold_up_the_end_of_the_process(run: ExitStack) -> None:
    silent, *good = start(run, Server(DATA, CID, silent=True), honest(DATA), honest(DATA))
    program = (
        "import sys; from processor.storage import open_storage, put_bytes\n"
        f"print(put_bytes(open_storage(sys.argv[1:], timeout={LONG}), b'plan'))"
    )
    for server in good:
        server.gives_cid = cid_of(b"plan")
    command = [sys.executable, "-c", program, *(server.node for server in (silent, *good))]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert cid_of(b"plan") in done.stdout


def test_fewer_than_the_quorum_is_an_error_that_names_who_failed_and_why(run: ExitStack) -> None:
    good, down, full = start(run, honest(DATA), Server(DATA, CID, down=True), Server(DATA, CID, status=500))
    with pytest.raises(StorageError, match="1 of 3 nodes could publish.*at least 2") as raised:
        put_bytes(nodes(good, down, full), DATA)
    assert down.node in str(raised.value)
    assert "out of order" in str(raised.value)
    assert good.node not in str(raised.value)
    assert good.calls == ["add"], "a node that has it is not asked again"


def test_a_node_that_comes_back_is_counted(run: ExitStack) -> None:
    class Recovering(Server):
        @property
        def down(self) -> bool:
            return len(self.calls) < 3

        @down.setter
        def down(self, value: bool) -> None:
            pass

    good, late = start(run, honest(DATA), Recovering(DATA, CID))
    assert put_bytes(nodes(good, late, quorum=2), DATA) == CID
    assert late.calls == ["add"] * 3


def test_a_node_that_gives_another_cid_does_not_count(run: ExitStack) -> None:
    good, liar = start(run, honest(DATA), Server(DATA, CID, gives_cid=cid_of(b"other")))
    assert put_bytes(nodes(good, liar, quorum=1), DATA) == CID
    with pytest.raises(IntegrityError, match=f"{liar.node}.*expected {CID}"):
        put_bytes(nodes(good, liar, quorum=2), DATA)


def test_pins_need_the_quorum_too(run: ExitStack) -> None:
    good, down = start(run, honest(DATA), Server(DATA, CID, status=500))
    nodes(good, down, quorum=1).pin(CID)
    nodes(good, down, quorum=1).unpin(CID)
    assert good.calls == ["pin/add", "pin/rm"]
    for act in (nodes(good, down, quorum=2).pin, nodes(good, down, quorum=2).unpin):
        with pytest.raises(StorageError, match="out of order"):
            act(CID)


# ------------------------------------------------------------------------------------------------------------ settings


def test_settings_that_name_no_storage_or_none_of_a_known_kind_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--ipfs.*--store"):
        open_storage()
    for wrong, said in (("file://host/srv", "three slashes"), ("s3://bucket", "not the address of an IPFS node")):
        with pytest.raises(ConfigurationError, match=said):
            open_storage(["/ip4/127.0.0.1/tcp/5001", wrong])


def test_who_publishes_needs_more_than_gateways() -> None:
    with pytest.raises(ConfigurationError, match="gateways can only be read from"):
        open_storage(gateways=["https://ipfs.example"])
    reader = open_storage(gateways=["https://ipfs.example"], publishing=False)
    for act in (lambda: put_bytes(reader, DATA), lambda: reader.pin(CID), lambda: reader.unpin(CID)):
        with pytest.raises(ConfigurationError, match="name an IPFS node"):
            act()


def test_a_quorum_of_more_nodes_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="quorum is 3, but 2 nodes and folders"):
        open_storage(["/ip4/127.0.0.1/tcp/5001", "/ip4/127.0.0.1/tcp/5002"], quorum=3)


def test_a_folder_alone_is_no_quorum_of_two_and_is_enough_for_who_only_reads(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="quorum is 2, but 1 nodes and folders"):
        open_storage([tmp_path.as_uri()], quorum=2)
    storage = open_storage([tmp_path.as_uri()], quorum=2, publishing=False)
    assert isinstance(storage, LocalStorage) and isinstance(open_storage([tmp_path.as_uri()], quorum=1), LocalStorage)


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_more_than_half_of_the_nodes_are_a_quorum(run: ExitStack, count: int, quorum: int) -> None:
    good = start(run, *(honest(DATA) for _ in range(quorum)))
    bad = start(run, *(Server(DATA, CID, status=500) for _ in range(count - quorum)))
    assert put_bytes(nodes(*good, *bad), DATA) == CID
    good[0].status = 500
    with pytest.raises(StorageError, match="out of order"):
        put_bytes(nodes(*good, *bad), DATA)


def test_a_store_alone_needs_no_patience(tmp_path: Path) -> None:
    assert isinstance(open_storage([tmp_path.as_uri()]), LocalStorage)
    assert isinstance(open_storage([tmp_path.as_uri()], gateways=["https://ipfs.example"]), SeveralStorage)


def test_nodes_and_folders_are_one_storage(run: ExitStack, tmp_path: Path) -> None:
    (server,) = start(run, honest(DATA))
    storage = open_storage([(tmp_path / "own").as_uri(), server.node, (tmp_path / "shared").as_uri()], timeout=2)
    assert put_bytes(storage, DATA) == CID and server.calls == ["add"]
    assert [(tmp_path / name / CID).read_bytes() for name in ("own", "shared")] == [DATA, DATA]
    assert read(storage) == DATA and server.calls == ["add"]  # the preferred has it


def test_a_folder_that_is_out_of_reach_holds_no_quorum_of_the_others_up(run: ExitStack, tmp_path: Path) -> None:
    (server,) = start(run, honest(DATA))
    (tmp_path / "file").write_bytes(b"")
    gone, own = tmp_path / "file" / "store", tmp_path / "own"
    storage = open_storage([gone.as_uri(), own.as_uri(), server.node], timeout=0.3)
    with capture_logs() as logs:
        assert put_bytes(storage, DATA) == CID
    assert [(log["event"], log["node"]) for log in logs] == [("node missed", f"the store {gone}")]
    assert read(storage) == DATA
    with pytest.raises(StorageError, match="file/store cannot be used"):
        put_bytes(open_storage([gone.as_uri(), own.as_uri()], timeout=0.3), DATA)
