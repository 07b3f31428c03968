"""Puts a federation on the demo's chain: with the brownie scripts of a checkout, or by the package alone."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.chain.federation import Factory, Federation, deploy_factory
from processor.chain.transactions import Sender
from processor.demo.nodes import CHECKOUT
from processor.demo.processes import Party
from processor.demo.scripts import Scripts
from processor.errors import KoinonError
from processor.types import Address, FederationTerms


def deploy(
    web3: Web3,
    rpc_url: str,
    organization: Party,
    account: LocalAccount,
    terms: FederationTerms,
    folder: Path,
    say: Callable[[str], None],
) -> Federation:
    """A new federation that belongs to the organization, whose unlocked account is `account`.

    Raises KoinonError where it cannot be made.
    """
    if _in_checkout():
        say("contracts: deployed by the brownie scripts")
        scripts = Scripts(
            rpc_url,
            web3.eth.chain_id,
            organization.wallet,
            organization.passphrase_file,
            home=folder / "home",
            deployments=folder / "deployments",
        )
        return Federation(web3, _deploy_with_brownie(scripts, terms))
    say("contracts: deployed from the bytecode that the package ships")
    sender = Sender(web3, account)
    factory = Factory(web3, deploy_factory(sender))
    return Federation(web3, factory.created(sender.send(factory.create_federation(terms))))


def _in_checkout() -> bool:
    """Whether the scripts and brownie are here: a package that was installed alone has neither."""
    return (CHECKOUT / "scripts" / "deploy.py").exists() and importlib.util.find_spec("brownie") is not None


def _deploy_with_brownie(scripts: Scripts, terms: FederationTerms) -> Address:
    scripts.run("deploy")
    said = scripts.run(
        "create_federation",
        {
            "asset": terms.asset,
            "stake": str(terms.stake),
            "max_slash_rate": str(terms.max_slash_rate),
            "admission": terms.admission.name.lower(),
            "audit_policy": terms.audit_policy.name.lower(),
            "max_spread": str(terms.max_spread),
            "idle_rounds": str(terms.idle_rounds),
        },
    )
    found = re.search(r"^federation (0x[0-9a-fA-F]{40})", said, re.MULTILINE)
    if found is None:
        raise KoinonError(f"the script `create_federation` named no federation: {said.strip()}")
    return found[1]
