"""A storage hears the stop wherever it waits: for bytes, for other nodes, and before it tries again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from processor.cid import cid_of
from processor.errors import Interrupted, StorageError
from processor.storage import Storage, get_bytes, open_storage, put_bytes
from processor.storage import patience as patience_module
from tests.unit.storage.servers import Server, honest

DATA = b"model" * 1000
CID = cid_of(DATA)
LONG = 3_600
"""A time-out, in seconds, that no test outlasts: nothing may wait for it."""

SOON = 60.0
"""Seconds that a busy machine may take to hear."""


@pytest.fixture
def stop() -> Callable[[], bool]:
    """A stop that is set in a moment."""
    stopped = threading.Event()
    timer = threading.Timer(0.2, stopped.set)
    timer.daemon = True
    timer.start()
    return stopped.is_set


CALLS: dict[str, Callable[[Storage], object]] = {
    "get": lambda storage: get_bytes(storage, CID, len(DATA)),
    "put": lambda storage: put_bytes(storage, DATA),
    "pin": lambda storage: storage.pin(CID),
    "unpin": lambda storage: storage.unpin(CID),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))


def interrupted(call: Callable[[Storage], object], storage: Storage) -> None:
    started = time.monotonic()
    with pytest.raises(Interrupted):
        call(storage)
    assert time.monotonic() - started < SOON


@calls
def test_while_the_only_node_is_silent(call: Callable[[Storage], object], stop: Callable[[], bool]) -> None:
    with Server(DATA, CID, silent=True).running() as server:
        interrupted(call, open_storage([server.node], timeout=LONG, stop=stop))


@calls
def test_while_some_nodes_are_silent(call: Callable[[Storage], object], stop: Callable[[], bool]) -> None:
    with Server(DATA, CID, silent=True).running() as first, Server(DATA, CID, silent=True).running() as second:
        interrupted(call, open_storage([first.node, second.node], quorum=1, timeout=LONG, stop=stop))


def test_while_a_gateway_is_silent(stop: Callable[[], bool]) -> None:
    with Server(DATA, CID, silent=True).running() as server:
        storage = open_storage(gateways=[server.gateway], timeout=LONG, publishing=False, stop=stop)
        interrupted(CALLS["get"], storage)


def test_before_it_is_tried_again(monkeypatch: pytest.MonkeyPatch, stop: Callable[[], bool]) -> None:
    monkeypatch.setattr(patience_module, "FIRST_PAUSE", LONG)
    monkeypatch.setattr(patience_module, "LONGEST_PAUSE", 2 * LONG)
    with Server(DATA, CID, down=True).running() as server:
        storage = open_storage([server.node], timeout=100 * LONG, stop=stop)
        interrupted(CALLS["get"], storage)


def test_nothing_is_asked_once_it_is_stopped(tmp_path: Path) -> None:
    with honest(DATA).running() as server:
        interrupted(CALLS["get"], open_storage([server.node], timeout=LONG, stop=lambda: True))
        assert server.calls == []


def test_who_is_never_stopped_reads_to_the_end() -> None:
    with honest(DATA).running() as server:
        assert get_bytes(open_storage([server.node], timeout=LONG), CID, len(DATA)) == DATA
    with pytest.raises(StorageError):
        get_bytes(open_storage([server.node], timeout=1), CID, len(DATA))
