"""A command that takes several transactions says what was done where a later one is not."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from processor.chain.provider import connect
from processor.chain.receipts import Receipt
from processor.chain.transactions import Call
from processor.cli.proposal import Manner, Proposal, Step, carry_out
from processor.errors import ChainError, KoinonError
from tests.unit.chain.nodes import Scripted, http_node

RECEIPT = Receipt("0x1", 7, "0x7", True, None, None, None, ())
ADDRESS = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
YES = Manner(yes=True, dry_run=False, as_json=False)


def step(kind: str, done: str = "") -> Step:
    return Step(kind, Call(ADDRESS, b"", 0, kind), blocked=True, done=done)


def fails_at(kind: str) -> str:
    def send(account: LocalAccount, step: Step) -> Receipt:
        if step.kind == kind:
            raise ChainError(f"cannot {kind}: nothing was changed by it")
        return RECEIPT

    steps = [step("approve", "approved 7 PLAY"), step("register"), step("fund")]
    with http_node(Scripted()) as node, pytest.raises(KoinonError) as raised:
        carry_out(connect(node.url), ADDRESS, Proposal(steps), YES, Account.create, send)
    return str(raised.value)


def test_the_first_that_fails_changed_nothing() -> None:
    assert fails_at("approve") == "cannot approve: nothing was changed by it"


def test_of_those_before_it_is_said_what_they_did() -> None:
    assert fails_at("register").endswith("nothing was changed by it. Done before that: approved 7 PLAY")
    assert fails_at("fund").endswith("Done before that: approved 7 PLAY, register")
