from __future__ import annotations

import pytest

from .chain import CHAIN, deploy
from .helpers import MAX_SLASH_RATE, STAKE, Makers, create_federation, deploy_federation, person


def pytest_configure(config):
    # brownie 1.22 warns of its own calls, and of hypothesis' `given`, whose tests here only read
    config.addinivalue_line("filterwarnings", "ignore:rpc\\..* should not be called directly:FutureWarning")
    config.addinivalue_line("filterwarnings", "ignore:Directly importing `hypothesis.given`")


@pytest.fixture(scope="session", autouse=True)
def factory():
    """The one factory that makes every federation of a session."""
    CHAIN.connect()
    Makers.factory = deploy("FederationFactory", {"from": person("deployer")})
    return Makers.factory


@pytest.fixture(scope="module", autouse=True)
def module_of_its_own(factory):
    """Every module starts from a chain with a factory and nothing else."""
    with CHAIN.imagined():
        yield


@pytest.fixture(autouse=True)
def test_of_its_own(module_of_its_own):
    """Every test starts from the chain that its module's fixtures made."""
    with CHAIN.imagined():
        yield


@pytest.fixture(scope="module")
def organization(module_of_its_own):
    return person("organization")


@pytest.fixture(scope="module")
def clients(module_of_its_own):
    return [person(f"client {number}") for number in range(5)]


@pytest.fixture(scope="module")
def stranger(module_of_its_own):
    return person("stranger")


@pytest.fixture(scope="module")
def relayer(module_of_its_own):
    """Submits what clients signed; nobody to the federation."""
    return person("relayer")


@pytest.fixture(scope="module")
def rich(module_of_its_own):
    """Has more than any amount that the contract keeps."""
    return person("the rich one", fortune=2**130)


@pytest.fixture(scope="module")
def empty_federation(factory, organization):
    """Without a model and without members."""
    return create_federation(factory, organization)


@pytest.fixture(scope="module")
def federation(organization, clients):
    """Ready for its first round: an initial model and five members, in the order of `clients`."""
    return deploy_federation(organization, clients)


@pytest.fixture(scope="module")
def staked(organization, clients):
    """Ready for its first round; every client has a stake of a thousand, of which a half can be slashed at once."""
    return deploy_federation(organization, clients, stake=STAKE, max_slash_rate=MAX_SLASH_RATE)
