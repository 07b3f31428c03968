"""What is fixed for good when a federation is created."""

from __future__ import annotations

import brownie
import pytest

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
def factory(FederationFactory, organization):
    return FederationFactory.deploy({"from": organization})


@pytest.fixture(scope="module")
def token(Token, organization):
    return Token.deploy({"from": organization})


def test_a_federation_keeps_the_terms_it_was_made_with(organization, token):
    terms = FederationTerms(token.address, 10**20, 2500, VOUCHER, AUDIT_APPOINTED)
    assert terms_of(deploy_federation(organization, **terms._asdict())) == terms


def test_the_plainest_terms_are_the_native_coin_without_stake_for_everybody(federation):
    assert terms_of(federation) == FederationTerms() == (ZERO_ADDRESS, 0, 0, 0, 0)


def test_a_federation_of_the_factory_keeps_its_terms(factory, Federation, stranger, token):
    terms = FederationTerms(token.address, 2**128 - 1, BASIS_POINTS, VOUCHER, AUDIT_APPOINTED)
    made = Federation.at(factory.createFederation(terms, {"from": stranger}).return_value)
    assert terms_of(made) == terms
    assert made.owner() == stranger


def test_the_asset_is_a_contract(organization, stranger):
    with reverts("AssetIsNotAContract", stranger):
        deploy_federation(organization, asset=stranger.address)


@pytest.mark.parametrize("rate", [0, 1, BASIS_POINTS])
def test_a_slash_takes_at_most_the_whole_stake(organization, rate):
    assert deploy_federation(organization, stake=1, max_slash_rate=rate).terms()[2] == rate
    with reverts("SlashRateTooHigh", BASIS_POINTS, BASIS_POINTS + 1):
        deploy_federation(organization, stake=1, max_slash_rate=BASIS_POINTS + 1)


@pytest.mark.parametrize("rate", [1, BASIS_POINTS, 2**16 - 1])
def test_where_nothing_is_staked_nothing_is_slashed(organization, rate):
    with reverts("SlashRateTooHigh", 0, rate):
        deploy_federation(organization, stake=0, max_slash_rate=rate)


@pytest.mark.parametrize("field", ["admission", "audit_policy"])
def test_there_is_no_third_way_of_admission_or_audit(factory, organization, field):
    with brownie.reverts():
        factory.createFederation(FederationTerms(**{field: 2}), {"from": organization})


def test_the_factory_makes_nothing_of_terms_that_are_refused(factory, organization, stranger):
    with reverts("SlashRateTooHigh", 0, 1):
        factory.createFederation(FederationTerms(max_slash_rate=1), {"from": organization})
    with reverts("AssetIsNotAContract", stranger):
        factory.createFederation(FederationTerms(asset=stranger.address), {"from": organization})
    assert factory.federationCount() == 0
