"""What an organization does with its federation beside running rounds: money, roles, the end.

Every command says what it will do and what that costs before it asks.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from processor.chain.contracts import to_address
from processor.chain.federation import Federation
from processor.chain.transactions import Receipt, quote
from processor.cli.connections import Party, party_of
from processor.cli.daemon import logger
from processor.cli.options import AsJson, Config, Rpc, Yes, print_json
from processor.cli.proposal import DryRun, Manner, Step, carry_out, send_as, with_approval
from processor.config import load_owner
from processor.daemons.kept import KeptRounds, rounds_folder
from processor.errors import ConfigurationError, Reverted
from processor.types import ZERO_ADDRESS, Address, Block

app = typer.Typer()

Sender = Annotated[
    str | None,
    typer.Option("--sender", help="With --dry-run: act as this account, such as a contract wallet."),
]


@dataclass(frozen=True)
class _Owner:
    party: Party
    manner: Manner

    @property
    def federation(self) -> Federation:
        return self.party.federation

    def carry_out(self, steps: list[Step], done: str, note: str = "") -> None:
        """Goes through with the steps and prints what was done."""
        party = self.party
        receipts = carry_out(party.web3, party.address, steps, self.manner, party.unlock, send_as(party), note)
        if receipts is not None:
            _print_done(done, receipts, self.manner.as_json)


def _print_done(done: str, receipts: list[Receipt], as_json: bool) -> None:
    if as_json:
        print_json({"done": done, "transactions": [receipt.tx_hash for receipt in receipts]})
    else:
        print(done)


def _owner(
    rpc: str | None, config: Path | None, yes: bool, dry_run: bool, as_json: bool, sender: str | None = None
) -> _Owner:
    if sender is not None and not dry_run:
        raise ConfigurationError("--sender only goes with --dry-run: nobody can sign for another account")
    party = party_of(load_owner({"rpc": rpc}, config))
    return _Owner(party.seen_as(sender) if sender else party, Manner(yes, dry_run, as_json))


@app.command(epilog="Example: koinon organization fund 0.5 --config organization.toml")
def fund(
    amount: Annotated[str, typer.Argument(help="How much of the federation's asset, in whole units: 0.5.")],
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """Add to what the next round's pool starts with. Only `close` gives it back, and only what no round has used."""
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    asset = owner.federation.asset()
    units = asset.parse(amount)
    call = owner.federation.fund(units)
    steps = with_approval(owner.federation, owner.party.address, units, "funded", call)
    owner.carry_out(steps, f"funded {owner.federation.address} with {asset.format(units)}")


