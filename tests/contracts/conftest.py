from __future__ import annotations

import pytest

from .helpers import digest


def pytest_configure(config):
    # brownie 1.22 warns of its own calls, and of hypothesis' `given`, whose tests here only read
    config.addinivalue_line("filterwarnings", "ignore:rpc\\..* should not be called directly:FutureWarning")
    config.addinivalue_line("filterwarnings", "ignore:Directly importing `hypothesis.given`")


@pytest.fixture(autouse=True)
def isolation(fn_isolation):
    """Every test starts from the chain that its module's fixtures made."""


@pytest.fixture(scope="module")
def organization(accounts):
    return accounts[0]


@pytest.fixture(scope="module")
def clients(accounts):
    return accounts[1:6]


@pytest.fixture(scope="module")
def stranger(accounts):
    return accounts[9]


@pytest.fixture(scope="module")
def empty_federation(Federation, organization):
    """Without a model and without members."""
    return Federation.deploy(organization, {"from": organization})


@pytest.fixture(scope="module")
def federation(Federation, organization, clients):
    """Ready for its first round: an initial model and five members, in the order of `clients`."""
    federation = Federation.deploy(organization, {"from": organization})
    federation.setInitialModel(digest("initial model"), {"from": organization})
    for client in clients:
        federation.register({"from": client})
    return federation
