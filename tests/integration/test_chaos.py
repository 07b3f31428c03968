"""The short form of `make chaos`: always the same faults, so that a promise that breaks can be looked into."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.__main__ import QUICK, QUICK_GAP, SEED
from tests.chaos.episode import play_episode
from tests.chaos.record import table


def test_a_federation_keeps_its_promises_whatever_happens_to_it(tmp_path: Path) -> None:
    outcome = play_episode(SEED, QUICK, tmp_path, print, QUICK_GAP)
    assert outcome.violations == [], table([outcome])
    assert len(outcome.events) == QUICK.faults
    assert all(event.recovered is not None for event in outcome.events)
    assert outcome.rounds > 0
