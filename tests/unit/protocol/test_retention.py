"""Which artifacts may be let go of: those of rounds that ended long ago, and of nothing that is still needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.retention import DAY, RoundArtifacts, ended_at, expired, has_expired
from tests.unit.protocol.views import round_view

NOW = 1_000 * DAY
CIDS = st.frozensets(st.sampled_from("abcdefgh"))
ENDS = st.integers(NOW - 20 * DAY, NOW + DAY)


@st.composite
def histories(draw: st.DrawFn) -> list[RoundArtifacts]:
    return [RoundArtifacts(number, draw(ENDS), draw(CIDS)) for number in range(1, draw(st.integers(0, 6)) + 1)]


@given(histories(), CIDS, st.integers(1, 25))
def test_nothing_is_let_go_of_that_a_younger_round_or_the_present_refers_to(
    rounds: list[RoundArtifacts], current: frozenset[str], days: int
) -> None:
    released = expired(rounds, current, days, NOW)
    gone = frozenset[str]().union(*released.values())
    assert not gone & current
    for round in rounds:
        if round.ended_at >= NOW - days * DAY:
            assert round.round not in released
            assert not gone & round.cids


@given(histories(), CIDS, st.integers(1, 25))
def test_everything_else_of_a_round_that_expired_is_let_go_of(
    rounds: list[RoundArtifacts], current: frozenset[str], days: int
) -> None:
    released = expired(rounds, current, days, NOW)
    old = [round for round in rounds if round.ended_at < NOW - days * DAY]
    needed = current.union(*(round.cids for round in rounds if round not in old))
    assert released == {round.round: round.cids - needed for round in old}


@given(histories(), CIDS)
def test_what_is_kept_longer_is_never_less(rounds: list[RoundArtifacts], current: frozenset[str]) -> None:
    fewer, more = (expired(rounds, current, days, NOW) for days in (5, 10))
    assert frozenset[str]().union(*more.values()) <= frozenset[str]().union(*fewer.values())


def test_an_artifact_goes_with_the_last_round_that_refers_to_it() -> None:
    first = RoundArtifacts(1, NOW - 10 * DAY, frozenset({"plan", "model 0", "model 1"}))
    second = RoundArtifacts(2, NOW - 4 * DAY, frozenset({"plan", "model 1", "model 2"}))
    assert expired([first, second], {"model 2"}, 5, NOW) == {1: {"model 0"}}
    later = NOW + 2 * DAY
    assert expired([first, second], {"model 2"}, 5, later) == {
        1: {"plan", "model 0", "model 1"},
        2: {"plan", "model 1"},
    }


def test_a_round_is_kept_for_all_of_its_days() -> None:
    assert not has_expired(NOW - 5 * DAY, 5, NOW)
    assert has_expired(NOW - 5 * DAY - 1, 5, NOW)
    assert not has_expired(NOW + DAY, 5, NOW)


def test_a_round_has_ended_when_the_next_opened_or_its_last_deadline_passed() -> None:
    opening = round_view(aggregation_deadline=1_120).opening
    assert ended_at(opening, None) == 1_120
    assert ended_at(opening, round_view(2, opened_at=1_100).opening) == 1_100
    assert ended_at(opening, round_view(2, opened_at=9_000).opening) == 1_120


def test_two_rounds_of_one_number_are_let_go_of_together() -> None:
    undone = RoundArtifacts(1, NOW - 10 * DAY, frozenset({"a", "b"}))
    again = RoundArtifacts(1, NOW - 9 * DAY, frozenset({"b", "c"}))
    assert expired([undone, again], {"c"}, 5, NOW) == {1: {"a", "b"}}
