"""Makes a federation that belongs to the signer:
`brownie run create_federation main [factory=ADDRESS] [asset=ADDRESS ...] --network NETWORK`, with terms for good:

    asset                the token of rewards and stakes; the chain's own coin unless it is given
    stake                what every client stakes when it registers; nothing unless it is given
    max_slash_rate       the most basis points of a stake that one finalization can slash; none unless it is given
    admission            open: anybody registers; voucher: whoever holds one that the owner signed
    audit_policy         open: finalization publishes the round's secret; appointed: it never does
    max_spread           how many times what a pool pays the selected may claim together; with 1, which it is unless it
                         is given, rejecting others raises nobody's pay
    idle_rounds          after how many rounds of silence a selected member may be retired; never unless it is given
    salt                 a number that tells it from others of the same owner and terms; 0 unless it is given

Its address follows from factory, owner, terms and salt: one that exists already is named, and nothing is sent. Without
`factory` it is the one that deployments/<chain id>.json names (scripts/common.py says what else can be set).
"""

from __future__ import annotations

from brownie import ZERO_ADDRESS, chain

from processor.chain.asset import asset_at
from processor.types import Admission, AuditPolicy, FederationTerms
from scripts.common import (
    amount_of,
    choice,
    confirm,
    fail,
    find_factory,
    make_federation,
    node,
    number,
    on_chain,
    or_fail,
    read_arguments,
    signer,
)

SHORT, LONG = 2**16 - 1, 2**64 - 1  # the largest numbers in two and in eight bytes


def main(*arguments: str) -> None:
    values = read_arguments(
        arguments,
        factory="",
        asset=ZERO_ADDRESS,
        stake="0",
        max_slash_rate="0",
        admission="open",
        audit_policy="open",
        max_spread="1",
        idle_rounds="0",
        salt="0",
    )
    asset = or_fail(asset_at, node(), values["asset"])
    terms = FederationTerms(
        asset.address,
        amount_of(asset, values["stake"], 2**128 - 1),
        read_rate(values["max_slash_rate"]),
        choice("admission", values["admission"], Admission),
        choice("audit_policy", values["audit_policy"], AuditPolicy),
        number("max_spread", values["max_spread"], 1, SHORT),
        number("idle_rounds", values["idle_rounds"], 0, SHORT),
    )
    salt = number("salt", values["salt"], 0, LONG)
    factory = find_factory(values["factory"])
    maker = or_fail(on_chain.Factory, node(), factory.address)
    address = or_fail(maker.address_of, signer().address, terms, salt)
    if or_fail(maker.exists, signer().address, terms, salt):
        fail(f"the federation {address} with these terms exists already: use it, or say another salt=NUMBER")
    print(f"asset            {asset.symbol} ({'the coin of the chain' if asset.native else asset.address})")
    print(f"stake            {asset.format(terms.stake)}, of which {terms.max_slash_rate} basis points can be slashed")
    print(f"admission        {values['admission']}")
    print(f"audit policy     {values['audit_policy']}")
    print(f"spread           {terms.max_spread}-fold at most what a pool pays may be claimed")
    print(f"retired          {f'after {terms.idle_rounds} rounds of silence' if terms.idle_rounds else 'nobody'}")
    print(f"address          {address}")
    confirm("Make a federation with these terms, for good?")
    federation = make_federation(factory, terms, salt)
    print(f"federation {federation.address} of {federation.owner()} on chain {chain.id}, made by {factory.address}")


def read_rate(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 10_000:
        fail(f"max_slash_rate={text} is not a share of a stake: expected basis points, 0 to 10000")
    return int(text)
