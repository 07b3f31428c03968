"""What an organization can do with its federation, as proposals: its commands ask for them here, and so do the brownie
scripts."""

from __future__ import annotations

from collections.abc import Iterable

from processor.chain.federation import Federation
from processor.chain.snapshot import Snapshot
from processor.chain.transactions import quote
from processor.cli.proposal import Proposal, Step, with_approval
from processor.errors import ConfigurationError, Reverted
from processor.types import ZERO_ADDRESS, Address
from processor.words import counted


def fund(federation: Federation, sender: Address, units: int) -> Proposal:
    """Adds to what the next round's pool starts with."""
    steps = with_approval(federation, sender, units, "funded", federation.fund(units))
    return Proposal(steps, f"funded {federation.address} with {federation.asset().format(units)}")


def name_operator(federation: Federation, operator: Address | None) -> Proposal:
    """Lets another account open and finalize rounds; None for nobody. Raises ChainError where it is no address."""
    step = Step("operator set", federation.set_operator(operator or ZERO_ADDRESS))
    if operator is None:
        return Proposal([step], "there is no operator")
    note = "Stolen, its key can cost at most the live pool, what is carried, and each round's bounded slashes."
    return Proposal([step], f"the operator is {operator}", note)


def offer_ownership(federation: Federation, to: Address) -> Proposal:
    """Raises ChainError where `to` is no address."""
    step = Step("ownership offered", federation.transfer_ownership(to))
    return Proposal([step], f"{to} can now accept the ownership")


def accept_ownership(federation: Federation, heir: Address) -> Proposal:
    """`heir` is who accepts."""
    note = "There is no operator then until you set one, and vouchers of the former owner are worthless."
    step = Step("ownership accepted", federation.accept_ownership())
    return Proposal([step], f"{heir} owns {federation.address}", note)


def pause(federation: Federation) -> Proposal:
    return Proposal([Step("paused", federation.pause())], "paused: no round opens until it is resumed")


def resume(federation: Federation) -> Proposal:
    return Proposal([Step("resumed", federation.unpause())], "rounds can open again")


def close(federation: Federation) -> Proposal:
    """Ends rounds and registration for good."""
    carried = federation.asset().format(federation.carried())
    note = f"It cannot be opened again. {carried} can then be withdrawn{_more_later(federation)}."
    return Proposal([Step("closed", federation.close())], f"closed; {carried} can be withdrawn", note)


def withdraw(federation: Federation, to: Address) -> Proposal:
    """Raises ChainError where `to` is no address."""
    amount = federation.asset().format(federation.carried())
    note = f"It pays {amount} to {to}{_more_later(federation)}."
    return Proposal([Step("withdrawn", federation.withdraw(to))], f"withdrew {amount} to {to}", note)


def pay(snapshot: Snapshot, sender: Address, clients: Iterable[Address]) -> tuple[Proposal, dict[Address, Reverted]]:
    """Has clients paid what they are owed, and who takes no payment, as a contract may: the others are paid all the
    same. There are no steps where nothing is owed."""
    federation = snapshot.federation
    asset, steps, total, refusals = federation.asset(), [], 0, {}
    for client, (owed, _) in snapshot.balances(clients).items():
        if not owed:
            continue
        call = federation.claim_for(client)
        try:
            quote(federation.web3, sender, call)
        except Reverted as refusal:
            refusals[client] = refusal
        else:
            steps.append(Step("paid", call, done=f"paid {asset.format(owed)} to {client}"))
            total += owed
    if not steps:
        return Proposal([], "nothing is owed"), refusals
    amount = asset.format(total)
    note = f"It pays {amount}, all of it the clients' own."
    return Proposal(steps, f"paid {amount} to {counted(len(steps), 'client')}", note), refusals


def retire(federation: Federation, client: Address) -> Proposal:
    """Raises ConfigurationError where the terms end no membership."""
    if not federation.terms().idle_rounds:
        raise ConfigurationError(
            f"the terms of {federation.address} name no idle_rounds: nobody is retired there, clients leave by "
            "themselves"
        )
    last = federation.round_view(client).client.last
    note = f"Its last update, decline or registration was in round {last}; it keeps its stake and what it is owed."
    return Proposal([Step("retired", federation.retire(client))], f"{client} is no member any more", note)


def revoke_voucher(federation: Federation, id: int) -> Proposal:
    note = "It has been used or revoked before: this changes nothing." if federation.voucher_spent(id) else ""
    return Proposal([Step("voucher revoked", federation.revoke_voucher(id))], f"revoked the voucher {id}", note)


def _more_later(federation: Federation) -> str:
    """Completes what is said of what is carried, while a round may still add to it."""
    return ", and what the round that goes on leaves once it is over" if federation.round_view().phase.live else ""
