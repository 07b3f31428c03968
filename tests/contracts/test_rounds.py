from __future__ import annotations

import pytest

from .chain import CHAIN
from .helpers import (
    ABANDONED,
    AGGREGATING,
    BASIS_POINTS,
    ETHER,
    FINALIZED,
    GWEI,
    HOUR,
    MAX_PERIOD,
    MAX_UPDATES,
    MIN_PERIOD,
    MOST,
    NANO,
    NONE,
    TRAINING,
    WAGE,
    ZERO_CID,
    ZERO_DIGEST,
    abandon,
    client_of,
    deploy_federation,
    digest,
    digest_of,
    end_training,
    finalize,
    key_of,
    leave,
    mine_at,
    model_of,
    open_round,
    plan_of,
    play_round,
    register,
    report_of,
    reverts,
    secret_of,
    submit,
    terms_of_round,
    view,
)
from .ledger import first_digest, next_record

# ------------------------------------------------------------------------------------------------------- phases


def deadlines(federation):
    seen = view(federation)
    return seen["trainingDeadline"], seen["aggregationDeadline"]


def test_before_the_first_round_there_is_no_phase(federation):
    assert federation.phase() == NONE
    assert federation.roundCount() == 0


def test_a_round_is_in_training_until_its_deadline(federation, clients):
    open_round(federation)
    deadline, _ = deadlines(federation)
    assert federation.phase() == TRAINING
    submit(federation, clients[0])
    mine_at(deadline - 1)
    assert federation.phase() == TRAINING
    mine_at(deadline)
    assert federation.phase() == AGGREGATING


def test_a_round_without_an_update_is_abandoned_when_training_ends(federation):
    open_round(federation)
    deadline, _ = deadlines(federation)
    mine_at(deadline - 1)
    assert federation.phase() == TRAINING
    mine_at(deadline)
    assert federation.phase() == ABANDONED


def test_training_ends_early_when_every_selected_client_has_submitted(federation, clients):
    open_round(federation)
    for client in clients[:4]:
        submit(federation, client)
    assert federation.phase() == TRAINING
    submit(federation, clients[4])
    assert federation.phase() == AGGREGATING


@pytest.mark.parametrize("first", ["leaves", "submits"])
def test_a_selected_member_that_leaves_is_no_longer_waited_for(federation, clients, first):
    """One leaver does not make the round last to its deadline, whether it leaves before the others or after."""
    open_round(federation)
    if first == "leaves":
        leave(federation, clients[1])
    for client in (clients[0], *clients[2:]):
        assert federation.phase() == TRAINING
        submit(federation, client)
    if first == "submits":
        assert federation.phase() == TRAINING
        leave(federation, clients[1])
    assert federation.phase() == AGGREGATING
    assert (view(federation)["absentCount"], view(federation)["updateCount"]) == (1, 4)


def test_who_leaves_after_its_update_is_not_counted_twice(federation, clients):
    open_round(federation)
    submit(federation, clients[0])
    leave(federation, clients[0])
    assert view(federation)["absentCount"] == 0
    for client in clients[1:]:
        assert federation.phase() == TRAINING
        submit(federation, client)
    assert federation.phase() == AGGREGATING


def test_who_was_not_selected_leaves_without_a_trace_in_the_round(federation, clients):
    open_round(federation, selection_rate=4000)
    for client in clients:
        if not client_of(federation, client)["selected"]:
            leave(federation, client)
    assert (view(federation)["absentCount"], federation.phase()) == (0, TRAINING)


def test_a_round_that_everybody_leaves_is_abandoned(federation, clients):
    open_round(federation)
    for client in clients:
        leave(federation, client)
    assert federation.phase() == ABANDONED


def test_aggregating_lasts_until_its_deadline_however_early_it_began(federation, clients):
    open_round(federation)
    for client in clients:
        submit(federation, client)
    _, deadline = deadlines(federation)
    mine_at(deadline - 1)
    assert federation.phase() == AGGREGATING
    mine_at(deadline)
    assert federation.phase() == ABANDONED


def test_a_finalized_round_stays_finalized(federation, clients):
    play_round(federation, {clients[0]: 1000})
    assert federation.phase() == FINALIZED
    mine_at(deadlines(federation)[1])
    assert federation.phase() == FINALIZED


