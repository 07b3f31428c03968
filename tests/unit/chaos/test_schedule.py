from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.schedule import Episode, plan_episodes, plan_faults

WEIGHTS = {"kill": 5, "outage": 2, "reorganization": 1, "impossible here": 0}
seeds = st.integers(0, 2**32)


def episode(faults: int = 30, number: int = 0) -> Episode:
    return Episode(number, faults, "anvil", "local", 6)


@given(seeds)
def test_a_seed_always_draws_the_same_faults(seed: int) -> None:
    assert plan_faults(seed, episode(), WEIGHTS) == plan_faults(seed, episode(), WEIGHTS)


@given(seeds)
def test_another_seed_or_episode_draws_others(seed: int) -> None:
    drawn = plan_faults(seed, episode(), WEIGHTS)
    assert drawn != plan_faults(seed + 1, episode(), WEIGHTS)
    assert drawn != plan_faults(seed, episode(number=1), WEIGHTS)


@given(seeds)
def test_what_a_fault_draws_depends_on_its_own_seed_alone(seed: int) -> None:
    first, second, *_ = plan_faults(seed, episode(), WEIGHTS)
    assert first.random().random() == first.random().random()
    assert first.random().random() != second.random().random()


@given(seeds, st.integers(3, 60))
def test_every_kind_that_is_possible_comes_and_no_other(seed: int, faults: int) -> None:
    drawn = Counter(planned.name for planned in plan_faults(seed, episode(faults), WEIGHTS))
    assert set(drawn) == {"kill", "outage", "reorganization"}
    assert drawn.total() == faults


@given(seeds)
def test_an_episode_may_ask_for_some_kinds_only(seed: int) -> None:
    chosen = replace(episode(2), only=("kill", "outage", "impossible here"))
    assert {planned.name for planned in plan_faults(seed, chosen, WEIGHTS)} == {"kill", "outage"}


@given(seeds)
def test_faults_come_one_after_the_other_and_hit_somebody_who_is_there(seed: int) -> None:
    drawn = plan_faults(seed, episode(), WEIGHTS, gap=(1.0, 2.0))
    gaps = [later.at - earlier.at for earlier, later in zip(drawn, drawn[1:], strict=False)]
    assert all(1.0 <= gap <= 2.0 for gap in gaps)
    assert all(0 <= planned.victim <= 6 for planned in drawn)


@given(st.integers(1, 1000), st.integers(1, 60))
def test_episodes_share_all_faults_and_are_not_too_long(faults: int, size: int) -> None:
    episodes = plan_episodes(faults, size, ["anvil", "geth"], ["kubo", "local"], 6)
    assert sum(each.faults for each in episodes) == faults
    assert all(0 < each.faults <= size for each in episodes)
    assert [each.number for each in episodes] == list(range(len(episodes)))


def test_a_whole_run_sees_every_chain_with_every_storage() -> None:
    episodes = plan_episodes(200, 40, ["anvil", "geth"], ["kubo", "local"], 6)
    assert {(each.chain, each.storage) for each in episodes} == {
        ("anvil", "kubo"),
        ("anvil", "local"),
        ("geth", "kubo"),
        ("geth", "local"),
    }
