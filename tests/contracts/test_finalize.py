from __future__ import annotations

import pytest

from .helpers import (
    FINALIZED,
    SECRET,
    ZERO_ADDRESS,
    ZERO_CID,
    abandon,
    ascending,
    client_of,
    digest,
    end_training,
    finalize,
    open_round,
    reverts,
    submit,
)


@pytest.fixture
def round(federation, clients):
    """In Aggregating, with updates of 1, 2, 3 and 4 seconds."""
    round = open_round(federation)
    for seconds, client in enumerate(clients[:4], start=1):
        submit(federation, client, seconds * 1000)
    end_training(federation)
    return round


def test_finalization_releases_a_model_and_the_secret(federation, round):
    transaction = finalize(federation)
    release = (digest("model of round 1"), digest("report of round 1"))
    view = federation.roundView(round, ZERO_ADDRESS)
    assert view["phase"] == FINALIZED
    assert (view["base"], view["released"], view["secret"]) == ((digest("initial model"), ZERO_CID), release, SECRET)
    assert federation.latestRelease() == release
    assert dict(transaction.events["RoundFinalized"]) == {
        "round": round,
        "modelCid": release[0],
        "reportCid": release[1],
        "secret": SECRET,
        "claimedMs": 10_000,
        "creditedMs": 10_000,
    }


def test_every_round_starts_from_what_the_one_before_released(federation, clients, round):
    finalize(federation)
    first = federation.latestRelease()
    abandoned = open_round(federation)
    abandon(federation)
    last = open_round(federation)
    submit(federation, clients[0])
    end_training(federation)
    finalize(federation)
    views = [federation.roundView(each, ZERO_ADDRESS) for each in (round, abandoned, last)]
    assert [view["base"][0] for view in views] == [digest("initial model"), first[0], first[0]]
    assert [view["released"] for view in views] == [first, (ZERO_CID, ZERO_CID), federation.latestRelease()]
    assert federation.latestRelease()[0] == digest("model of round 3")


def test_the_base_model_can_be_released_again(federation, round):
    finalize(federation, model_cid=digest("initial model"))
    assert federation.latestRelease()[0] == digest("initial model")


def test_adjustments_lower_what_is_credited(federation, clients, round):
    transaction = finalize(federation, {clients[3]: 2500, clients[1]: 0})
    adjusted = {event["client"]: event for event in transaction.events["UpdateAdjusted"]}
    assert dict(adjusted[clients[3]]) == {
        "round": round,
        "client": clients[3],
        "creditedMs": 2500,
    }
    assert adjusted[clients[1]]["creditedMs"] == 0
    assert transaction.events["RoundFinalized"]["creditedMs"] == 6500
    view = federation.roundView(round, clients[3])
    assert (view["claimedMs"], view["creditedMs"]) == (10_000, 6500)
    assert (view["client"]["computeMs"], view["client"]["creditedMs"]) == (4000, 2500)
    assert [each["creditedMs"] for each in federation.updates(round, 0, 5)] == [1000, 0, 3000, 2500]


def test_all_updates_can_be_rejected(federation, clients, round):
    finalize(federation, dict.fromkeys(clients[:4], 0))
    view = federation.roundView(round, clients[0])
    assert (view["creditedMs"], view["payable_"], view["client"]["reward"]) == (0, 0, 0)


@pytest.mark.parametrize(("count", "ms"), [(3, 10_000), (5, 10_000), (4, 9_999), (4, 10_001), (0, 0)])
def test_other_updates_than_those_of_the_round_are_refused(federation, round, count, ms):
    with reverts("WrongUpdates", 4, count, 10_000, ms):
        finalize(federation, update_count=count, claimed_ms=ms)


@pytest.mark.parametrize(("name", "field"), [("model_cid", "modelCid"), ("report_cid", "reportCid")])
def test_what_finalization_releases_is_never_nothing(federation, round, name, field):
    with reverts("ZeroValue", field):
        finalize(federation, **{name: ZERO_CID})


def test_adjustments_are_in_ascending_order(federation, clients, round):
    (low, *_), (high, *_) = ascending(dict.fromkeys(clients[:2], 0))
    with reverts("AdjustmentsNotAscending", high, low):
        finalize(federation, triples=[(high, 0, 0), (low, 0, 0)])


def test_a_client_is_adjusted_at_most_once(federation, clients, round):
    with reverts("AdjustmentsNotAscending", clients[0], clients[0]):
        finalize(federation, triples=[(clients[0], 10, 0), (clients[0], 5, 0)])


def test_address_zero_cannot_be_adjusted(federation, round):
    with reverts("AdjustmentsNotAscending", ZERO_ADDRESS, ZERO_ADDRESS):
        finalize(federation, triples=[(ZERO_ADDRESS, 0, 0)])


@pytest.mark.parametrize("credited", [1000, 1001, 2**32 - 1])
def test_an_adjustment_never_raises_or_keeps(federation, clients, round, credited):
    with reverts("AdjustmentNotLower", clients[0], 1000, credited):
        finalize(federation, {clients[0]: credited})


def test_who_did_not_submit_cannot_be_adjusted(federation, clients, round):
    with reverts("NoUpdate", round, clients[4]):
        finalize(federation, {clients[4]: 0})


def test_a_round_is_finalized_once(federation, round):
    finalize(federation)
    with reverts("WrongPhase", round, 2, FINALIZED):
        finalize(federation)


def test_a_rejected_update_stays_in_the_record(federation, clients, round):
    finalize(federation, {clients[0]: 0})
    client = client_of(federation, round, clients[0])
    assert client["updateCid"] == digest(f"update of {clients[0]}")
    assert (client["computeMs"], client["creditedMs"], client["reward"], client["claimed"]) == (1000, 0, 0, False)
