"""What becomes of a transaction that is in no block."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.pending import Pending, Step, decide_pending

STUCK_AFTER = 90.0
FRESH = Pending(nonce_used=False, known=True, refused=False, cancels=False, holds_up=False, age=10)
ANY = st.builds(Pending, *[st.booleans()] * 5, age=st.floats(-1e6, 1e6))


def step(pending: Pending) -> Step:
    return decide_pending(pending, STUCK_AFTER)


def test_a_transaction_on_its_way_is_waited_for() -> None:
    assert step(FRESH) is Step.WAIT


def test_a_transaction_that_is_stuck_is_outbid() -> None:
    assert step(replace(FRESH, age=91)) is Step.OUTBID


def test_a_stuck_transaction_that_the_contract_would_refuse_by_now_is_cancelled() -> None:
    assert step(replace(FRESH, age=91, refused=True)) is Step.CANCEL


def test_a_cancellation_that_is_stuck_itself_is_outbid() -> None:
    assert step(replace(FRESH, age=91, cancels=True)) is Step.OUTBID


def test_a_transaction_that_the_node_lost_is_sent_again() -> None:
    assert step(replace(FRESH, known=False)) is Step.SEND_AGAIN


def test_a_lost_transaction_that_is_of_no_use_any_more_is_given_up() -> None:
    assert step(replace(FRESH, known=False, refused=True)) is Step.GIVE_UP
    assert step(replace(FRESH, known=False, cancels=True)) is Step.GIVE_UP


def test_a_lost_transaction_that_holds_up_others_leaves_no_gap() -> None:
    lost = replace(FRESH, known=False, holds_up=True)
    assert step(replace(lost, refused=True)) is Step.CANCEL
    assert step(replace(lost, cancels=True)) is Step.SEND_AGAIN


@given(ANY)
def test_nothing_is_sent_under_a_nonce_that_is_used(pending: Pending) -> None:
    assert step(replace(pending, nonce_used=True)) is Step.GIVE_UP


@given(ANY)
def test_what_the_contract_would_refuse_is_never_sent_again_as_it_is(pending: Pending) -> None:
    refused = step(replace(pending, refused=True, cancels=False))
    assert refused not in (Step.SEND_AGAIN, Step.OUTBID)


@given(ANY)
def test_what_a_node_has_on_its_way_is_never_forgotten(pending: Pending) -> None:
    assert step(replace(pending, known=True, nonce_used=False)) is not Step.GIVE_UP
