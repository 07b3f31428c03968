"""Whoever is selected and silent for long enough may be retired by anybody; what it owns stays its own."""

from __future__ import annotations

import pytest

from .helpers import (
    ABANDONED,
    FINALIZED,
    GWEI,
    NONE,
    STAKE,
    TRAINING,
    abandon,
    client_of,
    decline,
    deploy_federation,
    end_training,
    finalize,
    leave,
    open_round,
    play_round,
    register,
    register_signed,
    reverts,
    submit,
    view,
)


@pytest.fixture(scope="module")
def strict(organization, clients):
    """Two rounds of silence, with a stake."""
    return deploy_federation(organization, clients, stake=STAKE, max_slash_rate=5000, idle_rounds=2)


@pytest.fixture(scope="module")
def free(organization, clients):
    """One round of silence, without a stake."""
    return deploy_federation(organization, clients, idle_rounds=1)


def test_a_member_that_was_silent_long_enough_is_retired_by_anybody(strict, clients, stranger):
    play_round(strict, {clients[0]: 1000, clients[1]: 1000})
    open_round(strict)
    submit(strict, clients[1])
    end_training(strict)
    with reverts("NotIdle", clients[0], 1):
        strict.retire(clients[0], {"from": stranger})
    transaction = strict.retire(clients[2], {"from": stranger})
    left = {"client": clients[2], "index": 2, "moved": clients[4], "retired": True}
    assert transaction.event("Left") == left
    assert strict.members(0, 10) == [clients[0], clients[1], clients[4], clients[3]]
    finalize(strict)
    play_round(strict, {clients[1]: 1000})
    strict.retire(clients[0], {"from": stranger})
    assert strict.memberCount() == 3


def test_what_the_retired_owns_stays_its_own(strict, clients, stranger):
    play_round(strict, {clients[0]: 4000, clients[1]: 1000}, {clients[0]: (3000, 1000)})
    for _ in range(2):
        play_round(strict, {clients[1]: 1000})
    strict.retire(clients[0], {"from": stranger})
    assert strict.balanceOf(clients[0]) == (3 * GWEI, STAKE * 9 // 10)
    with reverts("StakeNotReturned", clients[0], STAKE * 9 // 10):
        register(strict, clients[0])
    assert leave(strict, clients[0]).return_value == 3 * GWEI + STAKE * 9 // 10
    register(strict, clients[0])


def test_where_nothing_is_staked_the_retired_may_come_back_with_what_it_is_owed(free, clients, stranger, relayer):
    play_round(free, {clients[0]: 4000, clients[1]: 1000})
    play_round(free, {clients[1]: 1000})
    free.retire(clients[0], {"from": stranger})
    with reverts("SignatureSpent", clients[0], 2):
        register_signed(free, clients[0], relayer)
    register(free, clients[0])
    assert free.balanceOf(clients[0]) == (4 * GWEI, 0)
    assert free.claim(clients[0], {"from": clients[0]}).return_value == 4 * GWEI


@pytest.mark.parametrize("sign_of_life", [submit, decline])
def test_a_decline_is_no_silence(free, clients, stranger, sign_of_life):
    open_round(free)
    sign_of_life(free, clients[0])
    submit(free, clients[1])
    end_training(free)
    with reverts("NotIdle", clients[0], 1):
        free.retire(clients[0], {"from": stranger})


def test_only_who_was_selected_can_be_retired(free, clients, stranger):
    """Silence of somebody who was not asked is none, however long ago it was heard of."""
    for _ in range(3):
        open_round(free, selection_rate=2000)
        end_training(free)
        selected = [client for client in clients if client_of(free, client)["selected"]]
        assert len(selected) == 1
        for client in clients:
            if client not in selected:
                with reverts("NotIdle", client, 0):
                    free.retire(client, {"from": stranger})
    free.retire(selected[0], {"from": stranger})


def test_who_registered_after_the_opening_or_moved_is_judged_by_where_it_stood(free, clients, stranger):
    open_round(free, selection_rate=4000)
    selected = [client for client in clients if client_of(free, client)["selected"]]
    register(free, stranger)
    leave(free, next(client for client in clients if client not in selected))
    end_training(free)
    with reverts("NotIdle", stranger, 1):
        free.retire(stranger, {"from": stranger})
    for client in selected:
        free.retire(client, {"from": stranger})


def test_nobody_is_retired_before_training_is_over_or_before_there_was_any(free, clients, stranger):
    with reverts("WrongPhase", 0, NONE, 0):
        free.retire(clients[0], {"from": stranger})
    open_round(free)
    with reverts("WrongPhase", 1, TRAINING, 1):
        free.retire(clients[0], {"from": stranger})
    end_training(free)
    assert free.phase() == ABANDONED
    free.retire(clients[0], {"from": stranger})


@pytest.mark.parametrize("outcome", [finalize, abandon])
def test_until_the_next_opening_the_round_that_is_over_judges(free, clients, stranger, outcome):
    open_round(free)
    submit(free, clients[1])
    end_training(free)
    outcome(free)
    free.retire(clients[0], {"from": stranger})
    with reverts("NotIdle", clients[0], 0):
        free.retire(clients[0], {"from": stranger})
    with reverts("NotIdle", clients[1], 1):
        free.retire(clients[1], {"from": stranger})
    assert free.phase() in (FINALIZED, ABANDONED)


def test_where_the_terms_say_never_nobody_is_retired(federation, clients, stranger):
    for _ in range(3):
        play_round(federation, {clients[0]: 1000})
    with reverts("NotIdle", clients[1], 0):
        federation.retire(clients[1], {"from": stranger})


def test_a_stranger_is_no_member_to_retire(free, clients, stranger):
    open_round(free)
    end_training(free)
    with reverts("NotIdle", stranger, 0):
        free.retire(stranger, {"from": stranger})


def test_retiring_in_aggregation_changes_nothing_of_the_round(free, clients, stranger):
    open_round(free)
    submit(free, clients[1], 3000)
    end_training(free)
    before = view(free, clients[1])
    free.retire(clients[4], {"from": stranger})
    assert view(free, clients[1]) == before
    finalize(free)
    assert free.claim(clients[1], {"from": clients[1]}).return_value == 3 * GWEI
