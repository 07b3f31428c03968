"""A daemon lets go of expired artifacts once, once an hour, and survives all trouble with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
import structlog
from structlog.testing import capture_logs

from processor.artifacts.committed import OpeningFields
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.report import REPORT as REPORTS
from processor.artifacts.report import AbandonedRound
from processor.artifacts.round import ROUND as ROUNDS
from processor.artifacts.round import RoundFile
from processor.chain.federation import Federation
from processor.chain.snapshot import Snapshot
from processor.cid import cid_of
from processor.daemons.kept import KeptRounds
from processor.daemons.retention import EVERY, FILE, ROUNDS_AT_A_TIME, release_rounds, release_updates
from processor.errors import NewerVersion, StorageError
from processor.journal import SavedUpdate
from processor.protocol.retention import DAY
from processor.storage import LocalStorage, put_bytes
from processor.storage.library import Library
from processor.types import Block, Cid, Outcome, Release
from tests.unit.artifacts import examples
from tests.unit.artifacts.examples import FEDERATION, OPENING, PLAN, REPORT
from tests.unit.protocol.views import digest_for

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


class Counting(KeptRounds):
    """Kept rounds that count how often they are read."""

    reads = 0

    def read(self, number: int) -> RoundFile | None:
        self.reads += 1
        return super().read(number)


@dataclass
class Rounds:
    """An organization's rounds, as it keeps them: of a day each, finalized or abandoned, with one update each that was
    opened; and what the federation says of its latest release."""

    store: Store
    kept: Counting
    junk: dict[int, bytes] = field(default_factory=dict)
    """What a client submitted as its update in a round, and what the organization put there."""
    files: list[RoundFile] = field(default_factory=list)

    def add(self, abandoned: bool = False) -> None:
        number = len(self.files) + 1
        base, unnamed = self.latest, []
        for file in reversed(self.files):
            if file.outcome is not None:
                break
            unnamed.append(AbandonedRound(file.round, "ab" * 20, 1, 5, put_bytes(self.store, ROUNDS.encode(file))))
        model, update = (put_bytes(self.store, f"{kind} {number}".encode()) for kind in ("model", "update"))
        opening = replace(
            OPENING,
            round=number,
            opened_at=number * DAY,
            training_deadline=number * DAY + 60,
            aggregation_deadline=number * DAY + 120,
            sealing_key=digest_for("sealing key", number),
            base_model=base.model or "",
            base_report=base.report,
        )
        foreign = cid_of(b"of another federation")
        if number in self.junk:
            foreign = put_bytes(self.store, self.junk[number])
        lines = (
            replace(REPORT.updates[1], update=update),
            replace(REPORT.updates[0], update=foreign, reason="sealed_wrong"),
        )
        report = replace(
            REPORT,
            opening=OpeningFields.of(opening),
            server_state=put_bytes(self.store, f"state {number}".encode()),
            updates=lines,
            before=(),
            abandoned=tuple(reversed(unnamed)),
            model=model,
        )
        outcome = None
        if not abandoned:
            cid = put_bytes(self.store, REPORTS.encode(report))
            outcome = Outcome(model, cid, digest_for("secret", number), report.credited_ms, report.adjustments)
        file = RoundFile.of(1, FEDERATION, opening, report.submitted, digest_for("record", number), outcome)
        self.files.append(file)
        self.kept.write(file)

    def report(self, number: int) -> Cid:
        outcome = self.files[number - 1].outcome
        assert outcome is not None
        return outcome.report

    @property
    def latest(self) -> Release:
        outcomes = [file.outcome for file in self.files if file.outcome is not None]
        if not outcomes:
            return Release(put_bytes(self.store, b"model 0"), None)
        return Release(outcomes[-1].model, outcomes[-1].report)


def rounds_in(folder: Path, count: int, junk: dict[int, bytes] | None = None) -> Rounds:
    rounds = Rounds(Store(folder / "store"), Counting(folder / "rounds", LOG), junk or {})
    put_bytes(rounds.store, PLANS.encode(PLAN))
    for _ in range(count):
        rounds.add()
    return rounds


def release(rounds: Rounds, folder: Path, now: int) -> tuple[int, ...]:
    snapshot = Snapshot(cast(Federation, None), Block(1, "0x", now))
    snapshot.release = rounds.latest
    return release_rounds(
        snapshot=snapshot,
        library=Library(rounds.store),
        kept=rounds.kept,
        keep_days=KEEP,
        state=folder,
        log=LOG,
    )


def updates_in(folder: Path, rounds: Rounds) -> list[SavedUpdate]:
    """The updates of the client whose updates were opened, as its journal has them."""
    return [
        SavedUpdate(
            file.round,
            bytes.fromhex(file.opening.sealing_key),
            file.opening.base_model,
            file.updates[0].update,
            folder / "update",
            compute_ms=1,
            samples=1,
            ends_at=file.opening.aggregation_deadline,
        )
        for file in rounds.files
    ]


def release_own(updates: list[SavedUpdate], rounds: Rounds, folder: Path, now: int) -> tuple[int, ...]:
    return release_updates(rounds.store, updates, KEEP, folder, Block(1, "0x", now), LOG)


def texts(*names: str) -> set[Cid]:
    return {cid_of(name.encode()) for name in names}


def test_an_organization_lets_go_of_all_that_only_expired_rounds_need(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 4)
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200) == (1, 2)
    # Round 3 began with what round 2 released, and its audit needs that report.
    assert set(rounds.store.unpinned) == texts("model 1", "update 1", "update 2") | {rounds.report(1)}


def test_what_nobody_has_any_more_is_left_alone(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 2)
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 2)
    assert not texts("of another federation") & set(rounds.store.unpinned)


def test_junk_goes_by_the_same_rule_as_updates(tmp_path: Path) -> None:
    """Whatever it is made of: noise, a text, half of a JSON object."""
    rounds = rounds_in(tmp_path, 4, {1: b"junk 1", 2: b'{"kind":"pl', 3: b"junk 3", 4: b"junk 4"})
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200) == (1, 2)
    assert texts("junk 1", '{"kind":"pl') <= set(rounds.store.unpinned)
    assert not texts("junk 3", "junk 4") & set(rounds.store.unpinned)


def test_junk_that_a_younger_round_holds_too_waits_for_that_one(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 4, {1: b"junk", 3: b"junk"})
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200) == (1, 2)
    assert not texts("junk") & set(rounds.store.unpinned)
    release(rounds, tmp_path, now=100 * DAY)
    assert texts("junk") <= set(rounds.store.unpinned)


def test_a_client_that_names_what_others_need_as_its_update_takes_it_from_nobody(tmp_path: Path) -> None:
    examples.cids(tmp_path)
    anybodys = [PLANS.encode(PLAN), REPORTS.encode(REPORT), ROUNDS.encode(examples.ROUND)]
    anybodys += [(tmp_path / name).read_bytes() for name in ("model", "state", "dataset")]
    rounds = rounds_in(tmp_path, len(anybodys), dict(enumerate(anybodys, start=1)))
    assert len(release(rounds, tmp_path, now=100 * DAY)) == len(anybodys)
    assert not {cid_of(content) for content in anybodys} & set(rounds.store.unpinned)


def test_a_client_lets_go_of_its_own_updates_alone_and_of_each_once(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    updates, now = updates_in(tmp_path, rounds), (2 + KEEP) * DAY + 200
    assert release_own(updates, rounds, tmp_path, now) == (1, 2)
    assert set(rounds.store.unpinned) == texts("update 1", "update 2")
    rounds.store.unpinned.clear()
    assert release_own(updates, rounds, tmp_path, now + EVERY) == ()
    assert release_own(updates, rounds, tmp_path, now + DAY) == (3,)
    assert set(rounds.store.unpinned) == texts("update 3")


def test_a_client_that_took_no_part_lets_go_of_nothing(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 2)
    assert release_own([], rounds, tmp_path, now=100 * DAY) == ()
    assert rounds.store.unpinned == []


def test_the_list_of_an_abandoned_round_stays_as_long_as_the_report_that_names_it(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 1)
    rounds.add(abandoned=True)
    rounds.add()
    rounds.add()
    listed = cid_of(ROUNDS.encode(rounds.files[1]))
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200) == (1, 2)
    assert listed not in rounds.store.unpinned
    assert release(rounds, tmp_path, now=(4 + KEEP) * DAY + 200) == (3, 4)
    assert listed in rounds.store.unpinned


def test_what_belongs_to_a_round_that_is_not_kept_is_left_alone(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    (tmp_path / "rounds" / "2.json").unlink()
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 3)
    assert not texts("update 2") & set(rounds.store.unpinned)


def test_the_present_keeps_what_the_next_round_needs(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 1)
    assert release(rounds, tmp_path, now=100 * DAY) == (1,)
    assert set(rounds.store.unpinned) == texts("update 1")


def test_what_another_federation_on_the_same_node_may_need_is_left_alone(tmp_path: Path) -> None:
    """One with the same plan has the same initial model and validation data, and may come to the same server state."""
    rounds = rounds_in(tmp_path, 3)
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 2, 3)
    shared = texts("model 0", "state 1", "state 2", "state 3") | {cid_of(PLANS.encode(PLAN))}
    assert not shared & set(rounds.store.unpinned)


def test_an_initial_model_that_a_round_did_not_change_is_left_alone(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    initial, first, second = rounds.files[0].opening.base_model, *rounds.files[:2]
    assert first.outcome is not None
    rounds.kept.write(replace(first, outcome=replace(first.outcome, model=initial)))
    rounds.kept.write(replace(second, opening=replace(second.opening, base_model=initial)))
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
    reads = rounds.kept.reads
    assert release(rounds, tmp_path, now=3 * DAY + EVERY - 1) == ()
    assert rounds.kept.reads == reads
    release(rounds, tmp_path, now=3 * DAY + EVERY)
    assert rounds.kept.reads > reads


def test_while_nothing_has_expired_two_rounds_are_all_it_reads(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 5)
    assert release(rounds, tmp_path, now=6 * DAY) == ()
    assert rounds.kept.reads == 2


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
    (rounds.store.directory / rounds.report(1)).unlink()
    assert release(rounds, tmp_path, now=100 * DAY) == (1, 2, 3)
    assert texts("model 1", "model 2") <= set(rounds.store.unpinned)


def test_nothing_is_let_go_of_while_a_younger_rounds_report_cannot_be_read(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    (rounds.store.directory / rounds.report(3)).unlink()
    assert release(rounds, tmp_path, now=(2 + KEEP) * DAY + 200) == ()
    assert rounds.store.unpinned == []


def test_what_was_released_is_remembered_in_any_spelling_of_the_file(tmp_path: Path) -> None:
    rounds = rounds_in(tmp_path, 3)
    (tmp_path / FILE).write_bytes(b'{"released": 2, "looked_at": 5}')
    assert release(rounds, tmp_path, now=100 * DAY) == (3,)


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


def test_a_memory_that_a_newer_koinon_wrote_is_refused_by_name_and_stays_as_it_is(tmp_path: Path) -> None:
    rounds, newer = rounds_in(tmp_path, 1), b'{"looked_at":5,"released":1,"version":2}'
    (tmp_path / FILE).write_bytes(newer)
    with pytest.raises(
        NewerVersion, match=f"{tmp_path / FILE}: this retention has version 2, .* up to 1: update Koinon"
    ):
        release(rounds, tmp_path, now=100 * DAY)
    assert (tmp_path / FILE).read_bytes() == newer and not (tmp_path / "retention.damaged").exists()
