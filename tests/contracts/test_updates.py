from __future__ import annotations

import pytest

from .chain import CHAIN, Refused
from .helpers import (
    ALREADY_SUBMITTED,
    CLAIM_FIRST,
    COMPUTE_TIME,
    GWEI,
    MAX_SLASH_RATE,
    MOST,
    NOT_SELECTED,
    STAKE,
    TRAINING,
    ZERO_CID,
    ZERO_UPDATE,
    abandon,
    client_of,
    decline,
    digest,
    digest_of,
    end_training,
    finalize,
    key_of,
    leave,
    mine_at,
    now,
    open_round,
    owed,
    play_round,
    register,
    relay,
    reverts,
    sign_update,
    submit,
    update_of,
    view,
)
from .ledger import next_digest


def test_an_update_is_recorded(federation, clients):
    round = open_round(federation)
    transaction = submit(federation, clients[2], 1234, update_cid=digest("sealed update"))
    assert transaction.event("UpdateSubmitted") == {
        "round": round,
        "client": clients[2],
        "updateCid": digest("sealed update"),
        "computeMs": 1234,
    }
    assert client_of(federation, clients[2]).dict() == {
        "client": clients[2],
        "member": True,
        "index": 2,
        "selected": True,
        "last": round,
        "declined": False,
        "updateCid": digest("sealed update"),
        "computeMs": 1234,
        "adjusted": False,
        "slashRate": 0,
        "owed": 0,
        "stake": 0,
    }
    seen = view(federation)
    assert (seen["updateCount"], seen["claimedMs"], seen["creditedMs"]) == (1, 1234, 1234)


def test_claimed_times_add_up(federation, clients):
    open_round(federation)
    for ms, client in enumerate(clients, start=1):
        submit(federation, client, ms)
    assert (view(federation)["updateCount"], view(federation)["claimedMs"]) == (5, 15)


def test_every_update_is_chained_into_the_digest_in_order(federation, clients):
    play_round(federation, {clients[1]: 500})
    open_round(federation)
    expected = digest_of(federation)
    for ms, client in enumerate((clients[3], clients[0], clients[4]), start=7):
        submit(federation, client, ms)
        expected = next_digest(expected, client, update_of(2, client), ms)
        assert digest_of(federation) == expected


def test_another_order_is_another_digest(federation, clients):
    open_round(federation)
    digests = set()
    for order in (clients[:3], clients[2::-1]):
        with CHAIN.imagined():
            for client in order:
                submit(federation, client)
            digests.add(digest_of(federation))
    assert len(digests) == 2


