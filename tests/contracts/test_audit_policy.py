"""Who may open what was submitted: fixed at creation, anybody or the auditors that the plan names."""

from __future__ import annotations

import pytest

from .helpers import (
    AUDIT_APPOINTED,
    AUDIT_OPEN,
    FINALIZED,
    ZERO_CID,
    abandon,
    deploy_federation,
    end_training,
    finalize,
    key_of,
    model_of,
    open_round,
    report_of,
    reverts,
    secret_of,
    submit,
    view,
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


def secret_in(federation):
    return view(federation)["secret"]


def test_finalization_publishes_the_secret_where_anybody_may_audit(federation, clients):
    aggregating(federation, clients)
    assert secret_in(federation) == ZERO_CID
    transaction = finalize(federation)
    assert secret_in(federation) == secret_of(1)
    assert transaction.event("RoundFinalized")["secret"] == secret_of(1)


def test_every_round_has_its_own_secret(federation, clients):
    for round in (1, 2):
        aggregating(federation, clients)
        assert secret_in(federation) == ZERO_CID
        finalize(federation)
        assert secret_in(federation) == secret_of(round)


def test_where_anybody_may_audit_no_round_is_finalized_without_its_secret(federation, clients):
    aggregating(federation, clients)
    with reverts("SecretAgainstPolicy", AUDIT_OPEN):
        finalize(federation, secret=ZERO_CID)


def test_where_auditors_are_appointed_no_secret_is_published_by_mistake(appointed, clients):
    round = aggregating(appointed, clients)
    with reverts("SecretAgainstPolicy", AUDIT_APPOINTED):
        finalize(appointed, secret=secret_of(round))


def test_where_auditors_are_appointed_a_round_is_finalized_without_its_secret(appointed, clients):
    aggregating(appointed, clients)
    transaction = finalize(appointed)
    assert appointed.phase() == FINALIZED
    assert secret_in(appointed) == transaction.event("RoundFinalized")["secret"] == ZERO_CID
    assert appointed.latestRelease() == (model_of(1), report_of(1))
    assert appointed.results(1)["sealingKey"] == key_of(1)[:26], "used keys are seen all the same"


def test_an_abandoned_round_publishes_nothing(federation, appointed, clients):
    for each in (federation, appointed):
        aggregating(each, clients)
        abandon(each)
        assert (secret_in(each), view(each)["released"]) == (ZERO_CID, (ZERO_CID, ZERO_CID))
        aggregating(each, clients)
        assert each.results(1)["sealingKey"] == "0x" + "0" * 24, "its secret was never said"
