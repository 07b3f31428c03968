"""What becomes of each update, and what the contract is told about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.aggregation.facts import Facts
from processor.artifacts.plan import Slashing
from processor.cid import cid_of
from processor.protocol.examine import Content, Examined
from processor.protocol.judge import (
    METERING,
    REASONS,
    SLASHED,
    UNAVAILABLE,
    accepted_of,
    adjustments_of,
    judge,
)
from processor.types import Adjustment, Submitted
from tests.unit.artifacts.examples import PLAN

RATE = 2_500
FLOOR_MS = PLAN.metering.floor_ms
FACTS = Facts(delta_norm=1.0, fisher_norm=None)


def examined(number: int, reason: str | None = None, compute_ms: int = FLOOR_MS) -> Examined:
    submitted = Submitted(f"0x{number:040x}", cid_of(str(number).encode()), compute_ms)
    content = Content(Path("opened"), 10 + number, FACTS)
    return Examined.rejected(submitted, reason) if reason else Examined(submitted, content, None)


def adjustments(*items: Examined, rate: int = RATE) -> tuple[Adjustment, ...]:
    return adjustments_of(judge(items, replace(PLAN, slashing=Slashing(rate))))


@pytest.mark.parametrize("reason", sorted(SLASHED))
def test_what_only_its_client_can_have_broken_is_rejected_and_slashed(reason: str) -> None:
    assert adjustments(examined(1), examined(2, reason)) == (Adjustment(f"0x{2:040x}", 0, RATE),)


def test_an_update_that_nobody_serves_is_rejected_and_costs_no_stake() -> None:
    assert adjustments(examined(1, UNAVAILABLE)) == (Adjustment(f"0x{1:040x}", 0, 0),)


def test_compute_time_far_above_the_others_is_lowered_and_costs_no_stake() -> None:
    greedy = examined(3, compute_ms=100 * FLOOR_MS)
    assert adjustments(examined(1), examined(2), greedy) == (Adjustment(f"0x{3:040x}", 3 * FLOOR_MS, 0),)


def test_every_rejection_but_these_two_is_the_clients_own_fault() -> None:
    assert REASONS.keys() - SLASHED == {UNAVAILABLE, METERING}


def test_a_plan_that_slashes_nothing_only_rejects() -> None:
    assert adjustments(examined(1, "norm"), rate=0) == (Adjustment(f"0x{1:040x}", 0, 0),)


@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from(sorted(REASONS.keys() - {METERING})), st.integers(1, 2**32 - 1)),
        max_size=20,
    ),
    st.integers(0, 10_000),
)
def test_only_rejected_updates_are_slashed_and_adjustments_only_lower_in_ascending_order(
    outcomes: list[tuple[str | None, int]], rate: int
) -> None:
    items = [examined(number, *outcome) for number, outcome in enumerate(outcomes, start=1)]
    found = adjustments(*reversed(items), rate=rate)
    assert [int(each.client, 16) for each in found] == sorted(int(each.client, 16) for each in found)
    for each in found:
        item = items[int(each.client, 16) - 1]
        assert each.credited_ms < item.submitted.compute_ms
        assert each.slash_rate == (rate if item.reason in SLASHED else 0)
        assert each.slash_rate == 0 or each.credited_ms == 0


def test_lines_stand_in_the_order_of_submission_with_claim_and_samples() -> None:
    greedy = examined(1, compute_ms=100 * FLOOR_MS)
    lines = judge([examined(3), greedy, examined(2)], PLAN)
    assert [int(line.client, 16) for line in lines] == [3, 1, 2]
    assert [line.claimed_ms for line in lines] == [FLOOR_MS, 100 * FLOOR_MS, FLOOR_MS]
    assert [line.weight for line in lines] == [13, 11, 12]


def test_a_weight_is_the_samples_up_to_the_plans_most() -> None:
    modest = replace(PLAN, aggregation=replace(PLAN.aggregation, max_weight=12))
    assert [line.weight for line in judge([examined(1), examined(2), examined(3)], modest)] == [11, 12, 12]


def test_what_is_averaged_is_what_is_not_rejected_with_the_weights_that_are_reported() -> None:
    items = [examined(3), examined(1, "norm"), examined(2, compute_ms=100 * FLOOR_MS)]
    lines = judge(items, PLAN)
    assert [(one.client, one.weight, one.facts) for one in accepted_of(items, lines)] == [
        (line.client, line.weight, FACTS) for line in lines if line.weight > 0
    ]
