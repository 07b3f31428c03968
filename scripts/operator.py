"""Lets another account open and finalize rounds, such as the one that the daemon runs with:
`brownie run operator main federation=ADDRESS [operator=ADDRESS] --network NETWORK`; without `operator` there is none.

Its key, stolen, can cost at most the live pool, what is carried, and each round's bounded slashes.
"""

from __future__ import annotations

from brownie import ZERO_ADDRESS

from processor.chain.contracts import to_address
from scripts.common import confirm, find_federation, or_fail, read_arguments, transact


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", operator=ZERO_ADDRESS)
    operator = or_fail(to_address, values["operator"])
    named = "nobody" if operator == ZERO_ADDRESS else operator
    federation = find_federation(values["federation"])
    confirm(f"Let {named} open and finalize rounds of {federation.address}, as its owner does?")
    transact(federation.setOperator, operator)
    print(f"operator {named}")
