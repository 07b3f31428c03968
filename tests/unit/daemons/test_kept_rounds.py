"""An organization keeps what the chain forgets of its rounds, and its reports lead back through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
import structlog
from structlog.testing import capture_logs

from processor.artifacts.committed import OpeningFields
from processor.artifacts.report import REPORT as REPORTS
from processor.artifacts.report import Report, ReportedUpdate
from processor.artifacts.round import RoundFile
from processor.artifacts.versions import Kind
from processor.chain.commitments import NO_RECORD, digest_of, next_record, outcome_of
from processor.chain.federation import Federation
from processor.chain.snapshot import Snapshot
from processor.cid import cid_of
from processor.daemons.kept import KeptRounds
from processor.daemons.rounds import PATIENCE, RoundKeeper
from processor.daemons.sealing_keys import SealingKeys
from processor.errors import ArtifactUnavailable, ChainError, NewerVersion
from processor.protocol.history import digest_of_file, outcome_of_report, record_of_file
from processor.storage.library import Library
from processor.types import Address, Block, Cid, Outcome, Phase, Release, RoundView, Submitted
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, REPORT
from tests.unit.protocol.views import cid_for, digest_for, round_view

LOG = structlog.get_logger()
BLOCK = Block(1, "0x", 0)
CHAIN_ID = 31337


@dataclass
class Chain:
    """What a federation says of its latest round: what it forgets, it forgets here too."""

    chain_id: int = CHAIN_ID
    address: str = FEDERATION
    view: RoundView = field(default_factory=lambda: round_view(phase=Phase.NONE, round=0))
    lists: dict[int, tuple[Submitted, ...]] = field(default_factory=dict)
    reports: dict[Cid, Report] = field(default_factory=dict)
    chained: bytes = NO_RECORD
    latest: Release = field(default_factory=lambda: Release(cid_for("model", 0), None))
    lost: bool = False
    asked: int = 0

    def record(self, at: Block) -> bytes:
        return self.chained

    def round_view(self, client: Address | None, at: Block) -> RoundView:
        return self.view

    def updates(self, at: Block, view: RoundView) -> list[Submitted]:
        self.asked += 1
        if self.lost:
            raise ChainError("whoever left took a line along")
        return list(self.lists[view.round])

    def read(self, kind: Kind[Report], cid: Cid) -> Report:
        if cid not in self.reports:
            raise ArtifactUnavailable(f"nobody serves {cid}")
        return self.reports[cid]

    def open(self, number: int) -> None:
        """Chains the round before where it was abandoned, and opens the next; all of them submit."""
        if self.view.phase is Phase.ABANDONED:
            self._chain(None)
        lines = tuple(
            Submitted(client, cid_for(f"update of {client}", number), 100 * number + position)
            for position, client in enumerate(CLIENTS, start=1)
        )
        self.lists[number] = lines
        opened = round_view(number, base=self.latest, phase=Phase.AGGREGATING)
        self.view = replace(
            opened,
            digest=digest_of(CHAIN_ID, FEDERATION, opened.opening, lines),
            update_count=len(lines),
            claimed_ms=sum(line.compute_ms for line in lines),
        )

    def abandon(self) -> None:
        self.view = replace(self.view, phase=Phase.ABANDONED)

    def finalize(self, keeper: RoundKeeper) -> None:
        view = self.view
        record, history = keeper.before(now(self))
        report = replace(
            REPORT,
            opening=OpeningFields.of(view.opening),
            updates=tuple(
                ReportedUpdate(line.client, line.update, line.compute_ms, 10, line.compute_ms, None, 0)
                for line in self.lists[view.round]
            ),
            record_before=record.hex(),
            before=history.before,
            abandoned=history.abandoned,
            model=cid_for("model", view.round),
        )
        cid, secret = cid_of(REPORTS.encode(report)), digest_for("secret", view.round)
        self.reports[cid] = report
        self._chain(outcome_of_report(report, cid, secret))
        self.latest = Release(report.model, cid)
        self.view = replace(view, phase=Phase.FINALIZED, base=Release(None, None), released=self.latest, secret=secret)

    def _chain(self, outcome: Outcome | None) -> None:
        view = self.view
        counts = (view.digest, view.update_count, view.claimed_ms)
        self.chained = next_record(self.chained, view.round, *counts, outcome_of(outcome))


def now(chain: Chain) -> Snapshot:
    """What a new block says."""
    return Snapshot(cast(Federation, chain), BLOCK)


class NoKeys:
    """Every round was opened by somebody else."""

    def secret_of(self, key: bytes) -> bytes | None:
        return None


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def keeper(chain: Chain, tmp_path: Path) -> RoundKeeper:
    return keeper_of(chain, tmp_path)


def keeper_of(chain: Chain, folder: Path) -> RoundKeeper:
    """A keeper as after a restart: with what is on disk."""
    kept = KeptRounds(folder / "rounds", LOG)
    return RoundKeeper(kept, cast(Library, chain), cast(SealingKeys, NoKeys()), LOG)


def logs_say(monkeypatch: pytest.MonkeyPatch, files: Callable[[], list[RoundFile]]) -> None:
    monkeypatch.setattr("processor.daemons.rounds.logged_rounds", lambda federation, first, block: (files(), None))


def kept(keeper: RoundKeeper, number: int) -> RoundFile:
    file = keeper.kept.read(number)
    assert file is not None
    return file


# ---------------------------------------------------------------------------------------------------------- the files


def test_what_is_kept_is_read_again_and_private(chain: Chain, keeper: RoundKeeper, tmp_path: Path) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    assert keeper.kept.numbers() == [1]
    assert (tmp_path / "rounds").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "rounds" / "1.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "rounds" / "notes.txt").write_text("mine")
    assert KeptRounds(tmp_path / "rounds", LOG).numbers() == [1]


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b" " * 2_000_000])
def test_a_damaged_file_is_set_aside_and_counts_as_none(
    chain: Chain, keeper: RoundKeeper, tmp_path: Path, damage: bytes
) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    (tmp_path / "rounds" / "1.json").write_bytes(damage)
    with capture_logs() as logs:
        assert keeper.kept.read(1) is None
    assert [entry["event"] for entry in logs] == ["damaged file set aside"]
    assert (tmp_path / "rounds" / "1.damaged").read_bytes() == damage
    keeper_of(chain, tmp_path).keep(now(chain))
    assert digest_of_file(kept(keeper, 1)) == chain.view.digest


def test_a_file_of_a_newer_version_is_refused_by_name_and_left_as_it_is(
    chain: Chain, keeper: RoundKeeper, tmp_path: Path
) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    (tmp_path / "rounds" / "1.json").write_bytes(b'{"kind":"round","version":2}')
    with pytest.raises(NewerVersion, match="1.json: this round has version 2, this program reads up to 1"):
        keeper.kept.read(1)
    assert (tmp_path / "rounds" / "1.json").exists()


def test_a_file_under_the_number_of_another_round_counts_as_damaged(
    chain: Chain, keeper: RoundKeeper, tmp_path: Path
) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    (tmp_path / "rounds" / "1.json").rename(tmp_path / "rounds" / "2.json")
    with capture_logs() as logs:
        assert keeper.kept.read(2) is None
    assert "is of round 1" in logs[0]["error"]


# ------------------------------------------------------------------------------------------------------------ keeping


@pytest.mark.parametrize("phase", [Phase.NONE, Phase.TRAINING])
def test_nothing_is_kept_while_updates_still_come(chain: Chain, keeper: RoundKeeper, phase: Phase) -> None:
    chain.open(1)
    chain.view = replace(chain.view, phase=phase)
    keeper.keep(now(chain))
    assert keeper.kept.numbers() == [] and chain.asked == 0


def test_a_round_is_kept_once_with_its_list_its_record_and_at_last_its_outcome(
    chain: Chain, keeper: RoundKeeper
) -> None:
    chain.open(1)
    for _ in range(3):
        keeper.keep(now(chain))
    assert chain.asked == 1
    file = kept(keeper, 1)
    assert (file.submitted, file.outcome) == (chain.lists[1], None)
    assert (file.record_before, digest_of_file(file)) == (NO_RECORD.hex(), chain.view.digest)
    chain.finalize(keeper)
    keeper.keep(now(chain))
    assert record_of_file(kept(keeper, 1)) == chain.chained
    assert chain.asked == 1


def test_a_finalization_that_was_undone_is_forgotten_and_another_round_takes_the_place_of_one(
    chain: Chain, keeper: RoundKeeper
) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    live = chain.view
    chain.finalize(keeper)
    keeper.keep(now(chain))
    assert kept(keeper, 1).outcome is not None
    chain.view = live
    keeper.keep(now(chain))
    assert kept(keeper, 1).outcome is None
    chain.latest, chain.chained = Release(cid_for("model", 0), None), NO_RECORD
    other = replace(live, pool=live.pool + 1)
    other = replace(other, digest=digest_of(CHAIN_ID, FEDERATION, other.opening, chain.lists[1]))
    chain.view = other
    keeper.keep(now(chain))
    assert digest_of_file(kept(keeper, 1)) == other.digest


def test_a_lost_file_of_a_finalized_round_is_made_of_its_report(
    chain: Chain, keeper: RoundKeeper, tmp_path: Path
) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    chain.finalize(keeper)
    keeper.keep(now(chain))
    before = kept(keeper, 1)
    (tmp_path / "rounds" / "1.json").unlink()
    keeper_of(chain, tmp_path).keep(now(chain))
    assert kept(keeper, 1) == before


def test_a_report_that_is_not_what_the_chain_says_is_not_believed(chain: Chain, keeper: RoundKeeper) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    chain.finalize(keeper)
    cid = chain.latest.report or ""
    chain.reports[cid] = replace(chain.reports[cid], model=cid_for("model", 9))
    with capture_logs() as logs:
        keeper.keep(now(chain))
    assert [entry["event"] for entry in logs] == ["the report of a round is not what the chain says of it"]
    assert kept(keeper, 1).outcome is None


def test_an_outcome_is_kept_as_soon_as_somebody_serves_its_report(chain: Chain, keeper: RoundKeeper) -> None:
    chain.open(1)
    keeper.keep(now(chain))
    chain.finalize(keeper)
    served, chain.reports = chain.reports, {}
    for _ in range(2):
        with pytest.raises(ArtifactUnavailable):
            keeper.keep(now(chain))
    chain.reports = served
    keeper.keep(now(chain))
    assert kept(keeper, 1).outcome is not None


def test_a_list_that_cannot_be_read_is_trouble_while_the_round_goes_on(chain: Chain, keeper: RoundKeeper) -> None:
    chain.open(1)
    chain.lost = True
    for _ in range(2 * PATIENCE):
        with pytest.raises(ChainError):
            keeper.keep(now(chain))


def test_a_list_of_an_abandoned_round_that_the_chain_lost_is_found_in_the_logs(
    chain: Chain, keeper: RoundKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.open(1)
    logged = RoundFile.of(CHAIN_ID, FEDERATION, chain.view.opening, chain.lists[1], NO_RECORD)
    logs_say(monkeypatch, lambda: [replace(logged, updates=logged.updates[:1]), logged])
    chain.abandon()
    chain.lost = True
    for _ in range(PATIENCE - 1):
        with pytest.raises(ChainError):
            keeper.keep(now(chain))
    keeper.keep(now(chain))
    assert kept(keeper, 1) == logged


def test_a_list_that_nobody_has_is_said_once_and_the_federation_goes_on(
    chain: Chain, keeper: RoundKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.open(1)
    logs_say(monkeypatch, list)
    chain.abandon()
    chain.lost = True
    for _ in range(PATIENCE - 1):
        with pytest.raises(ChainError):
            keeper.keep(now(chain))
    with capture_logs() as logs:
        for _ in range(3):
            keeper.keep(now(chain))
    assert [entry["event"] for entry in logs] == ["the list of a round is lost"]


# ------------------------------------------------------------------------------------------------------ going back


def play(chain: Chain, keeper: RoundKeeper, story: str) -> None:
    """Rounds one after the other: f is finalized, a abandoned."""
    for number, ending in enumerate(story, start=chain.view.round + 1):
        chain.open(number)
        keeper.keep(now(chain))
        chain.finalize(keeper) if ending == "f" else chain.abandon()
        keeper.keep(now(chain))


@pytest.mark.parametrize("story", ["", "f", "a", "ff", "fa", "af", "faaf", "aafaffa", "fffaa"])
def test_what_a_report_says_of_the_rounds_before_leads_to_the_record(
    chain: Chain, keeper: RoundKeeper, story: str
) -> None:
    play(chain, keeper, story)
    chain.open(len(story) + 1)
    with capture_logs() as logs:
        record, history = keeper.before(now(chain))
    assert (history.record(), logs) == (record, [])
    finalized = [number for number, ending in enumerate(story, start=1) if ending == "f"]
    assert [each.round for each in history.before] == finalized[-2:][::-1]
    since = range((finalized or [0])[-1] + 1, len(story) + 1)
    assert [each.round for each in history.abandoned] == list(since)


def test_files_that_were_lost_are_found_in_the_logs_and_kept_again(
    chain: Chain, keeper: RoundKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(chain, keeper, "faa")
    chain.open(4)
    files = [kept(keeper, number) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        (tmp_path / "rounds" / f"{number}.json").unlink()
    logs_say(monkeypatch, lambda: files)
    record, history = keeper.before(now(chain))
    assert history.record() == record
    assert [keeper.kept.read(number) for number in (2, 3)] == files[1:]


def test_a_report_that_cannot_lead_back_is_better_than_none_and_that_is_said(
    chain: Chain, keeper: RoundKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(chain, keeper, "fa")
    chain.open(3)
    (tmp_path / "rounds" / "2.json").unlink()
    logs_say(monkeypatch, list)
    with capture_logs() as logs:
        record, history = keeper.before(now(chain))
    assert record == chain.chained != history.record()
    assert [entry["event"] for entry in logs] == ["the report cannot lead back to the rounds before it"]
