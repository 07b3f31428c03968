"""People with coins on a development chain, and federations that they make, for tests that send every call by hand."""

from __future__ import annotations

import hashlib

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.chain.federation import PAGE, Factory, Federation, deploy_factory
from processor.chain.transactions import Sender
from processor.types import FederationTerms


def account_of(name: str) -> LocalAccount:
    """The account that a name always has."""
    account: LocalAccount = Account.from_key(hashlib.sha256(name.encode()).digest())
    return account


def wallet(web3: Web3, name: str, ether: int = 100) -> LocalAccount:
    """The account of a name, with that many coins from the node's own account."""
    account = account_of(name)
    paid = web3.eth.send_transaction(
        {"from": web3.eth.accounts[0], "to": account.address, "value": Web3.to_wei(ether, "ether")}
    )
    web3.eth.wait_for_transaction_receipt(paid, poll_latency=0.05)
    return account


def create_federation(
    web3: Web3, organization: Sender, page: int = PAGE, terms: FederationTerms | None = None
) -> Federation:
    """A federation of a new factory; native, open and without stake unless `terms` say otherwise."""
    factory = Factory(web3, deploy_factory(organization))
    return Federation(
        web3, factory.created(organization.send(factory.create_federation(terms or FederationTerms()))), page
    )
