"""Artifacts are read with their kind, under its limit, and once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from processor.artifacts.model import MODEL
from processor.artifacts.plan import PLAN
from processor.artifacts.report import REPORT
from processor.cid import cid_of
from processor.errors import ArtifactError, ArtifactTooLarge, ArtifactUnavailable
from processor.storage import LocalStorage, put_bytes
from processor.storage.library import REMEMBERED, Library
from processor.types import Cid
from tests.unit.artifacts import examples


class Counted(LocalStorage):
    """A store that counts what is read from it."""

    reads = 0

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        self.reads += 1
        super().get(cid, to, limit, seconds)


@pytest.fixture
def store(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "store")


def test_what_is_published_is_read_back_and_has_the_cid_of_its_bytes(store: Counted) -> None:
    library = Library(store)
    cid = library.publish(PLAN, examples.PLAN)
    assert cid == cid_of(PLAN.encode(examples.PLAN))
    assert library.read(PLAN, cid) == examples.PLAN


def test_an_artifact_is_read_once(store: Counted) -> None:
    library = Library(store)
    cid = library.publish(REPORT, examples.REPORT)
    assert library.read(REPORT, cid) == library.read(REPORT, cid)
    assert store.reads == 1


def test_what_was_read_long_ago_is_read_again(store: Counted) -> None:
    library = Library(store)
    plans = [replace(examples.PLAN, initialization_seed=seed) for seed in range(REMEMBERED + 1)]
    first, *others = [library.publish(PLAN, plan) for plan in plans]
    for cid in (first, *others, *others):
        library.read(PLAN, cid)
    assert store.reads == len(plans)
    assert library.read(PLAN, first) == plans[0]
    assert store.reads == len(plans) + 1


def test_an_artifact_that_was_read_is_still_of_no_other_kind(store: Counted) -> None:
    library = Library(store)
    cid = library.publish(PLAN, examples.PLAN)
    library.read(PLAN, cid)
    with pytest.raises(ArtifactError, match="this is no report: its kind is 'plan'"):
        library.read(REPORT, cid)


def test_an_artifact_that_could_not_be_had_is_asked_for_again(store: Counted) -> None:
    library = Library(store)
    with pytest.raises(ArtifactUnavailable):
        library.read(PLAN, cid_of(PLAN.encode(examples.PLAN)))
    cid = library.publish(PLAN, examples.PLAN)
    assert library.read(PLAN, cid) == examples.PLAN


def test_no_more_is_read_than_the_kind_allows(store: Counted) -> None:
    with pytest.raises(ArtifactTooLarge):
        Library(store).read(PLAN, put_bytes(store, bytes(PLAN.limit + 1)))


def test_what_could_not_be_read_back_is_not_published(store: Counted) -> None:
    with pytest.raises(ArtifactError, match=r"local\.batch_size: should be greater than or equal to 1"):
        Library(store).publish(PLAN, replace(examples.PLAN, local=replace(examples.PLAN.local, batch_size=0)))
    assert not store.directory.exists() or not list(store.directory.iterdir())


def test_a_file_is_fetched_under_the_smaller_of_two_limits(store: Counted, tmp_path: Path) -> None:
    library, model = Library(store), put_bytes(store, b"a model's bytes")
    library.fetch(MODEL, model, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"a model's bytes"
    with pytest.raises(ArtifactTooLarge):
        library.fetch(MODEL, model, tmp_path / "model", limit=5)


def test_what_somebody_kept_is_not_asked_for(store: Counted) -> None:
    kept = {cid_of(PLAN.encode(examples.PLAN)): PLAN.encode(examples.PLAN)}
    library = Library(store, kept.get)
    (cid,) = kept
    assert library.read(PLAN, cid) == examples.PLAN
    assert store.reads == 0
