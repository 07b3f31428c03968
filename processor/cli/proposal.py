"""What a command is about to do on chain: said together with its cost, asked about, and then done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.chain.amounts import format_ether
from processor.chain.asset import allowance, approval_needed, approve
from processor.chain.federation import Federation
from processor.chain.transactions import Call, Quote, Receipt, Sender, quote
from processor.cli.asking import confirm
from processor.cli.connections import Party
from processor.cli.daemon import transactions_of
from processor.cli.options import print_json
from processor.errors import KoinonError
from processor.types import Address

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what it would do and cost; needs no passphrase, sends nothing."),
]


@dataclass(frozen=True)
class Step:
    """One transaction. `kind` names it in the log, `done` says what it achieved as part of a proposal; one that
    is `blocked` cannot be simulated before those ahead of it are in a block."""

    kind: str
    call: Call
    blocked: bool = False
    done: str = ""


@dataclass(frozen=True)
class Proposal:
    """Transactions one after the other; `done` says what they achieved, `note` what a person should know before they
    agree."""

    steps: Sequence[Step]
    done: str = ""
    note: str = ""


Send = Callable[[LocalAccount, Step], Receipt]


@dataclass(frozen=True)
class Manner:
    """How a command was asked to go about it; `instead` is how a yes is given where nobody can be asked."""

    yes: bool
    dry_run: bool
    as_json: bool
    instead: str = "--yes"


def with_approval(federation: Federation, sender: Address, amount: int, kind: str, call: Call) -> list[Step]:
    """The steps to a call that takes `amount` of the federation's asset from `sender`: a token has to be let first."""
    asset = federation.asset()
    if asset.native:
        return [Step(kind, call)]
    steps: list[Step] = []
    allowed = allowance(federation.web3, asset, sender, federation.address)
    while (needed := approval_needed(allowed, amount)) is not None:
        done = f"approved {asset.format(needed)} for {federation.address}"
        steps.append(Step("approved", approve(asset, federation.address, needed), blocked=bool(steps), done=done))
        allowed = needed
    return [*steps, Step(kind, call, blocked=bool(steps))]


def send_as(party: Party) -> Send:
    """Sends as a party of a federation: its journal knows of a transaction before the chain does."""

    def send(account: LocalAccount, step: Step) -> Receipt:
        with transactions_of(party.settings, party.federation, account) as transactions:
            return transactions.complete(step.kind, step.call)

    return send


def send_alone(web3: Web3) -> Send:
    """Sends for an account of which no journal is kept."""
    return lambda account, step: Sender(web3, account).send(step.call)


def carry_out_as(party: Party, proposal: Proposal, manner: Manner) -> list[Receipt] | None:
    """What `carry_out` does, for a party of a federation."""
    return carry_out(party.web3, party.address, proposal, manner, party.unlock, send_as(party))


def carry_out(
    web3: Web3,
    sender: Address,
    proposal: Proposal,
    manner: Manner,
    unlock: Callable[[], LocalAccount],
    send: Send,
) -> list[Receipt] | None:
    """Says what the steps do and cost, asks, and sends them one after the other; None after a dry run that
    had something to say. Where there are no steps nothing is asked, and there are no receipts.

    Raises Reverted or ChainError for what the chain would refuse before anything is asked, KoinonError where the answer
    is no, or where there is no terminal to ask at; and for a step that fails after others, which it names.
    """
    steps = proposal.steps
    if not steps and not (manner.dry_run and manner.as_json):
        return []
    quotes = [None if step.blocked else quote(web3, sender, step.call) for step in steps]
    if manner.dry_run and manner.as_json:
        print_json([_as_json(sender, step, price) for step, price in zip(steps, quotes, strict=True)])
        return None
    said = _as_text(web3, sender, steps, quotes, proposal.note)
    print(said, file=sys.stdout if manner.dry_run else sys.stderr, flush=True)
    if manner.dry_run:
        return None
    if not manner.yes:
        confirm("Go on?", "nothing was sent", manner.instead)
    account = unlock()
    receipts: list[Receipt] = []
    for step in steps:
        try:
            receipts.append(send(account, step))
        except KoinonError as error:
            if not receipts:
                raise
            done = ", ".join(before.done or before.kind for before in steps[: len(receipts)])
            raise KoinonError(f"{error}. Done before that: {done}") from error
    return receipts


def _as_text(web3: Web3, sender: Address, steps: Sequence[Step], quotes: Sequence[Quote | None], note: str) -> str:
    lines = [f"{sender} on chain {web3.eth.chain_id} is going to"]
    for step, price in zip(steps, quotes, strict=True):
        cost = f"{format_ether(price.cost)} ETH at most" if price else "known after the step before"
        lines += [f"  - {step.call.description}", f"    gas: {cost}"]
        if step.call.value:
            lines.append(f"    sends: {format_ether(step.call.value)} ETH")
    return "\n".join([*lines, note] if note else lines)


def _as_json(sender: Address, step: Step, price: Quote | None) -> dict[str, Any]:
    """The transaction for another wallet to send: that of a contract, for example."""
    return {
        "description": step.call.description,
        "from": sender,
        "to": step.call.to,
        "value": str(step.call.value),
        "data": "0x" + step.call.data.hex(),
        "gas": None if price is None else price.gas,
        "cost_at_most": None if price is None else str(price.cost),
    }
