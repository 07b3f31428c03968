"""What is handed over to relays, when they send it, and what they promise; pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.signed import sign_decline, sign_leaving, sign_registration, sign_update
from processor.errors import ArtifactError
from processor.protocol.decide import Wait
from processor.protocol.relaying import (
    DAY,
    HANDED_LIMIT,
    KINDS,
    LEAST_LEFT,
    Budget,
    Flush,
    Handed,
    HandedLeaving,
    HandedRegistration,
    HandedUpdate,
    HandedVoucher,
    Pass,
    PayOut,
    RelaySituation,
    Spent,
    Taken,
    day_of,
    decide_relay,
    decode_handed,
    encode_handed,
    every_relay_at,
    flush_at,
    flush_due,
    kind_of,
    least_left,
    leaving_refusal,
    over_budget,
    registration_refusal,
    self_submit_at,
    too_late,
    update_refusal,
)
from processor.types import Phase
from tests.unit.protocol.views import cid_for, client_view, digest_for, round_view

CHAIN = 31337
FEDERATION = "0x" + "22" * 20
CLIENTS = [Account.from_key(digest_for("client", number)) for number in range(6)]


def update(round: int, client: int = 0, federation: str = FEDERATION) -> HandedUpdate:
    account, key = CLIENTS[client], digest_for("sealing key", round)
    cid, compute_ms = cid_for(f"update of {client}", round), 100 * round + client + 1
    signed = sign_update(account, CHAIN, federation, round, key, cid, compute_ms)
    return HandedUpdate(CHAIN, federation, account.address, round, key.hex(), cid, compute_ms, signed.signature.hex())


def decline(round: int, client: int = 0) -> HandedUpdate:
    account, key = CLIENTS[client], digest_for("sealing key", round)
    signed = sign_decline(account, CHAIN, FEDERATION, round, key)
    return HandedUpdate(CHAIN, FEDERATION, account.address, round, key.hex(), None, 0, signed.signature.hex())


def registration(round: int, client: int = 0, deadline: int = 10_000) -> HandedRegistration:
    account = CLIENTS[client]
    signature = sign_registration(account, CHAIN, FEDERATION, round, deadline).hex()
    return HandedRegistration(CHAIN, FEDERATION, account.address, round, deadline, signature, None)


def leaving(round: int, client: int = 0, deadline: int = 10_000) -> HandedLeaving:
    account = CLIENTS[client]
    to = CLIENTS[-1].address
    signature = sign_leaving(account, CHAIN, FEDERATION, round, to, deadline).hex()
    return HandedLeaving(CHAIN, FEDERATION, account.address, round, to, deadline, signature)


EVERYTHING: list[Handed] = [update(3), decline(4, 1), registration(0, 2), registration(5, 3), leaving(6, 4)]


# ---------------------------------------------------------------------------------------------- what is handed over


@pytest.mark.parametrize("handed", EVERYTHING, ids=kind_of)
def test_what_is_handed_over_is_read_back_to_the_byte_and_names_its_signer(handed: Handed) -> None:
    assert decode_handed(encode_handed(handed)) == handed
    assert handed.signer() == handed.client


def test_a_voucher_travels_with_a_registration() -> None:
    handed = replace(registration(2), voucher=HandedVoucher(str(2**256 - 1), 9_999, 3, "ab" * 65))
    assert decode_handed(encode_handed(handed)) == handed


@pytest.mark.parametrize(
    "change",
    [
        {"round": 4},
        {"sealing_key": "00" * 32},
        {"chain_id": 1},
        {"federation": CLIENTS[-1].address},
        {"compute_ms": 7},
        {"update": cid_for("another", 3)},
        {"signature": "11" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_is_changed_the_signature_is_somebody_elses(change: dict[str, Any]) -> None:
    assert replace(update(3), **change).signer() != CLIENTS[0].address


def document(handed: Handed, **changes: Any) -> bytes:
    return json.dumps({**json.loads(encode_handed(handed)), **changes}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not JSON"),
        (b"[]", "one of signed-update, signed-registration, signed-leaving"),
        (document(update(3), kind="update"), "one of signed-update"),
        (document(update(3), kind=["signed-update"]), "one of signed-update"),
        (document(update(3), version=2), "has version 2"),
        (document(update(3), samples=3), "samples: is unknown"),
        (document(update(3), signature="0x" + "11" * 64), "signature"),
        (document(update(3), signature="11" * 65), "signature"),
        (document(update(3), round=0), "round"),
        (document(update(3), round=2**24), "round"),
        (document(update(3), round="3"), "round"),
        (document(update(3), compute_ms=2**32), "compute_ms"),
        (document(update(3), update="Qm"), "update"),
        (document(update(3), client=FEDERATION[:-1]), "client"),
        (document(update(3), update=None), "to decline, null and 0"),
        (document(update(3), compute_ms=0), "to decline, null and 0"),
        (document(registration(3), deadline=2**40), "deadline"),
        (document(registration(3), voucher={"id": "-1"}), "voucher"),
        (document(leaving(3), to=None), "to"),
        (b" " * (HANDED_LIMIT + 1), "larger than"),
    ],
)
def test_what_is_no_hand_over_is_refused_with_its_mistakes(body: bytes, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        decode_handed(body)


def test_every_kind_has_its_name() -> None:
    assert [kind_of(handed) for handed in EVERYTHING[1:4]] == ["signed-update"] + ["signed-registration"] * 2
    assert set(map(kind_of, EVERYTHING)) == set(KINDS)


# ------------------------------------------------------------------------------------------------------- in what time


def test_a_relay_sends_at_half_all_get_it_at_three_eighths_and_the_client_itself_at_a_quarter() -> None:
    assert (flush_at(1_000, 1_800), every_relay_at(1_000, 1_800), self_submit_at(1_000, 1_800)) == (1_400, 1_500, 1_600)


@given(first=st.integers(0, 2**40), remaining=st.integers(-100, 2**32))
def test_the_times_come_in_this_order_and_none_is_after_the_deadline(first: int, remaining: int) -> None:
    deadline = first + remaining
    if remaining <= 0:
        assert flush_at(first, deadline) == first and self_submit_at(first, deadline) == deadline
        return
    assert first <= flush_at(first, deadline) <= every_relay_at(first, deadline) + 1
    assert every_relay_at(first, deadline) <= self_submit_at(first, deadline) <= deadline
    assert 4 * (deadline - self_submit_at(first, deadline)) <= remaining


@pytest.mark.parametrize(
    ("now", "waiting", "awaited", "due"),
    [
        (1_000, 0, 5, False),  # nothing is there
        (1_000, 2, 5, False),
        (1_399, 2, 5, False),
        (1_400, 2, 5, True),  # half of the time is left
        (1_000, 4, 5, True),  # a batch is full
        (1_000, 3, 3, True),  # nobody else is awaited
        (1_000, 1, 0, True),
        (1_400, 0, 5, False),
    ],
)
def test_updates_are_sent_when_a_batch_is_full_all_are_there_or_half_of_the_time_is_left(
    now: int, waiting: int, awaited: int, due: bool
) -> None:
    found = flush_due(now=now, deadline=1_800, first_handover=1_000, waiting=waiting, awaited=awaited, batch=4)
    assert found is due


@pytest.mark.parametrize(
    ("period", "left", "late"),
    [(3_600, LEAST_LEFT, False), (3_600, LEAST_LEFT - 1, True), (40, 10, False), (40, 9, True), (40, -1, True)],
)
def test_a_relay_promises_nothing_for_the_last_moments(period: int, left: int, late: bool) -> None:
    view = round_view(7, training_deadline=7_000 + period)
    assert too_late(view, view.training_deadline - left) is late
    assert least_left(view) == min(LEAST_LEFT, period // 4)


# -------------------------------------------------------------------------------------------------------- at what cost


def test_budgets_are_for_a_day_a_client_and_registrations() -> None:
    budget = Budget(gas_per_day=1_000, gas_per_client=300)
    assert over_budget(budget, Spent(today=700, client=200), 100) is None
    assert "on one client" in str(over_budget(budget, Spent(today=700, client=201), 100))
    assert "for today is used up" in str(over_budget(budget, Spent(today=901), 100))
    assert over_budget(budget, Spent(today=400, registrations=400), 100, registers=True) is None
    assert "half of its" in str(over_budget(budget, Spent(today=401, registrations=401), 100, registers=True))
    assert over_budget(budget, Spent(today=401, registrations=401), 100) is None


def test_a_day_is_of_the_chains_time() -> None:
    assert [day_of(DAY - 1), day_of(DAY), day_of(3 * DAY + 5)] == [0, 1, 3]


# ------------------------------------------------------------------------------------------------- whether it is taken


@pytest.mark.parametrize("round", [1, 2, 9])
def test_an_update_of_a_selected_client_is_taken_in_its_round(round: int) -> None:
    view = round_view(round)
    assert update_refusal(view, view.opened_at, update(round)) is None
    assert update_refusal(view, view.opened_at, decline(round)) is None


@pytest.mark.parametrize(
    ("changes", "client", "words"),
    [
        ({"round": 4}, {}, "latest round is 4"),
        ({"sealing_key": digest_for("sealing key", 4)}, {}, "another sealing key"),
        ({"phase": Phase.AGGREGATING}, {}, "in aggregating"),
        ({"phase": Phase.ABANDONED}, {}, "in abandoned"),
        ({}, {"update": cid_for("update", 3), "compute_ms": 4}, "has an update in"),
        ({}, {"declined": True}, "has declined"),
        ({}, {"selected": False}, "did not select"),
        ({"opened_at": 2_000, "training_deadline": 3_003}, {}, "3 s of the training"),
    ],
)
def test_an_update_that_the_chain_would_not_show_is_not_promised(
    changes: dict[str, Any], client: dict[str, Any], words: str
) -> None:
    view = replace(round_view(3, client=client_view(**client)), **changes)
    assert words in str(update_refusal(view, 3_000, update(3)))


def test_a_registration_is_taken_of_who_is_no_member_for_the_latest_round() -> None:
    stranger = client_view(member=False, selected=False)
    view = round_view(3, client=stranger)
    assert registration_refusal(view, 3_000, registration(3), stake=0) is None
    assert "asks for a stake" in str(registration_refusal(view, 3_000, registration(3), stake=1))
    assert "a member already" in str(registration_refusal(round_view(3), 3_000, registration(3), stake=0))
    assert "latest is 3" in str(registration_refusal(view, 3_000, registration(2), stake=0))
    late = registration(3, deadline=3_000 + LEAST_LEFT - 1)
    assert "deadline" in str(registration_refusal(view, 3_000, late, stake=0))


def test_a_leaving_is_taken_of_a_member_and_of_who_is_owed_something() -> None:
    assert leaving_refusal(round_view(3), 3_000, leaving(3)) is None
    gone = client_view(member=False, selected=False)
    for holds in (replace(gone, owed=1), replace(gone, stake=1)):
        assert leaving_refusal(round_view(3, client=holds), 3_000, leaving(3)) is None
    assert "is no member" in str(leaving_refusal(round_view(3, client=gone), 3_000, leaving(3)))
    assert "latest is 3" in str(leaving_refusal(round_view(3), 3_000, leaving(4)))


# -------------------------------------------------------------------------------------------------- what a relay does


def taken(*handed: Handed, at: int = 5_000) -> tuple[Taken, ...]:
    return tuple(Taken(id, at + 2 * id, each) for id, each in enumerate(handed))


def situation(**changes: Any) -> RelaySituation:
    fields: dict[str, Any] = {
        "now": 5_001,
        "round": round_view(5, training_deadline=5_100, selected_count=4, member_count=4),
        "updates": (),
        "calls": (),
        "owed": {},
        "claim_threshold": None,
        "batch": 3,
        "transaction_pending": False,
    }
    return RelaySituation(**{**fields, **changes})


def test_updates_come_first_then_registrations_then_payments() -> None:
    updates, calls = taken(*(update(5, client) for client in range(4))), taken(registration(5, 5), leaving(5, 4))
    owed = {CLIENTS[0].address: 9, CLIENTS[1].address: 10}
    everything = situation(updates=updates, calls=calls, owed=owed, claim_threshold=10)
    assert decide_relay(everything) == Flush(updates[:3])
    assert decide_relay(replace(everything, updates=updates[:2])) == Pass(calls[0])
    assert decide_relay(replace(everything, updates=(), calls=())) == PayOut(CLIENTS[1].address, 10)
    assert isinstance(decide_relay(replace(everything, updates=(), calls=(), owed={})), Wait)
    assert isinstance(decide_relay(replace(everything, updates=(), calls=(), claim_threshold=None)), Wait)
    assert isinstance(decide_relay(replace(everything, transaction_pending=True)), Wait)


def test_nothing_is_claimed_where_nothing_is_owed_whatever_the_threshold() -> None:
    assert isinstance(decide_relay(situation(owed={CLIENTS[0].address: 0}, claim_threshold=0)), Wait)


def test_the_first_of_those_that_wait_decides_when_half_of_the_time_is_left() -> None:
    updates = taken(update(5, 0), update(5, 1), at=5_020)
    assert isinstance(decide_relay(situation(updates=updates, now=5_059)), Wait)
    assert decide_relay(situation(updates=updates, now=5_060)) == Flush(updates)
    assert isinstance(decide_relay(situation(updates=updates[1:], now=5_060)), Wait)


def test_who_is_absent_or_in_is_not_waited_for() -> None:
    view = round_view(5, training_deadline=5_100, selected_count=4, member_count=4, update_count=1, absent_count=1)
    updates = taken(update(5, 0), decline(5, 1))
    assert decide_relay(situation(round=view, updates=updates)) == Flush(updates)
    assert isinstance(decide_relay(situation(round=view, updates=updates[:1])), Wait)


def test_after_the_training_nothing_of_the_round_is_sent() -> None:
    view = round_view(5, phase=Phase.AGGREGATING, training_deadline=5_100)
    assert isinstance(decide_relay(situation(round=view, updates=taken(update(5)), now=5_100)), Wait)
