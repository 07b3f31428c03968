"""The gas of a day goes to updates before claims, and once it is spent nothing is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.decide import (
    Approve,
    Claim,
    ClientAction,
    Publish,
    Register,
    Stop,
    Submit,
    Train,
    Wait,
    Working,
)
from processor.protocol.gas import GasOfTheDay, gas_of, training_refusal, within_gas
from processor.protocol.limits import CLAIM_GAS, SUBMIT_GAS

SENT: list[ClientAction] = [Approve(1), Register(), Submit(3), Claim(1)]
FREE: list[ClientAction] = [Wait("no round"), Working("training"), Stop("closed"), Train(3), Publish(3)]

gas = st.integers(0, 10**8)


@given(st.sampled_from(SENT), gas, gas, st.booleans())
def test_no_day_uses_more_than_is_allowed(action: ClientAction, spent: int, most: int, ahead: bool) -> None:
    if within_gas(action, GasOfTheDay(spent, most, ahead)) == action:
        assert spent + gas_of(action) <= most


@given(st.sampled_from(FREE), gas, gas, st.booleans())
def test_what_sends_nothing_is_never_held_up(action: ClientAction, spent: int, most: int, ahead: bool) -> None:
    assert within_gas(action, GasOfTheDay(spent, most, ahead)) == action


@given(st.sampled_from(SENT), gas, gas)
def test_an_update_can_still_be_submitted_after_whatever_was_sent_before_it(
    action: ClientAction, spent: int, most: int
) -> None:
    if within_gas(action, GasOfTheDay(spent, most, submission_ahead=True)) == action and action != Submit(3):
        after = GasOfTheDay(spent + gas_of(action), most, submission_ahead=True)
        assert within_gas(Submit(3), after) == Submit(3)


def test_a_claim_waits_for_the_update_that_is_ahead_and_an_update_for_nothing() -> None:
    day = GasOfTheDay(spent=0, most=SUBMIT_GAS + CLAIM_GAS - 1, submission_ahead=True)
    assert isinstance(within_gas(Claim(1), day), Wait)
    assert within_gas(Submit(3), day) == Submit(3)
    assert within_gas(Claim(1), GasOfTheDay(0, day.most, submission_ahead=False)) == Claim(1)


def test_the_gas_that_a_token_takes_counts_as_what_it_is() -> None:
    day = GasOfTheDay(spent=0, most=20_000_000, submission_ahead=False)
    assert isinstance(within_gas(Claim(1), day, claim_gas=29_000_000), Wait)


def test_the_reason_names_the_setting_and_does_not_change_from_block_to_block() -> None:
    said = {within_gas(Claim(1), GasOfTheDay(spent, 1_000_000, False)) for spent in range(990_000, 1_000_000, 999)}
    [only] = said
    assert isinstance(only, Wait) and "1000000 gas that client.max_gas_per_day allows" in only.reason


@pytest.mark.parametrize(("spent", "refused"), [(1_000, False), (1_001, True)])
def test_nobody_trains_for_an_update_that_could_not_be_submitted(spent: int, refused: bool) -> None:
    day = GasOfTheDay(spent, most=SUBMIT_GAS + 1_000, submission_ahead=True)
    assert (training_refusal(day) is not None) == refused
