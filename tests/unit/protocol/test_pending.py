"""What becomes of a transaction that has no receipt."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.pending import PATIENCE, Fate, Pending, Step, Used, decide_pending, decide_used

STUCK_AFTER = 90.0
FRESH = Pending(known=True, refused=False, cancels=False, age=10)
ANY = st.builds(Pending, *[st.booleans()] * 3, age=st.floats(-1e6, 1e6))
CONFIRMATIONS = 64
USED = Used(other=False, depth=CONFIRMATIONS, seconds=PATIENCE)


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


def test_a_lost_transaction_that_is_of_no_use_any_more_has_its_nonce_used_for_nothing() -> None:
    assert step(replace(FRESH, known=False, refused=True)) is Step.CANCEL
    assert step(replace(FRESH, known=False, cancels=True)) is Step.SEND_AGAIN


@given(ANY)
def test_what_the_contract_would_refuse_is_never_sent_again_as_it_is(pending: Pending) -> None:
    refused = step(replace(pending, refused=True, cancels=False))
    assert refused not in (Step.SEND_AGAIN, Step.OUTBID)


def test_what_another_transaction_excludes_is_known_at_once() -> None:
    assert decide_used(Used(other=True, depth=0, seconds=0), CONFIRMATIONS) is Fate.OTHER


@given(st.integers(-5, 500), st.floats(0, 1e6))
def test_without_proof_it_is_awaited_and_then_unknown_and_never_said_to_be_lost(depth: int, seconds: float) -> None:
    fate = decide_used(replace(USED, depth=depth, seconds=seconds), CONFIRMATIONS)
    assert fate is (Fate.UNKNOWN if depth >= CONFIRMATIONS and seconds >= PATIENCE else Fate.AWAITED)
