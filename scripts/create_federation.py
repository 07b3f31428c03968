"""Makes a federation that belongs to the signer:
`brownie run create_federation main [factory=ADDRESS] [asset=ADDRESS ...] --network NETWORK`, with terms for good:

    asset                the token of rewards and stakes; the chain's own coin unless it is given
    stake                what every client stakes when it registers; nothing unless it is given
    max_slash_rate       the most basis points of a stake that one finalization can slash; none unless it is given
    admission            open: anybody registers; voucher: whoever holds one that the owner signed
    audit_policy         open: finalization publishes the round's secret; appointed: it never does

Without `factory` it is the one that deployments/<chain id>.json names (scripts/common.py says what else can be set).
"""

from __future__ import annotations

from brownie import ZERO_ADDRESS, chain, web3

from processor.chain.asset import asset_at
from processor.types import Admission, AuditPolicy, FederationTerms
from scripts.common import amount_of, choice, confirm, fail, find_factory, make_federation, or_fail, read_arguments


def main(*arguments: str) -> None:
    values = read_arguments(
        arguments,
        factory="",
        asset=ZERO_ADDRESS,
        stake="0",
        max_slash_rate="0",
        admission="open",
        audit_policy="open",
    )
    asset = or_fail(asset_at, web3, values["asset"])
    terms = FederationTerms(
        asset.address,
        amount_of(asset, values["stake"]),
        read_rate(values["max_slash_rate"]),
        choice("admission", values["admission"], Admission),
        choice("audit_policy", values["audit_policy"], AuditPolicy),
    )
    factory = find_factory(values["factory"])
    print(f"asset            {asset.symbol} ({'the coin of the chain' if asset.native else asset.address})")
    print(f"stake            {asset.format(terms.stake)}, of which {terms.max_slash_rate} basis points can be slashed")
    print(f"admission        {values['admission']}")
    print(f"audit policy     {values['audit_policy']}")
    confirm("Make a federation with these terms, for good?")
    federation = make_federation(factory, terms)
    print(f"federation {federation.address} of {federation.owner()} on chain {chain.id}, made by {factory.address}")


def read_rate(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 10_000:
        fail(f"max_slash_rate={text} is not a share of a stake: expected basis points, 0 to 10000")
    return int(text)