def test_a_client_submits_once_per_round(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    with reverts("UpdateRefused", round, clients[0], ALREADY_SUBMITTED):
        submit(federation, clients[0], update_cid=digest("second thoughts"))
    abandon(federation)
    open_round(federation)
    submit(federation, clients[0])


def test_every_update_stands_in_its_own_round(federation, clients):
    """The second round shows the second update, and nothing of the first."""
    play_round(federation, {clients[0]: 1000, clients[1]: 2000})
    open_round(federation)
    assert client_of(federation, clients[0])["updateCid"] == ZERO_CID
    submit(federation, clients[0], 3000)
    assert client_of(federation, clients[0])["updateCid"] == update_of(2, clients[0])
    (line,) = federation.updates(0, 10)
    assert line.dict() == {
        "client": clients[0],
        "updateCid": update_of(2, clients[0]),
        "computeMs": 3000,
        "ordinal": 0,
        "adjusted": False,
        "slashRate": 0,
    }


def test_leaving_and_registering_again_gives_no_second_update(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    leave(federation, clients[0])
    with reverts("UpdateRefused", round, clients[0], NOT_SELECTED):
        submit(federation, clients[0])
    with reverts("UpdateIsLive", round):
        register(federation, clients[0])


def test_an_update_for_another_sealing_key_is_refused(federation, clients):
    """Neither that of a round that a reorganization removed, nor that of the round before."""
    play_round(federation, {clients[0]: 1000})
    round = open_round(federation)
    for other in (digest("the key of a round that a reorganization removed"), key_of(1)):
        with reverts("WrongSealingKey", round, key_of(2), other):
            submit(federation, clients[0], sealing_key=other)


def test_an_update_of_a_stranger_is_refused(federation, stranger):
    round = open_round(federation)
    with reverts("UpdateRefused", round, stranger, NOT_SELECTED):
        submit(federation, stranger)


def test_an_update_for_a_round_that_is_over_is_refused(federation, clients):
    round = open_round(federation)
    abandon(federation)
    open_round(federation)
    with reverts("WrongPhase", round + 1, TRAINING, round):
        submit(federation, clients[0], round=round)


def test_an_update_is_somewhere(federation, clients):
    round = open_round(federation)
    for ms in (0, 1000):
        with reverts("UpdateRefused", round, clients[0], ZERO_UPDATE):
            submit(federation, clients[0], ms, update_cid=ZERO_CID)


def test_two_updates_may_have_the_same_cid(federation, clients):
    """Else a front-runner could block the victim; the seal makes the copy worthless."""
    open_round(federation)
    submit(federation, clients[1], update_cid=digest("copied"))
    submit(federation, clients[0], update_cid=digest("copied"))
    assert view(federation)["updateCount"] == 2


# ------------------------------------------------------------------------------------------------- compute time


def test_compute_time_is_at_most_what_the_round_allows(federation, clients):
    round = open_round(federation, max_compute_ms=5000)
    for ms in (5001, 0, 2**32 - 1):
        with reverts("UpdateRefused", round, clients[0], COMPUTE_TIME):
            submit(federation, clients[0], ms)
    submit(federation, clients[0], 5000)
    submit(federation, clients[1], 1)


@pytest.mark.parametrize("elapsed", [0, 1, 2, 10])
def test_compute_time_is_at_most_what_has_passed_since_the_opening(federation, clients, elapsed):
    round = open_round(federation, wait=elapsed)
    most = (elapsed + 1) * 1000
    with reverts("UpdateRefused", round, clients[0], COMPUTE_TIME):
        submit(federation, clients[0], most + 1)
    submit(federation, clients[0], most)


def test_work_of_less_than_a_second_passes(federation, clients):
    open_round(federation, wait=0)
    mine_at(now() + 1)
    submit(federation, clients[0], 800)
    assert view(federation)["claimedMs"] == 800


# ------------------------------------------------------------------------------------------------------- booking


def test_the_next_update_books_what_the_last_round_left(staked, clients):
    play_round(staked, {clients[0]: 4000, clients[1]: 1000}, {clients[0]: (3000, MAX_SLASH_RATE)})
    assert staked.balanceOf(clients[0]) == (3 * GWEI, STAKE // 2)
    open_round(staked)
    transaction = submit(staked, clients[0], 2000)
    assert transaction.event("Slashed") == {"round": 1, "client": clients[0], "amount": STAKE // 2}
    assert staked.balanceOf(clients[0]) == (3 * GWEI, STAKE // 2), "the live round adds nothing yet"
    assert submit(staked, clients[1], 2000).all("Slashed") == []
    end_training(staked)
    finalize(staked)
    assert staked.balanceOf(clients[0]) == (5 * GWEI, STAKE // 2)
    assert staked.balanceOf(clients[1]) == (3 * GWEI, STAKE)


def test_many_rounds_add_up_whoever_books_them(federation, clients):
    """Finalized, abandoned, declined, silent: each round is paid once."""
    due = 0
    for number in range(1, 8):
        open_round(federation)
        if number != 4:
            submit(federation, clients[0], 1000 * number)
            due += number * GWEI
        submit(federation, clients[1], 1)
        end_training(federation)
        if number in (2, 5):
            abandon(federation)
        else:
            finalize(federation)
        assert owed(federation, clients[0]) == due
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == due


def owe(federation, client, amount):
    """Writes into the client's seat, which no honest federation fills that far: its top 112 bits are what is owed."""
    call = {"to": federation.address, "data": federation.balanceOf.encode_input(client)}
    touched = CHAIN.request("eth_createAccessList", call, "latest")["accessList"]
    own = federation.address.lower()
    slots = {slot for entry in touched if entry["address"] == own for slot in entry["storageKeys"]}
    for slot in slots:
        kept = CHAIN.request("eth_getStorageAt", federation.address, slot, "latest")
        value = int(kept, 16) % 2**144 | amount << 144
        CHAIN.request("anvil_setStorageAt", federation.address, slot, "0x" + value.to_bytes(32, "big").hex())
        try:
            if federation.balanceOf(client)[0] >= amount:
                return
        except Refused:  # the slot of something else, which cannot be that large
            pass
        CHAIN.request("anvil_setStorageAt", federation.address, slot, kept)
    raise AssertionError("no slot holds what is owed")


def test_an_update_that_would_overflow_what_is_owed_is_refused_until_its_client_claims(federation, clients, relayer):
    """And so is its relayed twin, and a decline; others are not held up."""
    client = clients[0]
    play_round(federation, {client: 1000})
    CHAIN.set_balance(federation, 2**113)
    owe(federation, client, MOST - GWEI + 1)
    round = open_round(federation)
    for attempt in (submit, decline):
        with reverts("UpdateRefused", round, client, CLAIM_FIRST):
            attempt(federation, client)
    signed = [sign_update(federation, each) for each in clients[:2]]
    assert relay(federation, signed, relayer).return_value == 1
    assert federation.claim(client, {"from": client}).return_value == MOST + 1
    submit(federation, client)
    assert view(federation)["updateCount"] == 2


# --------------------------------------------------------------------------------------------------------- views


def test_updates_come_in_the_order_of_seats_and_in_pages(federation, clients):
    open_round(federation)
    for client in (clients[4], clients[0], clients[3]):
        submit(federation, client)
    page = federation.updates(0, 100)
    assert [(each["client"], each["ordinal"]) for each in page] == [(clients[0], 1), (clients[3], 2), (clients[4], 0)]
    assert [each["client"] for each in federation.updates(1, 3)] == [clients[3]]
    assert federation.updates(1, 2) == []
    assert federation.updates(5, 2**256 - 1) == []
    assert federation.updates(2**256 - 1, 2**256 - 1) == []
    assert federation.updates(0, 0) == []
    assert federation.seatCount() == 5


def test_an_update_outlives_the_membership_while_the_round_is_live(federation, clients):
    open_round(federation)
    submit(federation, clients[1])
    leave(federation, clients[1])
    (line,) = federation.updates(0, 100)
    assert line["client"] == clients[1]
    seen = client_of(federation, clients[1])
    assert (seen["member"], seen["index"], seen["selected"]) == (False, 0, True)
    end_training(federation)
    finalize(federation)
    assert [line["client"] for line in federation.updates(0, 100)] == [clients[1]]
    leave(federation, clients[1])
    assert federation.updates(0, 100) == [], "who is settled with takes its line along"


def test_an_adjusted_update_shows_what_it_is_credited(staked, clients):
    play_round(staked, {clients[0]: 3000, clients[1]: 3000}, {clients[0]: (1000, 17)})
    lines = {line["client"]: line for line in staked.updates(0, 10)}
    adjusted, plain = lines[clients[0]], lines[clients[1]]
    assert (adjusted["computeMs"], adjusted["adjusted"], adjusted["slashRate"]) == (1000, True, 17)
    assert (plain["computeMs"], plain["adjusted"], plain["slashRate"], plain["ordinal"]) == (3000, False, 0, 1)


def test_the_next_opening_ends_the_views_of_the_round_before(federation, clients):
    play_round(federation, dict.fromkeys(clients, 1000))
    open_round(federation)
    assert federation.updates(0, 100) == []
    assert not any(client_of(federation, client)["computeMs"] for client in clients)
