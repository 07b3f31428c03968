"""A daemon lets go of expired artifacts once, once an hour, and survives all trouble with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import structlog
from structlog.testing import capture_logs

from processor.chain.federation import Federation
from processor.cid import cid_of
from processor.daemons.retention import EVERY, FILE, ROUNDS_AT_A_TIME, release_expired
from processor.errors import StorageError
from processor.protocol.retention import DAY
from processor.storage import LocalStorage, put_bytes
from processor.types import Address, Block, Cid, Phase, Release, RoundView
from tests.unit.artifacts.examples import CLIENTS, PLAN, REPORT
from tests.unit.protocol.views import ADDRESS, client_view, round_view

LOG = structlog.get_logger()
KEEP = 10


class Store(LocalStorage):
    """A store that remembers what was let go of, and may be out of order."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.unpinned: list[Cid] = []
        self.broken = False

    def unpin(self, cid: Cid) -> None:
        super().unpin(cid)
        if self.broken:
            raise StorageError("out of order")
        self.unpinned.append(cid)


@dataclass
class Rounds:
    """The part of a federation that is asked about rounds: one of a day each, all finalized, with one update each."""

    store: Store
    views: list[RoundView] = field(default_factory=list)
    reads: int = 0

    def add(self, plan: Cid) -> None:
        number = len(self.views) + 1
        base = self.views[-1].released if self.views else Release(put_bytes(self.store, b"model 0"), None)
        model, update = (put_bytes(self.store, f"{kind} {number}".encode()) for kind in ("model", "update"))
        reported = replace(REPORT.updates[0], update=update)
        unopened = replace(REPORT.updates[1], update=cid_of(b"of another federation"), reason="sealed_wrong")
        state = put_bytes(self.store, f"state {number}".encode())
        report = replace(REPORT, round=number, server_state=state, updates=(reported, unopened))
        self.views.append(
            round_view(
                round=number,
                phase=Phase.FINALIZED,
                opened_at=number * DAY,
                training_deadline=number * DAY + 60,
                aggregation_deadline=number * DAY + 120,
                plan=plan,
                base=base,
                released=Release(model, put_bytes(self.store, report.encode())),
                client=client_view(client=CLIENTS[0], update=update),
            )
        )

    def round_count(self, at: Block) -> int:
        return len(self.views)

    def latest_release(self, at: Block) -> Release:
        return self.views[-1].released

    def round_view(self, round: int, client: Address | None, at: Block) -> RoundView:
        self.reads += 1
        view = self.views[round - 1]
        return view if client in (None, CLIENTS[0]) else replace(view, client=client_view(client=client))


def rounds_in(folder: Path, count: int) -> Rounds:
    rounds = Rounds(Store(folder / "store"))
    plan = put_bytes(rounds.store, PLAN.encode())
    for _ in range(count):
        rounds.add(plan)
    return rounds


def release(rounds: Rounds, folder: Path, now: int, client: Address | None = None) -> tuple[int, ...]:
    return release_expired(
        federation=cast(Federation, rounds),
        storage=rounds.store,
        client=client,
        keep_days=KEEP,
        state=folder,
        block=Block(1, "0x", now),
        log=LOG,
    )


def texts(*names: str) -> set[Cid]:
    return {cid_of(name.encode()) for name in names}


def test_an_organization_lets_go_of_all_that_only_expired_rounds_need(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 4)
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200) == (1, 2)
    # Round 3 began with what round 2 released, and its audit needs that report.
    assert set(rounds.store.unpinned) == texts("model 1", "update 1", "update 2") | {rounds.views[0].released.report}


def test_what_was_never_opened_may_be_anybodys_and_is_left_alone(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 2)
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 2)
    assert not texts("of another federation") & set(rounds.store.unpinned)


def test_a_client_lets_go_of_its_own_updates_alone(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200, client=CLIENTS[0]) == (1, 2)
    assert set(rounds.store.unpinned) == texts("update 1", "update 2")


def test_a_client_that_took_no_part_lets_go_of_nothing(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 2)
    assert release(rounds, tmp_path, now=100 * DAY, client=ADDRESS) == (1, 2)
    assert rounds.store.unpinned == []


