from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .helpers import TRAINING, ZERO_ADDRESS, abandon, leave, open_round, reverts, submit

PRIME = 2**31 - 1
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def arithmetic(Arithmetic, organization):
    return Arithmetic.deploy({"from": organization})


@relaxed
@given(n=st.integers(1, 400), rate=st.integers(1, 10_000), most=st.integers(1, 1000), b=st.integers(0, 2**32 - 1))
def test_exactly_k_members_are_selected(arithmetic, n, rate, most, b):
    k = arithmetic.selectedCount(rate, n, most)
    assert k == min(-(-rate * n // 10_000), most)
    assert 1 <= k <= n
    selected = arithmetic.selection(n + 10, n, k, b)
    assert sum(selected) == k
    assert selected == [i < n and (PRIME * i + b) % n < k for i in range(n + 10)]


def test_all_members_are_selected_at_full_rate(federation):
    round = open_round(federation)
    assert federation.roundView(round, ZERO_ADDRESS)["selectedCount"] == 5
    assert [federation.isSelected(round, index) for index in range(7)] == [True] * 5 + [False] * 2


@pytest.mark.parametrize(("rate", "most", "expected"), [(1, 10, 1), (4000, 10, 2), (4001, 10, 3), (10_000, 4, 4)])
def test_the_rate_is_rounded_up_and_bounded_by_the_most_updates(federation, clients, rate, most, expected):
    round = open_round(federation, selection_rate=rate, max_updates=most)
    view = federation.roundView(round, clients[0])
    assert view["selectedCount"] == expected
    assert 0 <= view["selectionOffset"] < view["memberCount"] == 5
    selected = [federation.isSelected(round, index) for index in range(5)]
    assert selected == [(PRIME * index + view["selectionOffset"]) % 5 < expected for index in range(5)]
    assert selected == [federation.roundView(round, client)["client"]["selected"] for client in clients]


def test_only_the_selected_can_submit(federation, clients):
    round = open_round(federation, selection_rate=4000)
    for index, client in enumerate(clients):
        if federation.isSelected(round, index):
            submit(federation, client)
        elif federation.phase(round) == TRAINING:
            with reverts("NotSelected", round, client):
                submit(federation, client)
    assert federation.roundView(round, clients[0])["updateCount"] == 2


def test_whoever_registers_after_the_opening_is_not_in(federation, clients, stranger):
    round = open_round(federation)
    federation.register({"from": stranger})
    assert not federation.isSelected(round, 5)
    with reverts("NotSelected", round, stranger):
        submit(federation, stranger)
    assert federation.roundView(round, clients[0])["memberCount"] == 5


def test_the_slot_of_a_client_that_left_goes_to_nobody(federation, clients):
    round = open_round(federation)
    leave(federation, clients[0])
    with reverts("NotRegistered", clients[0]):
        submit(federation, clients[0])
    federation.register({"from": clients[0]})
    with reverts("NotSelected", round, clients[0]):
        submit(federation, clients[0])
    assert not federation.roundView(round, clients[0])["client"]["selected"]


def test_nobody_is_selected_by_a_round_that_was_not_opened(federation):
    assert not federation.isSelected(0, 0)
    assert not federation.isSelected(1, 0)


def test_the_offset_differs_from_round_to_round(federation, clients):
    offsets = set()
    for _ in range(12):
        round = open_round(federation)
        offsets.add(federation.roundView(round, clients[0])["selectionOffset"])
        abandon(federation)
    assert len(offsets) > 1
