"""A kept folder: written whole, read without belief, and never another federation's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from processor.artifacts.report import REPORT as REPORTS
from processor.cid import cid_of
from processor.errors import ConfigurationError, NewerVersion
from processor.protocol.walk.kept import Kept
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, REPORT, ROUND
from tests.unit.protocol.histories import CHAIN_ID, History


def kept_in(folder: Path) -> Kept:
    return Kept(folder, CHAIN_ID, FEDERATION)


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    kept = kept_in(tmp_path / "kept")
    assert kept.rounds() == []
    assert kept.artifact(cid_of(b"anything")) is None
    assert not (tmp_path / "kept").exists()


def test_rounds_are_given_back_in_their_order(tmp_path: Path) -> None:
    kept, files = kept_in(tmp_path), History.of("FAFFAFFAFFA").files
    for file in reversed(files):
        kept.keep_round(file)
    assert kept.rounds() == files
    assert {path.name for path in (tmp_path / "rounds").iterdir()} == {f"{n}.json" for n in range(1, 12)}


def test_artifacts_are_given_back_under_their_cids_if_they_are_whole(tmp_path: Path) -> None:
    kept, data = kept_in(tmp_path), REPORTS.encode(REPORT)
    cid = cid_of(data)
    kept.keep_artifact(cid, data)
    assert kept.artifact(cid) == data
    (tmp_path / "artifacts" / cid).write_bytes(data[:-1])
    assert kept.artifact(cid) is None


def test_a_damaged_round_counts_as_none_and_is_written_again(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    kept.keep_round(ROUND)
    path = tmp_path / "rounds" / f"{ROUND.round}.json"
    path.write_bytes(path.read_bytes()[:-1])
    assert kept.rounds() == []
    kept.keep_round(ROUND)
    assert kept.rounds() == [ROUND]


def test_what_is_kept_already_is_not_written_again(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    kept.keep_round(ROUND)
    path = tmp_path / "rounds" / f"{ROUND.round}.json"
    before = path.stat().st_ino
    kept.keep_round(ROUND)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("other", [replace(ROUND, chain_id=1), replace(ROUND, federation=CLIENTS[0])])
def test_a_folder_of_another_federation_is_refused(tmp_path: Path, other: object) -> None:
    kept = kept_in(tmp_path)
    kept.keep_round(other)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="Give each federation a folder of its own"):
        kept.rounds()


def test_a_round_that_a_newer_koinon_kept_is_refused_by_name_and_never_replaced(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    kept.keep_round(ROUND)
    path = tmp_path / "rounds" / f"{ROUND.round}.json"
    newer = path.read_bytes().replace(b'"version":1', b'"version":9')
    path.write_bytes(newer)
    with pytest.raises(NewerVersion, match=f"{path}: this round has version 9, this program reads up to 1"):
        kept.rounds()
    with pytest.raises(NewerVersion, match=f"{path}: this round has version 9"):
        kept.keep_round(ROUND)
    assert path.read_bytes() == newer
