from __future__ import annotations

import pytest

from .helpers import (
    ABANDONED,
    AGGREGATING,
    ETHER,
    FINALIZED,
    GWEI,
    HOUR,
    MAX_PERIOD,
    MAX_UPDATES,
    MIN_PERIOD,
    NONE,
    TRAINING,
    ZERO_ADDRESS,
    ZERO_CID,
    Terms,
    abandon,
    digest,
    end_training,
    finalize,
    mine_at,
    next_block_at,
    open_round,
    reverts,
    submit,
)

# ------------------------------------------------------------------------------------------------------- phases


def deadlines(federation, round):
    view = federation.roundView(round, ZERO_ADDRESS)
    return view["trainingDeadline"], view["aggregationDeadline"]


@pytest.mark.parametrize("round", [0, 1, 2**32 - 1])
def test_a_round_that_was_never_opened_has_no_phase(federation, round):
    assert federation.phase(round) == NONE


def test_a_round_is_in_training_until_its_deadline(federation, clients):
    round = open_round(federation)
    deadline, _ = deadlines(federation, round)
    assert federation.phase(round) == TRAINING
    submit(federation, clients[0])
    mine_at(deadline - 1)
    assert federation.phase(round) == TRAINING
    mine_at(deadline)
    assert federation.phase(round) == AGGREGATING


def test_a_round_without_an_update_is_abandoned_when_training_ends(federation):
    round = open_round(federation)
    deadline, _ = deadlines(federation, round)
    mine_at(deadline - 1)
    assert federation.phase(round) == TRAINING
    mine_at(deadline)
    assert federation.phase(round) == ABANDONED


def test_training_ends_early_when_every_selected_client_has_submitted(federation, clients):
    round = open_round(federation)
    for client in clients[:4]:
        submit(federation, client)
    assert federation.phase(round) == TRAINING
    submit(federation, clients[4])
    assert federation.phase(round) == AGGREGATING


def test_aggregating_lasts_until_its_deadline_however_early_it_began(federation, clients):
    round = open_round(federation)
    for client in clients:
        submit(federation, client)
    _, deadline = deadlines(federation, round)
    mine_at(deadline - 1)
    assert federation.phase(round) == AGGREGATING
    mine_at(deadline)
    assert federation.phase(round) == ABANDONED


