from __future__ import annotations

import pytest

from .helpers import ZERO_ADDRESS, FederationTerms


@pytest.fixture(scope="module")
def factory(FederationFactory, organization):
    return FederationFactory.deploy({"from": organization})


def test_a_federation_belongs_to_who_made_it(factory, Federation, stranger):
    transaction = factory.createFederation(FederationTerms(), {"from": stranger})
    federation = Federation.at(transaction.return_value)
    assert federation.owner() == stranger
    assert (federation.roundCount(), federation.memberCount(), federation.closed()) == (0, 0, False)
    created = dict(transaction.events["FederationCreated"])
    assert created == {"federation": federation.address, "owner": stranger}


def test_the_factory_knows_what_it_made(factory, empty_federation, stranger):
    made = factory.createFederation(FederationTerms(), {"from": stranger}).return_value
    assert factory.isFederation(made)
    assert not factory.isFederation(empty_federation)
    assert not factory.isFederation(ZERO_ADDRESS)


def test_federations_come_in_pages(factory, stranger):
    assert (factory.federationCount(), factory.federations(0, 10)) == (0, [])
    made = [factory.createFederation(FederationTerms(), {"from": stranger}).return_value for _ in range(3)]
    most = 2**256 - 1
    assert factory.federationCount() == 3
    assert factory.federations(0, 2) == made[:2]
    assert factory.federations(1, most) == made[1:]
    assert factory.federations(2, 0) == factory.federations(3, 1) == factory.federations(most, most) == []
