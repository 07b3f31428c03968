from __future__ import annotations

from pathlib import Path

from tests.chaos.__main__ import Results
from tests.chaos.record import Event, Outcome


def outcome(number: int) -> Outcome:
    return Outcome(number, f"episode {number}", 60.0, 7, events=[Event("SIGKILL", "client-1", 2.0, 0.0, "", 1.5)])


def test_a_run_goes_on_after_the_episodes_that_were_played(tmp_path: Path) -> None:
    Results(tmp_path / "chaos.json", "code").put(outcome(0))
    again = Results(tmp_path / "chaos.json", "code")
    assert again.get(0) == outcome(0)
    assert again.get(1) is None
    again.put(outcome(1))
    assert Results(tmp_path / "chaos.json", "code").get(1) == outcome(1)


def test_what_was_played_with_other_code_is_forgotten(tmp_path: Path) -> None:
    Results(tmp_path / "chaos.json", "code").put(outcome(0))
    assert Results(tmp_path / "chaos.json", "other code").get(0) is None