def test_an_abandoned_round_stays_abandoned(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    abandon(federation)
    with reverts("WrongPhase", round, ABANDONED, round):
        finalize(federation)
    with reverts("WrongPhase", round, ABANDONED, round):
        submit(federation, clients[1])


def test_the_last_second_of_training_takes_an_update_and_the_next_does_not(federation, clients):
    round = open_round(federation)
    deadline, _ = deadlines(federation)
    mine_at(deadline - 1)
    submit(federation, clients[0])
    mine_at(deadline)
    with reverts("WrongPhase", round, AGGREGATING, round):
        submit(federation, clients[1])


def test_the_first_second_after_training_takes_a_finalization(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    deadline, _ = deadlines(federation)
    mine_at(deadline - 1)
    with reverts("WrongPhase", round, TRAINING, round):
        finalize(federation)
    mine_at(deadline)
    finalize(federation)


def test_the_last_second_of_aggregating_takes_a_finalization_and_the_next_does_not(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    deadline = deadlines(federation)[1]
    mine_at(deadline - 1)
    with CHAIN.imagined():
        finalize(federation)
        assert federation.phase() == FINALIZED
    mine_at(deadline)
    with reverts("WrongPhase", round, ABANDONED, round):
        finalize(federation)


def test_a_round_in_training_cannot_be_finalized(federation):
    round = open_round(federation)
    with reverts("WrongPhase", round, TRAINING, round):
        finalize(federation)


def test_a_round_that_was_never_opened_takes_nothing(federation, clients):
    with reverts("WrongPhase", 0, NONE, 1):
        submit(federation, clients[0], round=1)
    with reverts("WrongPhase", 0, NONE, 1):
        finalize(federation, round=1)
    with reverts("WrongPhase", 0, NONE, 0):
        submit(federation, clients[0], round=0, sealing_key=ZERO_CID)
    with reverts("WrongPhase", 0, NONE, 0):
        finalize(federation, round=0)


@pytest.mark.parametrize("named", [1, 3])
def test_only_the_latest_round_can_be_named(federation, clients, named):
    play_round(federation, {clients[0]: 1000})
    open_round(federation)
    with reverts("WrongPhase", 2, TRAINING, named):
        submit(federation, clients[0], round=named, sealing_key=key_of(2))
    submit(federation, clients[0])
    end_training(federation)
    with reverts("WrongPhase", 2, AGGREGATING, named):
        finalize(federation, round=named)


# ------------------------------------------------------------------------------------------------------ opening


def test_opening_fixes_the_terms_of_the_round(federation, organization, clients):
    play_round(federation, {clients[0]: 1000}, reward=500 * GWEI)
    terms = terms_of_round(
        2, training_period=100, aggregation_period=200, selection_rate=5000, max_updates=9, reward=7 * GWEI
    )
    before = digest_of(federation)
    transaction = federation.openRound(terms, before, {"from": organization, "value": 7 * GWEI})
    seen, opened = view(federation), transaction.timestamp
    assert transaction.return_value == federation.roundCount() == seen["round"] == 2
    moments = (opened, opened + 100, opened + 300)
    assert (seen["openedAt"], seen["trainingDeadline"], seen["aggregationDeadline"]) == moments
    assert seen["phase"] == TRAINING
    assert (seen["planCid"], seen["sealingKey"]) == (plan_of(2), key_of(2))
    assert seen["base"] == (model_of(1), report_of(1))
    assert seen["released"] == (ZERO_CID, ZERO_CID)
    assert seen["secret"] == ZERO_CID
    assert (seen["memberCount"], seen["selectedCount"], seen["selectionOffset"]) == (5, 3, (0 + 3) % 5)
    assert (seen["maxUpdates"], seen["maxComputeMs"]) == (9, 100_000)
    assert (seen["updateCount"], seen["absentCount"], seen["claimedMs"], seen["creditedMs"]) == (0, 0, 0, 0)
    pool = 499 * GWEI + 7 * GWEI
    assert (seen["rewardRateCap"], seen["pool"]) == (WAGE, pool)
    assert (seen["payable_"], seen["surplus"], seen["forfeited"]) == (0, 0, 0)
    opening = (2, *moments, 5, 3, 3, 9, 100_000, plan_of(2), key_of(2), model_of(1), report_of(1), WAGE, pool)
    assert transaction.event("RoundOpened") == {
        "round": 2,
        "digest": seen["digest"],
        "record": federation.record(),
        "opening": opening,
    }
    chain_id = int(CHAIN.request("eth_chainId"), 16)
    assert seen["digest"] == first_digest(chain_id, federation.address, opening)


def test_the_secret_of_the_round_before_is_not_that_of_the_new_one(federation, clients):
    play_round(federation, {clients[0]: 1000})
    assert view(federation)["secret"] == secret_of(1)
    open_round(federation)
    assert view(federation)["secret"] == ZERO_CID


def test_every_opening_begins_another_digest(federation, organization, clients, stranger):
    """Chain, contract, round and everything that the opening fixes are in it."""
    other = deploy_federation(organization, clients)
    digests = set()
    for changes in (
        {},
        {"plan_cid": digest("another plan")},
        {"sealing_key": digest("another key")},
        {"reward": ETHER},
    ):
        with CHAIN.imagined():
            open_round(federation, **changes)
            digests.add(digest_of(federation))
    for each in (federation, other):
        with CHAIN.imagined():
            mine_at(CHAIN.now + 1)
            open_round(each)
            digests.add(digest_of(each))
    assert len(digests) == 6


def test_the_limits_of_the_terms_are_public(federation):
    assert federation.MIN_PERIOD() == MIN_PERIOD
    assert federation.MAX_PERIOD() == MAX_PERIOD
    assert federation.MAX_UPDATES() == MAX_UPDATES


@pytest.mark.parametrize(
    "changes",
    [
        {"training_period": MIN_PERIOD, "aggregation_period": MIN_PERIOD},
        {"training_period": MAX_PERIOD, "aggregation_period": MAX_PERIOD},
        {"max_updates": 1, "max_compute_ms": 1, "selection_rate": 1},
        {"max_updates": MAX_UPDATES, "max_compute_ms": MAX_PERIOD * 1000, "reward_rate_cap": 1},
        {"reward_rate_cap": 1, "reward": 0},
        {"reward_rate_cap": MOST, "reward": 0},
    ],
)
def test_terms_at_their_limits_open_a_round(federation, changes):
    assert open_round(federation, **changes) == 1


PERIODS = (MIN_PERIOD, MAX_PERIOD)
REFUSED_TERMS = [
    ({"plan_cid": ZERO_CID}, "ZeroValue", ["planCid"]),
    ({"sealing_key": ZERO_CID}, "ZeroValue", ["sealingKey"]),
    ({"reward_rate_cap": 0}, "ZeroValue", ["rewardRateCap"]),
    ({"training_period": MIN_PERIOD - 1}, "PeriodOutOfBounds", [*PERIODS, MIN_PERIOD - 1]),
    ({"training_period": MAX_PERIOD + 1}, "PeriodOutOfBounds", [*PERIODS, MAX_PERIOD + 1]),
    ({"aggregation_period": MIN_PERIOD - 1}, "PeriodOutOfBounds", [*PERIODS, MIN_PERIOD - 1]),
    ({"aggregation_period": MAX_PERIOD + 1}, "PeriodOutOfBounds", [*PERIODS, MAX_PERIOD + 1]),
    ({"max_updates": 0}, "MaxUpdatesOutOfBounds", [1, MAX_UPDATES, 0]),
    ({"max_updates": MAX_UPDATES + 1}, "MaxUpdatesOutOfBounds", [1, MAX_UPDATES, MAX_UPDATES + 1]),
    ({"max_compute_ms": 0}, "ComputeTimeOutOfBounds", [1, MAX_PERIOD * 1000, 0]),
    (
        {"max_compute_ms": MAX_PERIOD * 1000 + 1},
        "ComputeTimeOutOfBounds",
        [1, MAX_PERIOD * 1000, MAX_PERIOD * 1000 + 1],
    ),
    ({"selection_rate": 0}, "SelectionRateOutOfBounds", [1, BASIS_POINTS, 0]),
    ({"selection_rate": BASIS_POINTS + 1}, "SelectionRateOutOfBounds", [1, BASIS_POINTS, BASIS_POINTS + 1]),
]


@pytest.mark.parametrize(("changes", "error", "values"), REFUSED_TERMS)
def test_terms_beyond_their_limits_are_refused(federation, changes, error, values):
    with reverts(error, *values):
        open_round(federation, **changes)
    assert federation.roundCount() == 0


@pytest.mark.parametrize("sent", [0, 500 * GWEI - 1, 500 * GWEI + 1])
def test_the_coins_sent_must_be_the_reward(federation, organization, sent):
    terms = terms_of_round(1, reward=500 * GWEI)
    with reverts("WrongAmount", 500 * GWEI, sent):
        federation.openRound(terms, ZERO_DIGEST, {"from": organization, "value": sent})


def test_at_most_one_round_is_live(federation, clients):
    round = open_round(federation)
    with reverts("RoundIsLive", round, TRAINING):
        open_round(federation)
    submit(federation, clients[0])
    end_training(federation)
    with reverts("RoundIsLive", round, AGGREGATING):
        open_round(federation)
    finalize(federation)
    assert open_round(federation) == round + 1


def test_a_dead_organization_blocks_nobody_for_ever(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    abandon(federation)
    assert open_round(federation) == round + 1
    assert view(federation)["base"] == (model_of(0), ZERO_CID)


def test_a_round_needs_an_initial_model(empty_federation, clients):
    register(empty_federation, clients[0])
    with reverts("NoInitialModel"):
        open_round(empty_federation)


def test_a_round_needs_members(federation, clients):
    for client in clients:
        leave(federation, client)
    with reverts("NoMembers"):
        open_round(federation)


def test_a_closed_federation_opens_no_rounds(federation, organization):
    federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        open_round(federation)


def test_an_opening_that_was_signed_after_other_updates_is_refused(federation, clients):
    """It names the digest of the round before: after a reorganization it cannot open upon another history."""
    with reverts("WrongDigest", 0, ZERO_DIGEST, digest("none")[:42]):
        open_round(federation, previous_digest=digest("none")[:42])
    open_round(federation)
    beginning = digest_of(federation)
    submit(federation, clients[0])
    end_training(federation)
    finalize(federation)
    for other in (ZERO_DIGEST, beginning):
        with reverts("WrongDigest", 1, digest_of(federation), other):
            open_round(federation, previous_digest=other)
    open_round(federation)


def test_a_sealing_key_is_good_for_one_round(federation, clients):
    """The contract refuses that of the round before, finalized or not; `results` shows the older ones to everybody."""
    play_round(federation, {clients[0]: 1000})
    with reverts("SealingKeyUsed", key_of(1)):
        open_round(federation, sealing_key=key_of(1))
    open_round(federation)
    abandon(federation)
    with reverts("SealingKeyUsed", key_of(2)):
        open_round(federation, sealing_key=key_of(2))
    play_round(federation, {clients[0]: 1000})
    published = [federation.results(round)["sealingKey"] for round in (1, 2, 3)]
    assert published == [key_of(1)[:26], "0x" + "0" * 24, key_of(3)[:26]]


def test_a_key_that_only_begins_like_the_last_one_is_another(federation):
    open_round(federation)
    abandon(federation)
    similar = key_of(1)[:-2] + ("00" if key_of(1)[-2:] != "00" else "01")
    assert open_round(federation, sealing_key=similar) == 2


# -------------------------------------------------------------------------------------- a pool that never binds


@pytest.mark.parametrize(("spread", "rate"), [(1, BASIS_POINTS), (1, 4000), (4, BASIS_POINTS), (2**16 - 1, 6000)])
def test_the_pool_pays_what_the_selected_may_claim(organization, clients, spread, rate):
    """Or a part of it that the terms of the federation name."""
    federation = deploy_federation(organization, clients, max_spread=spread)
    selected = 5 * rate // BASIS_POINTS
    cap, most_ms = WAGE + 1, 99_999
    needed = -(-cap * selected * most_ms // (spread * NANO * 1000))
    terms = {"selection_rate": rate, "reward_rate_cap": cap, "max_compute_ms": most_ms}
    for reward in (1, needed - 1):
        with reverts("PoolTooSmall", needed, reward):
            open_round(federation, reward=reward, **terms)
    with CHAIN.imagined():
        open_round(federation, reward=needed, **terms)
        assert view(federation)["pool"] == needed
    with CHAIN.imagined():
        open_round(federation, reward=0, **terms)
        assert view(federation)["pool"] == 0
    federation.fund(needed - 3, {"from": organization, "value": needed - 3})
    with reverts("PoolTooSmall", needed, needed - 1):
        open_round(federation, reward=2, **terms)
    open_round(federation, reward=3, **terms)


def test_the_pool_counts_the_most_updates_and_not_the_members(federation):
    """Two of five are selected where at most two may submit."""
    open_round(federation, max_updates=2, reward=200 * GWEI)
    assert view(federation)["selectedCount"] == 2
    assert view(federation)["guaranteedRate"] == WAGE


# ------------------------------------------------------------------------------------------------ initial model


def test_the_initial_model_can_be_set_again_until_the_first_round(federation, organization):
    transaction = federation.setInitialModel(digest("better model"), {"from": organization})
    assert transaction.event("InitialModelSet") == {"modelCid": digest("better model")}
    assert federation.latestRelease() == (digest("better model"), ZERO_CID)
    open_round(federation)
    assert view(federation)["base"] == (digest("better model"), ZERO_CID)
    with reverts("RoundsHaveBegun", 1):
        federation.setInitialModel(digest("best model"), {"from": organization})


def test_the_initial_model_cannot_be_nothing(federation, organization):
    with reverts("ZeroValue", "modelCid"):
        federation.setInitialModel(ZERO_CID, {"from": organization})


def test_a_closed_federation_takes_no_initial_model(federation, organization):
    federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        federation.setInitialModel(digest("better model"), {"from": organization})


# --------------------------------------------------------------------------------------------------------- views


def test_the_view_before_the_first_round_is_empty_and_knows_the_client(federation, clients, stranger):
    seen = view(federation, clients[2])
    assert (seen["round"], seen["phase"], seen["pool"], seen["guaranteedRate"]) == (0, NONE, 0, 0)
    assert (seen["base"], seen["released"], seen["digest"]) == ((ZERO_CID, ZERO_CID), (ZERO_CID, ZERO_CID), ZERO_DIGEST)
    client = seen["client"]
    assert (client["client"], client["member"], client["index"], client["selected"]) == (clients[2], True, 2, False)
    assert not client_of(federation, stranger)["member"]
    assert federation.updates(0, 100) == []
    assert federation.record() == ZERO_CID


def test_views_speak_of_the_time_of_the_block(federation):
    open_round(federation, training_period=HOUR, wait=0)
    assert view(federation)["phase"] == TRAINING
    abandon(federation)
    assert view(federation)["phase"] == ABANDONED


def test_the_round_is_paid_in_the_transaction_that_opens_it(federation, organization):
    before = organization.balance()
    open_round(federation, reward=ETHER)
    assert before - organization.balance() == federation.balance() == ETHER


def test_a_round_that_was_never_opened_left_nothing(federation, clients):
    play_round(federation, {clients[0]: 1000})
    for round in (0, 2, 2**24 - 1):
        assert federation.results(round) == (0, 0, "0x" + "0" * 24)


def test_an_abandoned_round_is_recorded_by_the_next_opening(federation, organization, clients):
    open_round(federation)
    submit(federation, clients[0], 1000)
    submit(federation, clients[1], 2000)
    abandon(federation)
    assert federation.record() == ZERO_CID
    assert federation.results(1)["creditedMs"] == 0
    ended = digest_of(federation)
    expected = next_record(ZERO_CID, 1, ended, 2, 3000, ZERO_CID)
    terms = terms_of_round(2)
    sent = federation.openRound(terms, ended, {"from": organization, "value": terms.reward})
    assert sent.event("RoundAbandoned") == {"round": 1, "record": expected}
    assert federation.record() == expected
    assert federation.results(1) == (3 * GWEI, 3000, "0x" + "0" * 24)


def test_a_round_without_updates_is_recorded_and_leaves_nothing(federation):
    open_round(federation)
    abandon(federation)
    ended = digest_of(federation)
    open_round(federation)
    assert federation.record() == next_record(ZERO_CID, 1, ended, 0, 0, ZERO_CID)
    assert federation.results(1) == (0, 0, "0x" + "0" * 24)
