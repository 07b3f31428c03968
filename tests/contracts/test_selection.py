"""Exactly k of the n living members, in turn, in every order of joining, leaving and moving."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .chain import CHAIN, deploy
from .helpers import (
    NOT_SELECTED,
    TRAINING,
    abandon,
    client_of,
    deploy_federation,
    leave,
    open_round,
    person,
    register,
    reverts,
    submit,
    view,
)

PRIME = 2**31 - 1
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def arithmetic(organization):
    return deploy("Arithmetic", {"from": organization})


def selected_of(federation, people):
    return [client for client in people if client_of(federation, client)["selected"]]


@relaxed
@given(n=st.integers(1, 400), rate=st.integers(1, 10_000), most=st.integers(1, 1000), before=st.integers(0, 2**24 - 1))
def test_exactly_k_members_are_selected(arithmetic, n, rate, most, before):
    k = arithmetic.selectedCount(rate, n, most)
    assert k == min(-(-rate * n // 10_000), most)
    assert 1 <= k <= n
    b = arithmetic.offset(before, k, n)
    assert b == (before + k) % n
    selected = arithmetic.selection(n + 10, n, k, b)
    assert sum(selected) == k
    assert selected == [i < n and (PRIME * i + b) % n < k for i in range(n + 10)]


@relaxed
@given(n=st.integers(1, 60), k=st.integers(1, 60), before=st.integers(0, 100), rounds=st.integers(1, 40))
def test_nobody_is_drawn_again_before_all_others_were(arithmetic, n, k, before, rounds):
    """With n, k and the positions unchanged: after any number of rounds nobody is two turns ahead of anybody."""
    k = min(k, n)
    turns: Counter[int] = Counter(dict.fromkeys(range(n), 0))
    offset = before
    for _ in range(rounds):
        offset = arithmetic.offset(offset, k, n)
        turns.update(i for i, drawn in enumerate(arithmetic.selection(n, n, k, offset)) if drawn)
    assert max(turns.values()) - min(turns.values()) <= 1
    assert sum(turns.values()) == k * rounds


def test_all_members_are_selected_at_full_rate(federation, clients, stranger):
    open_round(federation)
    assert view(federation)["selectedCount"] == 5
    assert selected_of(federation, [*clients, stranger]) == clients


@pytest.mark.parametrize(("rate", "most", "expected"), [(1, 10, 1), (4000, 10, 2), (4001, 10, 3), (10_000, 4, 4)])
def test_the_rate_is_rounded_up_and_bounded_by_the_most_updates(federation, clients, rate, most, expected):
    open_round(federation, selection_rate=rate, max_updates=most)
    seen = view(federation)
    assert (seen["selectedCount"], seen["memberCount"]) == (expected, 5)
    assert seen["selectionOffset"] == expected % 5
    places = [(PRIME * index + seen["selectionOffset"]) % 5 for index in range(5)]
    assert [client_of(federation, client)["selected"] for client in clients] == [place < expected for place in places]


def test_only_the_selected_can_submit(federation, clients):
    round = open_round(federation, selection_rate=4000)
    selected = selected_of(federation, clients)
    assert len(selected) == 2
    for client in clients:
        if client not in selected:
            with reverts("UpdateRefused", round, client, NOT_SELECTED):
                submit(federation, client)
    for client in selected:
        assert federation.phase() == TRAINING
        submit(federation, client)
    assert view(federation)["updateCount"] == 2


def test_everybody_has_a_turn(federation, clients):
    """Two of five, five rounds: everybody twice, and nobody a second time before all others."""
    turns: Counter[str] = Counter()
    offsets = []
    for _ in range(5):
        open_round(federation, selection_rate=4000)
        offsets.append(view(federation)["selectionOffset"])
        turns.update(selected_of(federation, clients))
        assert max(turns.values()) - min(turns[client] for client in clients) <= 1
        abandon(federation)
    assert dict(turns) == dict.fromkeys(clients, 2)
    assert offsets == [2, 4, 1, 3, 0]


def test_the_offset_moves_on_by_the_k_of_each_round(federation, clients):
    offset = 0
    for rate, selected in ((2000, 1), (6000, 3), (10_000, 5), (4000, 2)):
        open_round(federation, selection_rate=rate)
        offset = (offset + selected) % 5
        assert view(federation)["selectionOffset"] == offset
        abandon(federation)


def test_whoever_registers_after_the_opening_is_not_in(federation, clients, stranger):
    round = open_round(federation)
    register(federation, stranger)
    assert not client_of(federation, stranger)["selected"]
    with reverts("UpdateRefused", round, stranger, NOT_SELECTED):
        submit(federation, stranger)
    assert view(federation)["memberCount"] == 5
    abandon(federation)
    open_round(federation)
    assert client_of(federation, stranger)["selected"]


def test_nobody_inherits_a_seat_in_the_live_round(federation, clients, stranger):
    """Neither the last member, which takes the position, nor the leaver itself, nor who registers then."""
    round = open_round(federation, selection_rate=4000)
    gone = next(client for client in selected_of(federation, clients) if client != clients[4])
    last_selected = client_of(federation, clients[4])["selected"]
    leave(federation, gone)
    assert client_of(federation, clients[4])["selected"] == last_selected
    for newcomer in (stranger, gone):
        register(federation, newcomer)
        with reverts("UpdateRefused", round, newcomer, NOT_SELECTED):
            submit(federation, newcomer)


def test_nobody_is_selected_before_the_first_round(federation, clients, stranger):
    assert selected_of(federation, [*clients, stranger]) == []


def test_exactly_k_of_the_living_are_selected_after_any_coming_and_going(organization):
    """Today's hole: before, whoever had left remained a number that selection might draw for ever."""
    crowd = [person(f"one of the crowd {number}") for number in range(12)]
    federation = deploy_federation(organization, crowd[:8])
    members = list(crowd[:8])
    for round in range(1, 9):
        gone, come = members[round % len(members)], crowd[(round + 7) % 12]
        leave(federation, gone)
        members[members.index(gone)] = members[-1]
        members.pop()
        if come not in members:
            register(federation, come)
            members.append(come)
        assert federation.members(0, 20) == members
        open_round(federation, selection_rate=3000)
        k = view(federation)["selectedCount"]
        assert k == -(-3 * len(members) // 10)
        selected = selected_of(federation, crowd)
        assert len(selected) == k
        assert set(selected) <= set(members)
        for client in selected:
            submit(federation, client)
        assert federation.phase() != TRAINING, "nobody is waited for who is not there"
        abandon(federation)


def test_moving_about_in_the_live_round_selects_the_same(organization):
    crowd = [person(f"one of the crowd {number}") for number in range(9)]
    federation = deploy_federation(organization, crowd)
    open_round(federation, selection_rate=4000)
    selected = selected_of(federation, crowd)
    for order in ([0, 3, 1], [8, 7, 0], [2, 5, 6]):
        with CHAIN.imagined():
            for index in order:
                if crowd[index] not in selected:
                    leave(federation, crowd[index])
                    register(federation, crowd[index])
            assert selected_of(federation, crowd) == selected
            for client in selected:
                submit(federation, client)
            assert federation.phase() != TRAINING
