"""What an organization does with its federation as well as running rounds: money, roles, the end.

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
from processor.chain.snapshot import Snapshot, Snapshots
from processor.cli import actions
from processor.cli.connections import Party, party_of, storage_of
from processor.cli.daemon import logger
from processor.cli.options import AsJson, Config, Rpc, Yes, print_json
from processor.cli.proposal import DryRun, Manner, Proposal, carry_out_as
from processor.config import load_owner
from processor.daemons.kept import KeptRounds, rounds_folder
from processor.errors import ConfigurationError, StorageError
from processor.protocol.walk import walk_back
from processor.protocol.walk.start import start_of
from processor.storage.library import Library
from processor.types import Address

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

    def carry_out(self, proposal: Proposal, hint: str = "") -> None:
        """Goes through with a proposal and prints what was done; `hint` completes that."""
        receipts = carry_out_as(self.party, proposal, self.manner)
        if receipts is None:
            return
        done = proposal.done + hint
        if self.manner.as_json:
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
    units = owner.federation.asset().parse(amount)
    owner.carry_out(actions.fund(owner.federation, owner.party.address, units))


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
    owner.carry_out(actions.name_operator(owner.federation, address))


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
        owner.carry_out(actions.accept_ownership(owner.federation, owner.party.address))
    else:
        hint = " with `koinon organization transfer --accept`"
        owner.carry_out(actions.offer_ownership(owner.federation, address), hint)


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
    owner.carry_out(actions.pause(owner.federation), ", with `koinon organization resume`")


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
    owner.carry_out(actions.resume(owner.federation))


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
    owner.carry_out(actions.close(owner.federation))


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
    owner.carry_out(actions.withdraw(owner.federation, to or owner.party.address))


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
    snapshot = Snapshots(owner.federation).latest()
    wanted = [to_address(client) for client in clients or []] or _known(owner.party, snapshot)
    proposal, refusals = actions.pay(snapshot, owner.party.address, wanted)
    for client, refusal in refusals.items():
        print(f"{client} is left out: {refusal}", file=sys.stderr)
    owner.carry_out(proposal)


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
    owner.carry_out(actions.retire(owner.federation, to_address(client)))


def _known(party: Party, snapshot: Snapshot) -> list[Address]:
    """Whom state names, and the clients of all rounds that reports and the rounds kept here tell of: whoever left since
    may be owed for one. Without the reports, where no storage is named or has them, it is only those."""
    kept, network = KeptRounds(rounds_folder(party.settings.state), logger()), party.settings.network
    files = [file for number in kept.numbers() if (file := kept.read(number)) is not None]
    told = [line.client for file in files for line in file.submitted]
    if network.storage or network.gateways:
        try:
            found = walk_back(start_of(snapshot), Library(storage_of(network, publishing=False)), files)
            told += [line.client for one in found.lists for line in one.updates]
        except StorageError as error:
            print(f"without the clients that only reports name: {error}", file=sys.stderr)
    return list(dict.fromkeys([*snapshot.clients, *told]))
