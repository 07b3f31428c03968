"""Who may open what was submitted: fixed at creation, anybody or the auditors that the plan names."""

from __future__ import annotations

import pytest

from .helpers import (
    AUDIT_APPOINTED,
    AUDIT_OPEN,
    FINALIZED,
    SECRET,
    ZERO_ADDRESS,
    ZERO_CID,
    abandon,
    deploy_federation,
    digest,
    end_training,
    finalize,
    open_round,
    reverts,
    submit,
)


@pytest.fixture(scope="module")
def appointed(organization, clients):
    """Ready for its first round; what clients submit is for auditors only."""
    return deploy_federation(organization, clients, audit_policy=AUDIT_APPOINTED)


def aggregating(federation, clients):
    round = open_round(federation)
    submit(federation, clients[0])
    end_training(federation)
    return round


def secret_of(federation, round):
    return federation.roundView(round, ZERO_ADDRESS)["secret"]


def test_finalization_publishes_the_secret_where_anybody_may_audit(federation, clients):
    round = aggregating(federation, clients)
    assert secret_of(federation, round) == ZERO_CID
    transaction = finalize(federation, secret=digest("the secret of round 1"))
    assert secret_of(federation, round) == digest("the secret of round 1")
    assert transaction.events["RoundFinalized"]["secret"] == digest("the secret of round 1")


def test_every_round_keeps_its_own_secret(federation, clients):
    for round in (1, 2):
        aggregating(federation, clients)
        finalize(federation, secret=digest(f"the secret of round {round}"))
    assert [secret_of(federation, round) for round in (1, 2)] == [
        digest("the secret of round 1"),
        digest("the secret of round 2"),
    ]


def test_where_anybody_may_audit_no_round_is_finalized_without_its_secret(federation, clients):
    aggregating(federation, clients)
    with reverts("SecretAgainstPolicy", AUDIT_OPEN):
        finalize(federation, secret=ZERO_CID)


def test_where_auditors_are_appointed_no_secret_is_published_by_mistake(appointed, clients):
    aggregating(appointed, clients)
    with reverts("SecretAgainstPolicy", AUDIT_APPOINTED):
        finalize(appointed, secret=SECRET)


def test_where_auditors_are_appointed_a_round_is_finalized_without_its_secret(appointed, clients):
    round = aggregating(appointed, clients)
    transaction = finalize(appointed)
    assert appointed.phase(round) == FINALIZED
    assert secret_of(appointed, round) == transaction.events["RoundFinalized"]["secret"] == ZERO_CID
    assert appointed.latestRelease() == (digest("model of round 1"), digest("report of round 1"))


def test_an_abandoned_round_publishes_nothing(federation, appointed, clients):
    for each in (federation, appointed):
        round = aggregating(each, clients)
        abandon(each)
        view = each.roundView(round, ZERO_ADDRESS)
        assert (view["secret"], view["released"]) == (ZERO_CID, (ZERO_CID, ZERO_CID))
        aggregating(each, clients)
        finalize(each)
        view = each.roundView(round, ZERO_ADDRESS)
        assert (view["secret"], view["released"]) == (ZERO_CID, (ZERO_CID, ZERO_CID)), "nor does a later one for it"
