"""A daemon remembers the keys of rounds and the ends of plans, and reads in reports what it did not see itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
import structlog
from structlog.testing import capture_logs

from processor.artifacts.report import REPORT, FinishedRound, Report
from processor.artifacts.round import ROUND
from processor.chain.snapshot import Snapshot
from processor.cid import cid_of
from processor.daemons.kept import KeptRounds
from processor.daemons.past_rounds import EVERY, REPORTS_A_ROUND, SECONDS, PastRounds
from processor.journal import Journal
from processor.privacy.sealing import public_key_of
from processor.storage import LocalStorage, put_bytes
from processor.storage.library import Library
from processor.types import Cid, Phase, Release, RoundView
from tests.unit.artifacts.examples import CLIENTS, FEDERATION
from tests.unit.protocol.histories import CHAIN_ID, History, cid, secret_of
from tests.unit.protocol.views import digest_for, round_view

LOG = structlog.get_logger()


class Store(LocalStorage):
    """Notes what is asked for; each answer takes `seconds` of the clock."""

    asked: list[Cid]
    now: float = 0.0
    seconds: float = 0.0

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        assert seconds is not None and 0 < seconds < SECONDS + 0.1, "no read takes longer than a look may"
        self.asked.append(cid)
        self.now += self.seconds
        super().get(cid, to, limit, seconds)


@dataclass(frozen=True)
class Seen:
    """What of a snapshot is asked here: the keys of finalized rounds, by their first bytes."""

    finalized: tuple[int, ...] = ()
    abandoned: tuple[int, ...] = ()

    def round_with_key(self, key: bytes) -> int | None:
        return next((number for number in self.finalized if key_of(number)[:12] == key[:12]), None)

    @property
    def rounds_without_key(self) -> tuple[int, ...]:
        return self.abandoned

    def snapshot(self) -> Snapshot:
        return cast(Snapshot, self)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.asked = []
    return store


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite", CHAIN_ID, FEDERATION, CLIENTS[0]) as opened:
        yield opened


@pytest.fixture
def past(store: Store, journal: Journal) -> PastRounds:
    return PastRounds(Library(store), journal, LOG, ticks=lambda: store.now)


def key_of(round: int) -> bytes:
    return public_key_of(secret_of(round))


def published(history: History, store: LocalStorage) -> History:
    for report in history.reports.values():
        put_bytes(store, REPORT.encode(report))
    for file in history.files:
        if file.outcome is None:
            put_bytes(store, ROUND.encode(file))
    return history


def next_round(history: History) -> RoundView:
    """The round after the history, in training."""
    number = len(history.files) + 1
    opening = history.opening(number)
    return round_view(
        number,
        plan=opening.plan,
        sealing_key=opening.sealing_key,
        base=Release(opening.base_model, opening.base_report),
    )


def says_stop(report: Report) -> Report:
    return replace(report, stop="patience")


def test_a_plan_has_ended_once_any_report_that_leads_back_says_so(past: PastRounds, store: Store) -> None:
    history = published(History.of("FAFFF", {3: says_stop}), store)
    past.look(next_round(history))
    why = past.ended(cid("plan", 3))
    assert why is not None and "report of round 3" in why and "(patience)" in why and history.report(3)[0] in why
    assert past.ended(cid("plan", 4)) is None, "another plan goes on"


def test_what_was_read_is_not_read_again_and_outlives_the_daemon_and_the_report(
    past: PastRounds, store: Store, journal: Journal
) -> None:
    history = published(History.of("FF", {2: says_stop}), store)
    past.look(next_round(history))
    read = len(store.asked)
    past.look(next_round(history))
    assert len(store.asked) == read == 2
    (store.directory / history.report(2)[0]).unlink()
    restarted = PastRounds(Library(store), journal, LOG, ticks=lambda: store.now)
    restarted.look(next_round(history))
    assert restarted.ended(cid("plan", 2)) is not None
    assert len(store.asked) == read


def test_a_report_that_cannot_be_had_ends_nothing_and_is_asked_for_again_later(past: PastRounds, store: Store) -> None:
    history = published(History.of("FFF", {3: says_stop}), store)
    name, report = history.report(3)
    (store.directory / name).unlink()
    view = next_round(history)
    for _ in range(3):
        past.look(view)
    assert past.ended(cid("plan", 3)) is None
    assert store.asked.count(name) == 1, "it is not asked for with every cycle"
    put_bytes(store, REPORT.encode(report))
    store.now += EVERY
    past.look(view)
    assert past.ended(cid("plan", 3)) is not None


def test_one_report_that_is_lost_does_not_hide_those_before_it(past: PastRounds, store: Store) -> None:
    history = published(History.of("FFFF", {2: says_stop}), store)
    (store.directory / history.report(3)[0]).unlink()
    past.look(next_round(history))
    assert past.ended(cid("plan", 2)) is not None


def test_what_a_reorganization_undid_ends_no_plan(past: PastRounds, store: Store) -> None:
    history = published(History.of("FF", {2: says_stop}), store)
    view = replace(next_round(history), round=2, phase=Phase.AGGREGATING)
    past.look(next_round(history))
    first = history.report(1)[0]
    past.forget(view)
    past.look(replace(view, base=Release(cid("model", 1), first)))
    assert past.ended(cid("plan", 2)) is None


def test_the_keys_of_abandoned_rounds_are_read_from_the_lists_that_reports_name(past: PastRounds, store: Store) -> None:
    history = published(History.of("AFAAF"), store)
    past.look(next_round(history))
    chain = Seen(finalized=(2, 5), abandoned=(1, 3, 4)).snapshot()
    for number in range(1, 6):
        assert past.round_with_key(chain, 6, key_of(number)) == number
    assert past.round_with_key(chain, 6, key_of(6)) is None
    with capture_logs() as logs:
        past.tell(chain)
    assert logs == []


def test_a_list_that_is_not_the_rounds_is_no_witness(past: PastRounds, store: Store) -> None:
    history = History.of("A")
    other = replace(history.files[0], record_before="11" * 32, opening=replace(history.files[0].opening, pool="1"))

    def names_another(report: Report) -> Report:
        [named] = report.abandoned
        return replace(report, abandoned=(replace(named, list=cid_of(ROUND.encode(other))),))

    history.finalize(names_another)
    published(history, store)
    put_bytes(store, ROUND.encode(other))
    past.look(next_round(history))
    assert past.round_with_key(Seen().snapshot(), 3, key_of(1)) is None


def test_a_round_that_went_by_is_known_by_its_key_whatever_reports_say(past: PastRounds) -> None:
    past.see(round_view(3))
    past.see(round_view(4))
    nothing, key = Seen().snapshot(), digest_for("sealing key", 3)
    assert past.round_with_key(nothing, 5, key) == 3
    assert past.round_with_key(nothing, 3, key) is None, "after a reorganization a round may have the key that it had"


def test_it_says_once_of_which_abandoned_rounds_no_key_is_known(past: PastRounds, store: Store) -> None:
    history = published(History.of("AFA"), store)
    (store.directory / cid_of(ROUND.encode(history.files[0]))).unlink()
    past.look(next_round(history))
    with capture_logs() as logs:
        for _ in range(2):
            past.tell(Seen(finalized=(2,), abandoned=(1, 3)).snapshot())
    [said] = [entry for entry in logs if entry["event"] == "sealing keys of abandoned rounds are unknown"]
    assert (said["rounds"], said["count"]) == ("1, 3", 2)


def test_rounds_that_are_kept_next_to_a_lost_journal_are_known_by_their_keys(past: PastRounds, tmp_path: Path) -> None:
    history, kept = History.of("AFA"), KeptRounds(tmp_path / "rounds", LOG)
    for file in history.files:
        kept.write(file)
    past.take(kept)
    assert [past.round_with_key(Seen().snapshot(), 4, key_of(number)) for number in (1, 2, 3)] == [1, 2, 3]


def test_a_look_ends_in_time_and_the_next_goes_on_from_there(past: PastRounds, store: Store) -> None:
    history = published(History.of("F" * 12), store)
    store.seconds = SECONDS / 3
    view = next_round(history)
    began = store.now
    past.look(view)
    assert store.now - began <= SECONDS + store.seconds
    assert 0 < len(store.asked) < 12
    for _ in range(20):
        store.now += EVERY
        past.look(view)
    assert len(store.asked) == len(set(store.asked)) == 12


def test_many_lists_that_cannot_be_had_hold_nobody_up(past: PastRounds, store: Store) -> None:
    history = published(History.of("A" * 40 + "F"), store)
    for file in history.files[:40]:
        (store.directory / cid_of(ROUND.encode(file))).unlink()
    store.seconds = SECONDS
    view, began, busy = next_round(history), store.now, 0.0
    while store.now - began < 3600:
        before = store.now
        past.look(view)
        busy += store.now - before
        store.now += 1
    assert busy < 3600 / 5


def test_a_liar_who_names_reports_without_end_is_not_read_without_end(past: PastRounds, store: Store) -> None:
    """Each report of round 1 names others: those are of no round before it."""
    history = History.of("F")
    [(name, last)] = history.reports.items()
    for number in range(50):
        named = replace(last, before=(finished(name, 1, number),))
        name = put_bytes(store, REPORT.encode(named))
    view = replace(next_round(history), round=2, base=Release(cid("model", 1), name))
    for _ in range(60):
        past.look(view)
        store.now += EVERY
    assert len(store.asked) <= REPORTS_A_ROUND * 2 + 1


def finished(report: Cid, round: int, salt: int) -> FinishedRound:
    return FinishedRound(
        round=round,
        record_before="00" * 32,
        record="11" * 32,
        digest="22" * 20,
        update_count=1,
        claimed_ms=1 + salt,
        credited_ms=1,
        model=cid("model", 1),
        report=report,
        secret="33" * 32,
        adjustments=(),
        abandoned=(),
    )
