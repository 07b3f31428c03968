from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.record import Disturbance, Event, Outcome, calm, table

moments = st.floats(-50, 150, allow_nan=False)


def disturbed(*spans: tuple[float, float], whom: str = "client-1") -> list[Disturbance]:
    return [Disturbance(whom, begin, end) for begin, end in spans]


def test_without_disturbance_all_of_the_time_is_calm() -> None:
    assert calm("client-1", [], 0, 40) == 40
    assert calm("client-1", disturbed((0, 40), whom="client-2"), 0, 40) == 40


def test_the_longest_calm_is_between_disturbances_or_beside_them() -> None:
    assert calm("client-1", disturbed((5, 10), (25, 30)), 0, 40) == 15
    assert calm("client-1", disturbed((5, 10)), 0, 40) == 30
    assert calm("client-1", disturbed((0, 20), (15, 35)), 0, 40) == 5


def test_disturbances_before_and_after_do_not_count() -> None:
    assert calm("client-1", disturbed((-10, -1), (41, 50)), 0, 40) == 40
    assert calm("client-1", disturbed((-10, 3), (38, 50)), 0, 40) == 35


@given(st.lists(st.tuples(moments, moments).map(sorted).map(tuple), max_size=8))
def test_calm_is_what_a_search_of_all_gaps_finds(spans: list[tuple[float, float]]) -> None:
    edges = sorted({0.0, 100.0, *(min(max(edge, 0.0), 100.0) for span in spans for edge in span)})
    longest = current = 0.0
    for begin, end in zip(edges, edges[1:], strict=False):
        middle = (begin + end) / 2
        free = not any(first < middle < last for first, last in spans)
        touched = any(first <= begin <= last for first, last in spans)
        current = (0.0 if touched else current) + (end - begin) if free else 0.0
        longest = max(longest, current)
    found = calm("client-1", disturbed(*spans), 0, 100)
    assert abs(found - longest) < 1e-9


def outcome() -> Outcome:
    events = [
        Event("SIGKILL", "client-1", 2.0, 0.0, recovered=1.0),
        Event("SIGKILL", "client-2", 4.0, 0.0, recovered=5.0),
        Event("stale chain", "organization", 6.0, 3.0),
    ]
    skipped = {"disk full": "no mount namespace", "SIGKILL": "never"}
    return Outcome(0, "episode 1", 60.0, 7, "42 updates", events, ["a wei is missing"], ["round 3: no update"], skipped)


def test_the_table_counts_what_was_injected_and_recovered_and_names_all_else() -> None:
    lines = table([outcome()]).splitlines()
    rows = {line[:30].strip(): line[30:].split() for line in lines}
    assert rows["SIGKILL"] == ["2", "2", "3.0", "s", "5.0", "s"]
    assert rows["stale chain"] == ["1", "0", "-", "-"]
    assert rows["all"][:2] == ["3", "2"]
    assert "skipped: disk full: no mount namespace" in lines
    assert not any(line.startswith("skipped: SIGKILL") for line in lines)
    assert "checked: episode 1: 42 updates" in lines
    assert "lost: episode 1: round 3: no update" in lines
    assert "VIOLATION: episode 1: a wei is missing" in lines
    assert lines[-1] == "7 rounds; 2 kinds of faults; 1 promises broken"


def test_an_outcome_comes_back_from_the_file_as_it_was() -> None:
    assert Outcome.from_json(json.loads(json.dumps(asdict(outcome())))) == outcome()
