"""What a daemon shows of itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from processor.metrics import Metrics


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def values(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Every sample of a metric as Prometheus reads it, by the values of its labels."""
    text = generate_latest(metrics.registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}


def value(metrics: Metrics, name: str) -> float:
    (only,) = values(metrics, name).values()
    return only


def test_cycles_are_counted_by_outcome_and_dated() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    for outcome in ("waited", "train", "waited"):
        metrics.cycle(outcome)
    clock.now = 1_060
    metrics.cycle("trouble")
    assert values(metrics, "koinon_cycles_total") == {("waited",): 2, ("train",): 1, ("trouble",): 1}
    assert value(metrics, "koinon_last_cycle_timestamp_seconds") == 1_060
    assert value(metrics, "koinon_last_success_timestamp_seconds") == 1_000


def test_the_lag_grows_until_the_next_block_is_read() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    assert math.isnan(value(metrics, "koinon_head_lag_seconds"))
    metrics.head(7, 990)
    assert value(metrics, "koinon_head_lag_seconds") == 10
    clock.now = 1_100
    assert value(metrics, "koinon_head_lag_seconds") == 110
    metrics.head(8, 1_099)
    assert (value(metrics, "koinon_head_block"), value(metrics, "koinon_head_lag_seconds")) == (8, 1)


def test_a_round_is_in_one_phase_at_a_time() -> None:
    metrics = Metrics()
    metrics.round(3, "training")
    metrics.round(3, "aggregating")
    phases = values(metrics, "koinon_round_phase")
    assert value(metrics, "koinon_round") == 3
    assert {phase for (phase,), is_it in phases.items() if is_it} == {"aggregating"}
    assert set(phases) == {("none",), ("training",), ("aggregating",), ("finalized",), ("abandoned",)}


@given(st.lists(st.integers(1, 500)))
def test_the_deepest_reorganization_is_kept(depths: list[int]) -> None:
    metrics = Metrics()
    for depth in depths:
        metrics.reorganization(depth)
    assert value(metrics, "koinon_reorganizations_total") == len(depths)
    assert value(metrics, "koinon_reorganization_deepest_blocks") == max(depths, default=0)


def test_a_node_that_is_behind_is_counted_apart_from_reorganizations() -> None:
    metrics = Metrics()
    for blocks in (0, 2, 1, 0):
        metrics.behind(blocks)
    assert value(metrics, "koinon_head_steps_back_total") == 2
    assert value(metrics, "koinon_head_behind_blocks") == 0
    assert value(metrics, "koinon_reorganizations_total") == 0


def test_training_money_transactions_and_storage_are_shown() -> None:
    metrics = Metrics()
    metrics.training(3, 5, 0.25)
    metrics.balance(10**18)
    metrics.funds(2 * 10**18, True)
    metrics.transaction("mined")
    metrics.storage("get", 0.5, "ok")
    metrics.storage("get", 400.0, "failed")
    shown = [value(metrics, f"koinon_training_{name}") for name in ("step", "steps", "loss")]
    assert shown == [3, 5, 0.25]
    assert (value(metrics, "koinon_balance_wei"), value(metrics, "koinon_balance_low")) == (10**18, 1)
    assert value(metrics, "koinon_balance_needed_wei") == 2 * 10**18
    assert values(metrics, "koinon_transactions_total") == {("mined",): 1}
    assert values(metrics, "koinon_storage_seconds_sum") == {("get", "ok"): 0.5, ("get", "failed"): 400}


def test_what_reports_say_of_a_clients_own_updates_is_counted() -> None:
    metrics = Metrics()
    for outcome in ("accepted", "differs", "accepted"):
        metrics.reported(outcome)
    assert values(metrics, "koinon_own_updates_total") == {("accepted",): 2, ("differs",): 1}


def test_two_daemons_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.cycle("waited")
    assert values(one, "koinon_cycles_total") == {("waited",): 1}
    assert values(other, "koinon_cycles_total") == {}


def test_a_daemon_is_healthy_while_cycles_succeed_in_time() -> None:
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=60)
    for now in (50, 100, 150):
        ticks.now = now
        metrics.cycle("waited")
        assert metrics.healthy(now + 60)[0]
    healthy, words = metrics.healthy(211)
    assert not healthy and "61 s" in words and "60 s" in words and "'waited'" in words


def test_trouble_is_no_sign_of_life() -> None:
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=60)
    for now in range(0, 61, 10):
        ticks.now = now
        metrics.cycle("trouble")
    assert metrics.healthy(60)[0]
    healthy, words = metrics.healthy(61)
    assert not healthy and "'trouble'" in words


def test_a_daemon_that_never_ended_a_cycle_is_not_healthy_for_ever() -> None:
    metrics = Metrics(ticks=Clock(0), patience=60)
    assert metrics.healthy(60)[0]
    assert metrics.healthy(61) == (
        False,
        "no cycle has completed and no long step has got on for 61 s, expected within 60 s; no cycle has ended yet: "
        "look into the log",
    )


@pytest.mark.parametrize(
    "sign",
    [
        lambda metrics: metrics.storage("get", 1.0, "ok"),
        lambda metrics: metrics.transaction("mined"),
        lambda metrics: metrics.beat(),
    ],
)
def test_a_long_step_that_gets_on_is_a_sign_of_life(sign) -> None:  # type: ignore[no-untyped-def]
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=60)
    ticks.now = 1_000
    assert not metrics.healthy(1_000)[0]
    sign(metrics)
    assert metrics.healthy(1_060)[0]


def test_nothing_but_failures_is_no_sign_of_life_however_many_there_are() -> None:
    """Half a day in which the storage is asked, transactions are refused, and every cycle ends in trouble."""
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=300)
    for now in range(0, 12 * 3600, 30):
        ticks.now = now
        for outcome in ("unavailable", "refused", "trouble", "error"):
            metrics.storage("get", 5.0, outcome)
        for outcome in ("refused", "dropped", "failed", "sent_again"):
            metrics.transaction(outcome)
        metrics.cycle("trouble")
        assert metrics.healthy(now)[0] == (now <= 300)


def test_what_got_on_in_a_cycle_that_ends_in_trouble_again_is_no_sign_of_life() -> None:
    """The storage serves the plan each time, and the node refuses the settlement each time."""
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=300)
    for now in range(0, 3600, 30):
        ticks.now = now
        metrics.storage("get", 5.0, "ok")
        metrics.cycle("trouble")
        assert metrics.healthy(now)[0] == (now <= 300)


def test_the_first_trouble_after_a_long_step_that_got_on_is_given_the_whole_patience() -> None:
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=60)
    ticks.now = 1_000
    metrics.storage("get", 5.0, "ok")
    ticks.now = 1_010
    metrics.cycle("trouble")
    assert metrics.healthy(1_060)[0] and not metrics.healthy(1_061)[0]
    metrics.cycle("trouble")
    assert not metrics.healthy(1_061)[0]
    ticks.now = 1_100
    metrics.cycle("waited")
    assert metrics.healthy(1_160)[0]


def test_a_step_that_begins_after_trouble_is_a_sign_of_life_while_it_gets_on() -> None:
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=60)
    metrics.cycle("trouble")
    for now in range(50, 1_000, 50):
        ticks.now = now
        metrics.storage("get", 5.0, "ok")
        assert metrics.healthy(now + 49)[0]


def test_a_training_that_gets_on_is_no_sign_of_life_of_the_daemon() -> None:
    ticks = Clock(0)
    metrics = Metrics(ticks=ticks, patience=60)
    ticks.now = 61
    metrics.training(900, 1_000, 0.5)
    assert not metrics.healthy(61)[0]