def test_a_finalized_round_stays_finalized(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    end_training(federation)
    finalize(federation)
    assert federation.phase(round) == FINALIZED
    mine_at(deadlines(federation, round)[1])
    assert federation.phase(round) == FINALIZED


def test_an_abandoned_round_stays_abandoned(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    abandon(federation)
    with reverts("WrongPhase", round, AGGREGATING, ABANDONED):
        finalize(federation)
    with reverts("WrongPhase", round, TRAINING, ABANDONED):
        submit(federation, clients[1])


def test_the_last_second_of_training_takes_an_update_and_the_next_does_not(federation, clients):
    round = open_round(federation)
    deadline, _ = deadlines(federation, round)
    next_block_at(deadline - 1)
    submit(federation, clients[0])
    next_block_at(deadline)
    with reverts("WrongPhase", round, TRAINING, AGGREGATING):
        submit(federation, clients[1])


def test_the_first_second_after_training_takes_a_finalization(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    deadline, _ = deadlines(federation, round)
    next_block_at(deadline - 1)
    with reverts("WrongPhase", round, AGGREGATING, TRAINING):
        finalize(federation)
    next_block_at(deadline)
    finalize(federation)


def test_the_last_second_of_aggregating_takes_a_finalization(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    next_block_at(deadlines(federation, round)[1] - 1)
    finalize(federation)
    assert federation.phase(round) == FINALIZED


def test_the_next_second_does_not(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    next_block_at(deadlines(federation, round)[1])
    with reverts("WrongPhase", round, AGGREGATING, ABANDONED):
        finalize(federation)


def test_a_round_in_training_cannot_be_finalized(federation):
    round = open_round(federation)
    with reverts("WrongPhase", round, AGGREGATING, TRAINING):
        finalize(federation)


def test_a_round_that_was_never_opened_takes_nothing(federation, clients):
    with reverts("WrongPhase", 1, TRAINING, NONE):
        submit(federation, clients[0], round=1)
    with reverts("WrongPhase", 1, AGGREGATING, NONE):
        finalize(federation, round=1)


# ------------------------------------------------------------------------------------------------------ opening


def test_opening_fixes_the_terms_of_the_round(federation, organization, clients):
    terms = Terms(training_period=100, aggregation_period=200, selection_rate=5000, reward=7 * GWEI)
    transaction = federation.openRound(terms, {"from": organization, "value": 7 * GWEI})
    view = federation.roundView(1, ZERO_ADDRESS)
    opened = transaction.timestamp
    assert transaction.return_value == federation.roundCount() == view["round"] == 1
    assert (view["openedAt"], view["trainingDeadline"], view["aggregationDeadline"]) == (
        opened,
        opened + 100,
        opened + 300,
    )
    assert view["phase"] == TRAINING
    assert (view["planCid"], view["sealingKey"]) == (terms.plan_cid, terms.sealing_key)
    assert view["base"] == (digest("initial model"), ZERO_CID)
    assert view["released"] == (ZERO_CID, ZERO_CID)
    assert view["secret"] == ZERO_CID
    assert (view["memberCount"], view["selectedCount"]) == (5, 3)
    assert (view["maxUpdates"], view["maxComputeMs"]) == (10, 100_000)
    assert (view["updateCount"], view["claimedMs"], view["creditedMs"]) == (0, 0, 0)
    assert (view["rewardRateCap"], view["pool"]) == (GWEI, 7 * GWEI)
    assert (view["payable_"], view["surplus"], view["forfeited"]) == (0, 0, 0)
    assert dict(transaction.events["RoundOpened"]) == {
        "round": 1,
        "planCid": terms.plan_cid,
        "sealingKey": terms.sealing_key,
        "baseModelCid": digest("initial model"),
        "trainingDeadline": opened + 100,
        "aggregationDeadline": opened + 300,
        "memberCount": 5,
        "selectedCount": 3,
        "selectionOffset": view["selectionOffset"],
        "maxUpdates": 10,
        "maxComputeMs": 100_000,
        "rewardRateCap": GWEI,
        "pool": 7 * GWEI,
    }


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
        {"max_updates": MAX_UPDATES, "max_compute_ms": MAX_PERIOD * 1000, "selection_rate": 10_000},
        {"reward_rate_cap": 1, "reward": 0},
        {"reward_rate_cap": 2**128 - 1},
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
    ({"selection_rate": 0}, "SelectionRateOutOfBounds", [1, 10_000, 0]),
    ({"selection_rate": 10_001}, "SelectionRateOutOfBounds", [1, 10_000, 10_001]),
]


@pytest.mark.parametrize(("changes", "error", "values"), REFUSED_TERMS)
def test_terms_beyond_their_limits_are_refused(federation, changes, error, values):
    with reverts(error, *values):
        open_round(federation, **changes)
    assert federation.roundCount() == 0


@pytest.mark.parametrize("sent", [0, GWEI - 1, GWEI + 1])
def test_the_coins_sent_must_be_the_reward(federation, organization, sent):
    with reverts("WrongAmount", GWEI, sent):
        federation.openRound(Terms(reward=GWEI), {"from": organization, "value": sent})


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
    assert federation.roundView(round + 1, ZERO_ADDRESS)["base"] == (digest("initial model"), ZERO_CID)


def test_a_round_needs_an_initial_model(empty_federation, clients):
    empty_federation.register({"from": clients[0]})
    with reverts("NoInitialModel"):
        open_round(empty_federation)


def test_a_round_needs_members(empty_federation, organization):
    empty_federation.setInitialModel(digest("initial model"), {"from": organization})
    with reverts("NoMembers"):
        open_round(empty_federation)


def test_a_closed_federation_opens_no_rounds(federation, organization):
    federation.close({"from": organization})
    with reverts("FederationIsClosed"):
        open_round(federation)


# ------------------------------------------------------------------------------------------------ initial model


def test_the_initial_model_can_be_set_again_until_the_first_round(federation, organization):
    transaction = federation.setInitialModel(digest("better model"), {"from": organization})
    assert dict(transaction.events["InitialModelSet"]) == {"modelCid": digest("better model")}
    assert federation.latestRelease() == (digest("better model"), ZERO_CID)
    open_round(federation)
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


def test_the_view_of_an_unopened_round_is_empty_and_knows_the_client(federation, clients, stranger):
    view = federation.roundView(7, clients[2])
    assert (view["round"], view["phase"], view["pool"], view["guaranteedRate"]) == (7, NONE, 0, 0)
    client = view["client"]
    assert (client["client"], client["member"], client["index"], client["selected"]) == (clients[2], True, 2, False)
    assert not federation.roundView(7, stranger)["client"]["member"]


def test_views_speak_of_the_time_of_the_block(federation):
    round = open_round(federation, training_period=HOUR, wait=0)
    assert federation.roundView(round, ZERO_ADDRESS)["phase"] == TRAINING
    abandon(federation)
    assert federation.roundView(round, ZERO_ADDRESS)["phase"] == ABANDONED


def test_the_round_is_paid_in_the_transaction_that_opens_it(federation, organization):
    before = organization.balance()
    open_round(federation, reward=ETHER)
    assert before - organization.balance() == federation.balance() == ETHER
