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
`factory` it is the one that `deploy` wrote down (scripts/common.py says what else can be set, and how to agree).
"""

from __future__ import annotations

from processor.chain.asset import asset_at
from processor.cli.terms import IDLE_ROUNDS, MAX_SLASH_RATE, MAX_SPREAD, SALT, STAKE
from processor.types import ZERO_ADDRESS, Admission, AuditPolicy, FederationTerms
from scripts.arguments import amount_of, choice, number, read_arguments
from scripts.common import find_factory, make_federation, node, script


@script
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
        yes="",
    )
    asset = asset_at(node(), values["asset"])
    terms = FederationTerms(
        asset.address,
        amount_of(asset, values["stake"], STAKE.most),
        number("max_slash_rate", values["max_slash_rate"], *MAX_SLASH_RATE, "basis points,"),
        choice("admission", values["admission"], Admission),
        choice("audit_policy", values["audit_policy"], AuditPolicy),
        number("max_spread", values["max_spread"], *MAX_SPREAD),
        number("idle_rounds", values["idle_rounds"], *IDLE_ROUNDS),
    )
    salt = number("salt", values["salt"], *SALT)
    make_federation(find_factory(values["factory"]), terms, salt, values["yes"])
