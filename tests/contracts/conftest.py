from __future__ import annotations

import pytest

from .helpers import MAX_SLASH_RATE, STAKE, FederationTerms, deploy_federation, digest, request


def pytest_configure(config):
    # brownie 1.22 warns of its own calls, and of hypothesis' `given`, whose tests here only read
    config.addinivalue_line("filterwarnings", "ignore:rpc\\..* should not be called directly:FutureWarning")
    config.addinivalue_line("filterwarnings", "ignore:Directly importing `hypothesis.given`")


@pytest.fixture(autouse=True)
def isolation(fn_isolation):
    """Every test starts from the chain that its module's fixtures made."""


@pytest.fixture(scope="module")
def organization(accounts):
    """With a key, so that it can sign vouchers."""
    organization = accounts.add(digest("key of the organization"))
    accounts[0].transfer(organization, accounts[0].balance() // 2)
    return organization


@pytest.fixture(scope="module")
def clients(accounts):
    return accounts[1:6]


@pytest.fixture(scope="module")
def stranger(accounts):
    return accounts[9]


@pytest.fixture(scope="module")
def rich(accounts):
    """Has more than any amount that the contract keeps."""
    request("anvil_setBalance", str(accounts[8]), hex(2**130))
    return accounts[8]


@pytest.fixture(scope="module")
def empty_federation(Federation, organization):
    """Without a model and without members."""
    return Federation.deploy(organization, FederationTerms(), {"from": organization})


@pytest.fixture(scope="module")
def federation(organization, clients):
    """Ready for its first round: an initial model and five members, in the order of `clients`."""
    return deploy_federation(organization, clients)


@pytest.fixture(scope="module")
def staked(organization, clients):
    """Ready for its first round; every client has a stake of a thousand, of which a half can be slashed at once."""
    return deploy_federation(organization, clients, stake=STAKE, max_slash_rate=MAX_SLASH_RATE)