def test_the_present_keeps_what_the_next_round_needs(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 1)
    assert release(rounds, tmp_path, now=100 * DAY) == (1,)
    assert set(rounds.store.unpinned) == texts("update 1")


def test_what_another_federation_on_the_same_node_may_need_is_left_alone(tmp_path: Path) -> None:
    """One with the same plan has the same initial model and validation data, and may come to the same server state."""
    rounds = rounds_in(tmp_path, 3)
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 2, 3)
    shared = texts("model 0", "state 1", "state 2", "state 3") | {cid_of(PLAN.encode())}
    assert not shared & set(rounds.store.unpinned)


def test_an_initial_model_that_a_round_did_not_change_is_left_alone(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    unchanged = replace(rounds.views[0].released, model=rounds.views[0].base.model)
    rounds.views[0] = replace(rounds.views[0], released=unchanged)
    rounds.views[1] = replace(rounds.views[1], base=unchanged)
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 2, 3)
    assert not texts("model 0") & set(rounds.store.unpinned)


def test_each_round_is_done_once_even_after_a_restart(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    now = (1 + KEEP) * DAY + 200
    assert release(rounds, tmp_path, now) == (1,)
    rounds.store.unpinned.clear()
    assert release(rounds, tmp_path, now + EVERY) == ()
    assert rounds.store.unpinned == []
    assert release(rounds, tmp_path, now + DAY) == (2,)


def test_it_looks_once_an_hour(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 1)
    assert release(rounds, tmp_path, now=3 * DAY) == ()
    reads = rounds.reads
    assert release(rounds, tmp_path, now=3 * DAY + EVERY - 1) == ()
    assert rounds.reads == reads
    release(rounds, tmp_path, now=3 * DAY + EVERY)
    assert rounds.reads > reads


def test_while_nothing_has_expired_two_rounds_are_all_it_reads(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 5)
    assert release(rounds, tmp_path, now=6 * DAY) == ()
    assert rounds.reads == 2


def test_a_long_backlog_is_cleared_in_parts(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, ROUNDS_AT_A_TIME + 3)
    now = 1_000 * DAY
    assert release(rounds, tmp_path, now) == tuple(range(1, ROUNDS_AT_A_TIME + 1))
    assert release(rounds, tmp_path, now + EVERY) == tuple(range(ROUNDS_AT_A_TIME + 1, ROUNDS_AT_A_TIME + 4))
    assert texts("update 1", f"update {ROUNDS_AT_A_TIME + 3}") <= set(rounds.store.unpinned)


def test_trouble_is_logged_and_tried_again_an_hour_later(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 1)
    rounds.store.broken = True
    with capture_logs() as logs:
        assert release(rounds, tmp_path, now=100 * DAY) == ()
    assert [(log["event"], log["error"]) for log in logs] == [("artifacts not released", "out of order")]
    rounds.store.broken = False
    assert release(rounds, tmp_path, now=100 * DAY + EVERY) == (1,)


def test_a_report_that_an_earlier_attempt_lost_holds_nothing_up(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    (rounds.store.directory / str(rounds.views[0].released.report)).unlink()
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 2, 3)
    assert texts("model 1", "model 2") <= set(rounds.store.unpinned)


def test_nothing_is_let_go_of_while_a_younger_rounds_report_cannot_be_read(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    (rounds.store.directory / str(rounds.views[2].released.report)).unlink()
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200) == ()
    assert rounds.store.unpinned == []


def test_a_damaged_file_is_set_aside_with_a_message(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 1)
    for damage in (b"", b"[]", b'{"released": "all"}', b'{"released": -1}', b"\xff"):
        (tmp_path / FILE).write_bytes(damage)
        with capture_logs() as logs:
            assert release(rounds, tmp_path, now=100 * DAY) == (1,)
        assert logs[0]["event"] == "damaged file set aside"
        assert (tmp_path / "retention.damaged").read_bytes() == damage


def test_a_state_folder_that_cannot_be_written_ends_no_daemon(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 1)
    state = tmp_path / "state"
    state.write_bytes(b"")
    with capture_logs() as logs:
        assert release(rounds, state / "below", now=100 * DAY) == (1,)
    assert logs[-1]["event"] == "cannot write"
