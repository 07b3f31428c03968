"""A settlement ends in the time that it has, with what was served until then, and keeps that for the audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from processor.artifacts.model import write_model
from processor.artifacts.state import FIRST_STATE
from processor.cid import cid_of
from processor.errors import StorageError
from processor.privacy.sealing import generate_key_pair
from processor.protocol.judge import UNAVAILABLE
from processor.protocol.opened import Identity, OpenedRound
from processor.protocol.settlement import Settlement, settle
from processor.storage import GatewayStorage, LocalStorage, SeveralStorage, Storage, get_bytes, put_bytes
from processor.storage.library import Library
from processor.types import Cid, Submitted
from tests.unit.artifacts.examples import FEDERATION, MODEL_HEADER, OPENING, PARAMETERS, PLAN
from tests.unit.storage.servers import Server, honest

LONG = 3_600
IDENTITY = Identity(31337, FEDERATION)
KEYS = generate_key_pair()
SERVED, SLOW = b"not sealed, but served whole", b"on its way" * 1_000


@pytest.fixture
def run() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def store(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "store")


def storage_of(run: ExitStack, stores: list[LocalStorage], *servers: Server) -> SeveralStorage:
    """Each server is a gateway that has one update."""
    gateways = [GatewayStorage(run.enter_context(server.running()).gateway, LONG) for server in servers]
    return SeveralStorage(stores, gateways, len(stores), 0.1)


def base_in(store: LocalStorage, folder: Path) -> Cid:
    write_model(folder / "base", MODEL_HEADER, PARAMETERS, {}, {})
    return store.put(folder / "base")


def settled(
    base: Cid, lines: Sequence[Submitted], storage: Storage, work: Path, **limits: Any
) -> AbstractContextManager[Settlement]:
    round = OpenedRound(IDENTITY, replace(OPENING, base_model=base), PLAN)
    return settle(round, lines, KEYS.secret, FIRST_STATE, None, Library(storage), work, **limits)


def submitted(*updates: bytes) -> list[Submitted]:
    return [Submitted(f"0x{number:040x}", cid_of(data), number) for number, data in enumerate(updates, start=1)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("trouble", ["silent", "dribbles"])
def test_an_update_that_comes_too_slowly_is_unavailable_and_the_round_goes_on(
    run: ExitStack, store: LocalStorage, tmp_path: Path, trouble: str
) -> None:
    slow = Server(SLOW, cid_of(SLOW), silent=trouble == "silent", dribbles=trouble == "dribbles")
    storage = storage_of(run, [store], honest(SERVED), slow)
    work, lines = tmp_path / "work", submitted(SERVED, SLOW)
    with settled(base_in(store, tmp_path), lines, storage, work, budget=1) as settlement:
        assert [update.reason for update in settlement.updates] == ["sealed_wrong", UNAVAILABLE]
        assert settlement.unavailable == 1
    assert not [path for path in work.iterdir() if path.name.startswith("round-")]


@pytest.mark.timeout(60)
def test_more_slow_updates_than_are_fetched_at_a_time_end_in_the_same_time(
    run: ExitStack, store: LocalStorage, tmp_path: Path
) -> None:
    storage = storage_of(run, [store], Server(SLOW, cid_of(SLOW), silent=True))
    lines = submitted(*[SLOW] * 80)
    with settled(base_in(store, tmp_path), lines, storage, tmp_path / "work", budget=1) as settlement:
        assert settlement.unavailable == 80


def test_an_update_that_one_node_of_the_quorum_has_is_kept_on_all(run: ExitStack, tmp_path: Path) -> None:
    """Also where it is rejected: the audit has to see why."""
    stores = [LocalStorage(tmp_path / name) for name in ("one", "two")]
    base = base_in(stores[0], tmp_path)
    put_bytes(stores[0], SERVED)
    storage = storage_of(run, stores, honest(SLOW))
    lines = submitted(SERVED, SLOW, b"nobody's")
    kept = storage.put
    with settled(base, lines, storage, tmp_path / "work", keep=kept) as settlement:
        assert [update.reason for update in settlement.updates] == ["sealed_wrong", "sealed_wrong", UNAVAILABLE]
    for store in stores:
        for data in (SERVED, SLOW):
            assert get_bytes(store, cid_of(data), len(data)) == data


def test_nothing_is_kept_unless_it_is_asked_for(run: ExitStack, tmp_path: Path) -> None:
    stores = [LocalStorage(tmp_path / name) for name in ("one", "two")]
    base = base_in(stores[0], tmp_path)
    put_bytes(stores[0], SERVED)
    lines = submitted(SERVED)
    with settled(base, lines, storage_of(run, stores), tmp_path / "work") as settlement:
        assert settlement.unavailable == 0
    assert list(stores[1].directory.iterdir()) == []


def test_what_cannot_be_kept_ends_the_settlement_and_leaves_nothing(store: LocalStorage, tmp_path: Path) -> None:
    put_bytes(store, SERVED)

    def keep(path: Path) -> None:
        assert path.read_bytes() == SERVED
        raise StorageError("no room on any node")

    work, lines = tmp_path / "work", submitted(SERVED)
    with (
        pytest.raises(StorageError, match="no room"),
        settled(base_in(store, tmp_path), lines, store, work, keep=keep),
    ):
        raise AssertionError("settled")
    assert list(work.iterdir()) == []