@app.command(epilog="Example: koinon organization operator 0x1234… --config organization.toml")
def operator(
    address: Annotated[str | None, typer.Argument(help="The daemon's account.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Have none.")] = False,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """Let another account open and finalize rounds, so that the owner's key need not be where the daemon runs."""
    if (address is None) != remove:
        raise ConfigurationError("expected either the operator's address or --remove")
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    step = Step("operator set", owner.federation.set_operator(address or ZERO_ADDRESS))
    note = "Stolen, its key can cost at most the live pool, what is carried, and each round's bounded slashes."
    owner.carry_out([step], f"the operator is {address}" if address else "there is no operator", "" if remove else note)


@app.command(epilog="Example: koinon organization transfer 0x1234… --config organization.toml")
def transfer(
    address: Annotated[str | None, typer.Argument(help="The new owner's account.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take what was offered to this wallet.")] = False,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """Offer the federation to a new owner, who then accepts it with --accept."""
    if (address is None) != accept:
        raise ConfigurationError("expected either the new owner's address or --accept")
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    if address is None:
        note = "There is no operator then until you set one, and vouchers of the former owner are worthless."
        step = Step("ownership accepted", owner.federation.accept_ownership())
        owner.carry_out([step], f"{owner.party.address} owns {owner.federation.address}", note)
    else:
        step = Step("ownership offered", owner.federation.transfer_ownership(address))
        owner.carry_out([step], f"{address} can now accept the ownership with `koinon organization transfer --accept`")


@app.command(epilog="Example: koinon organization pause --config organization.toml")
def pause(
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """Let no new round open. A live round goes on; claims and exits are never stopped."""
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    owner.carry_out([Step("paused", owner.federation.pause())], "no round opens until `koinon organization resume`")


@app.command(epilog="Example: koinon organization resume --config organization.toml")
def resume(
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """Let rounds open again after a pause."""
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    owner.carry_out([Step("resumed", owner.federation.unpause())], "rounds can open again")


@app.command(epilog="Example: koinon organization close --config organization.toml")
def close(
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """End rounds and registration for good. Rewards that are owed and stakes stay their clients', and never expire.

    At once, also while a round goes on: that one is finalized or abandoned as any other.
    """
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    carried = owner.federation.asset().format(owner.federation.carried())
    note = f"It cannot be opened again. {carried} can then be withdrawn{_more_later(owner.federation)}."
    owner.carry_out([Step("closed", owner.federation.close())], f"closed; {carried} can be withdrawn", note)


@app.command(epilog="Example: koinon organization withdraw --config organization.toml")
def withdraw(
    to: Annotated[str | None, typer.Option("--to", help="Whom to pay; your own account unless it is given.")] = None,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """After `close`, take out what is carried; again once the last round is over, for what that left."""
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    amount = owner.federation.asset().format(owner.federation.carried())
    to = to or owner.party.address
    note = f"It pays {amount} to {to}{_more_later(owner.federation)}."
    owner.carry_out([Step("withdrawn", owner.federation.withdraw(to))], f"withdrew {amount} to {to}", note)


@app.command(epilog="Example: koinon organization pay --config organization.toml")
def pay(
    clients: Annotated[list[str] | None, typer.Argument(help="Whom to pay; everybody unless some are named.")] = None,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """Have the rewards that clients are owed paid to their own addresses: it costs you only the gas."""
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    federation = owner.federation
    owed = _payable(owner.party, _owed(owner.party, [to_address(client) for client in clients or []]))
    amount = federation.asset().format(sum(owed.values()))
    steps = [Step("paid", federation.claim_for(client)) for client in owed]
    if not steps:
        _print_done("nothing is owed", [], as_json)
        return
    owner.carry_out(steps, f"paid {amount} to {len(owed)} clients", f"It pays {amount}, all of it the clients' own.")


@app.command(epilog="Example: koinon organization retire 0x1234… --config organization.toml")
def retire(
    client: Annotated[str, typer.Argument(help="The member that has been silent.")],
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    sender: Sender = None,
) -> None:
    """End the membership of a client that a round selected and that was silent for as many rounds as the terms say.

    From the end of that round's training until the next opens. Anybody may; stake and rewards stay the client's own.
    """
    owner = _owner(rpc, config, yes, dry_run, as_json, sender)
    client, idle = to_address(client), owner.federation.terms().idle_rounds
    if not idle:
        raise ConfigurationError(
            f"the terms of {owner.federation.address} name no idle_rounds: nobody is retired there, clients leave by "
            "themselves"
        )
    last = owner.federation.round_view(client).client.last
    note = f"Its last update, decline or registration was in round {last}; it keeps its stake and what it is owed."
    step = Step("retired", owner.federation.retire(client))
    owner.carry_out([step], f"{client} is no member any more", note)


def _more_later(federation: Federation) -> str:
    """Completes what is said of what is carried, while a round may still add to it."""
    return ", and what the round that goes on leaves once it is over" if federation.round_view().phase.live else ""


def _owed(party: Party, wanted: list[Address]) -> dict[Address, int]:
    """What each client could claim: of those wanted, or of all members and everybody in a round that is kept here."""
    federation = party.federation
    block = federation.block()
    found = {client: federation.balance_of(client, at=block)[0] for client in wanted or _known(party, block)}
    return {client: owed for client, owed in found.items() if owed}


def _known(party: Party, block: Block) -> list[Address]:
    """The members, and the clients of kept rounds: whoever left with an update in the live one may be owed for it."""
    kept = KeptRounds(rounds_folder(party.settings.state), logger())
    files = [file for number in kept.numbers() if (file := kept.read(number)) is not None]
    clients = [line.client for file in files for line in file.submitted]
    return list(dict.fromkeys([*party.federation.members(at=block), *clients]))


def _payable(party: Party, owed: dict[Address, int]) -> dict[Address, int]:
    """Without those who take no payment, as a contract may: the others are paid all the same."""
    payable = {}
    for client, amount in owed.items():
        try:
            quote(party.web3, party.address, party.federation.claim_for(client))
        except Reverted as refusal:
            print(f"{client} is left out: {refusal}", file=sys.stderr)
        else:
            payable[client] = amount
    return payable
