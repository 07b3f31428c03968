from __future__ import annotations

import pytest

from .chain import CHAIN
from .helpers import (
    FINALIZED,
    GWEI,
    ZERO_ADDRESS,
    ZERO_CID,
    ZERO_DIGEST,
    abandon,
    ascending,
    client_of,
    digest,
    digest_of,
    end_training,
    finalize,
    key_of,
    model_of,
    open_round,
    owed,
    play_round,
    report_of,
    reverts,
    secret_of,
    submit,
    update_of,
    view,
)
from .ledger import next_record, outcome_of


@pytest.fixture
def round(federation, clients):
    """The second, in Aggregating, with updates of 1, 2, 3 and 4 seconds."""
    play_round(federation, {clients[4]: 1000})
    round = open_round(federation)
    for seconds, client in enumerate(clients[:4], start=1):
        submit(federation, client, seconds * 1000)
    end_training(federation)
    return round


def test_finalization_releases_a_model_and_the_secret(federation, round):
    record = federation.record()
    transaction = finalize(federation)
    release = (model_of(2), report_of(2))
    seen = view(federation)
    assert seen["phase"] == FINALIZED
    assert (seen["base"], seen["released"], seen["secret"]) == ((ZERO_CID, ZERO_CID), release, secret_of(2))
    assert federation.latestRelease() == release
    outcome = outcome_of(*release, secret_of(2), 10_000, [])
    assert transaction.event("RoundFinalized") == {
        "round": round,
        "record": next_record(record, round, digest_of(federation), 4, 10_000, outcome),
        "modelCid": release[0],
        "reportCid": release[1],
        "secret": secret_of(2),
        "claimedMs": 10_000,
        "creditedMs": 10_000,
    }
    assert transaction.all("UpdatesAdjusted") == [], "nothing is said where nothing was lowered"


def test_finalization_leaves_what_is_needed_for_ever(federation, clients, round):
    finalize(federation, {clients[3]: 1000})
    assert federation.results(2) == (7 * GWEI, 7000, key_of(2)[:26])
    assert federation.results(1) == (GWEI, 1000, key_of(1)[:26])


def test_the_record_chains_all_that_a_finalization_says(federation, clients, round):
    record, lowered = federation.record(), ascending({clients[1]: 100, clients[3]: 0})
    finalize(federation, triples=lowered)
    outcome = outcome_of(model_of(2), report_of(2), secret_of(2), 4100, lowered)
    assert federation.record() == next_record(record, 2, digest_of(federation), 4, 10_000, outcome)


@pytest.mark.parametrize(
    "changes",
    [{"model_cid": digest("x")}, {"report_cid": digest("x")}, {"secret": digest("x")}, {"triples": None}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_outcome_is_another_record(federation, clients, round, changes):
    records = set()
    if "triples" in changes:
        changes = {"triples": [(clients[0], 999, 0)]}
    for each in ({}, changes):
        with CHAIN.imagined():
            finalize(federation, **each)
            records.add(federation.record())
    assert len(records) == 2


def test_every_round_starts_from_what_the_one_before_released(federation, clients, round):
    finalize(federation)
    bases = []
    for outcome in (abandon, finalize, abandon):
        open_round(federation)
        bases.append(view(federation)["base"])
        submit(federation, clients[0])
        end_training(federation)
        outcome(federation)
    assert bases == [(model_of(2), report_of(2)), (model_of(2), report_of(2)), (model_of(4), report_of(4))]
    assert federation.latestRelease() == (model_of(4), report_of(4))
    assert view(federation)["released"] == (ZERO_CID, ZERO_CID), "the last one was abandoned"


def test_the_base_model_can_be_released_again(federation, round):
    finalize(federation, model_cid=model_of(1))
    assert federation.latestRelease() == (model_of(1), report_of(2))


def test_adjustments_lower_what_is_credited(federation, clients, round):
    lowered = ascending({clients[3]: 2500, clients[1]: 0})
    transaction = finalize(federation, triples=lowered)
    assert transaction.event("UpdatesAdjusted") == {"round": round, "adjustments": lowered}
    assert transaction.event("RoundFinalized")["creditedMs"] == 6500
    seen = view(federation, clients[3])
    assert (seen["claimedMs"], seen["creditedMs"]) == (10_000, 6500)
    assert (seen["client"]["computeMs"], seen["client"]["adjusted"]) == (2500, True)
    assert [(line["computeMs"], line["adjusted"]) for line in federation.updates(0, 5)] == [
        (1000, False),
        (0, True),
        (3000, False),
        (2500, True),
    ]


def test_all_updates_can_be_rejected(federation, clients, round):
    finalize(federation, dict.fromkeys(clients[:4], 0))
    seen = view(federation)
    assert (seen["creditedMs"], seen["payable_"]) == (0, 0)
    assert owed(federation, *clients[:4]) == [0] * 4


def test_other_updates_than_those_of_the_round_are_refused(federation, clients, round):
    """What was aggregated is named: neither the digest of fewer updates nor that of another round will do."""
    expected = digest_of(federation)
    with CHAIN.imagined():
        abandon(federation)
        open_round(federation)
        other_round = digest_of(federation)
    for other in (ZERO_DIGEST, other_round, expected[:-1] + ("0" if expected[-1] != "0" else "1")):
        with reverts("WrongDigest", round, expected, other):
            finalize(federation, digest=other)


def test_a_finalization_that_misses_an_update_is_refused(federation, clients):
    open_round(federation)
    submit(federation, clients[0])
    seen = digest_of(federation)
    submit(federation, clients[1])
    end_training(federation)
    with reverts("WrongDigest", 1, digest_of(federation), seen):
        finalize(federation, digest=seen)


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
    """The fifth submitted in the round before."""
    with reverts("NoUpdate", round, clients[4]):
        finalize(federation, {clients[4]: 0})


def test_a_round_is_finalized_once(federation, round):
    finalize(federation)
    with reverts("WrongPhase", round, FINALIZED, round):
        finalize(federation)


def test_a_rejected_update_stays_in_the_views(federation, clients, round):
    finalize(federation, {clients[0]: 0})
    client = client_of(federation, clients[0])
    assert client["updateCid"] == update_of(2, clients[0])
    assert (client["computeMs"], client["adjusted"], client["owed"]) == (0, True, 0)
