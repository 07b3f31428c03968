"""What is fixed for good when a federation is created."""

from __future__ import annotations

import pytest

from .chain import Refused, deploy
from .helpers import (
    AUDIT_APPOINTED,
    BASIS_POINTS,
    VOUCHER,
    ZERO_ADDRESS,
    FederationTerms,
    deploy_federation,
    reverts,
    terms_of,
)


@pytest.fixture(scope="module")
def token(organization):
    return deploy("Token", {"from": organization})


@pytest.mark.parametrize("stake", [10**20, 2**128 - 1])
def test_a_federation_keeps_the_terms_it_was_made_with(organization, token, stake):
    terms = FederationTerms(token.address, stake, 2500, VOUCHER, AUDIT_APPOINTED, 5, 6)
    assert terms_of(deploy_federation(organization, **terms._asdict())) == terms


def test_every_field_is_kept_at_its_widest(organization, token):
    terms = FederationTerms(token.address, 2**128 - 1, BASIS_POINTS, VOUCHER, AUDIT_APPOINTED, 2**16 - 1, 2**16 - 1)
    assert terms_of(deploy_federation(organization, **terms._asdict())) == terms


def test_the_plainest_terms_are_the_native_coin_without_stake_for_everybody(federation):
    assert terms_of(federation) == FederationTerms() == (ZERO_ADDRESS, 0, 0, 0, 0, 1, 0)


def test_the_asset_is_a_contract(organization, stranger):
    with reverts("AssetIsNotAContract", stranger):
        deploy_federation(organization, asset=stranger)


@pytest.mark.parametrize("rate", [0, 1, BASIS_POINTS])
def test_a_slash_takes_at_most_the_whole_stake(organization, rate):
    assert deploy_federation(organization, stake=1, max_slash_rate=rate).terms()["maxSlashRate"] == rate
    with reverts("SlashRateTooHigh", BASIS_POINTS, BASIS_POINTS + 1):
        deploy_federation(organization, stake=1, max_slash_rate=BASIS_POINTS + 1)


@pytest.mark.parametrize("rate", [1, BASIS_POINTS, 2**16 - 1])
def test_where_nothing_is_staked_nothing_is_slashed(organization, rate):
    with reverts("SlashRateTooHigh", 0, rate):
        deploy_federation(organization, stake=0, max_slash_rate=rate)


def test_a_pool_pays_at_least_a_part_of_what_may_be_claimed(organization):
    with reverts("ZeroSpread"):
        deploy_federation(organization, max_spread=0)


@pytest.mark.parametrize("field", ["admission", "audit_policy"])
def test_there_is_no_third_way_of_admission_or_audit(organization, field):
    with pytest.raises(Refused):
        deploy_federation(organization, **{field: 2})
