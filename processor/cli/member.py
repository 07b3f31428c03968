"""What a client asks and does by itself: `koinon client register`, `status`, `decline` and `leave`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from processor.chain.asset import Asset
from processor.chain.contracts import to_address
from processor.chain.snapshot import Snapshot, Snapshots
from processor.chain.transactions import Receipt
from processor.chain.vouchers import Voucher, load_voucher
from processor.cli.connections import Party, party_of
from processor.cli.daemon import journal_of
from processor.cli.fitting import look_before_entry
from processor.cli.options import AsJson, Config, Rpc, Yes, asset_as_json, print_json
from processor.cli.proposal import DryRun, Manner, Proposal, Step, carry_out_as, with_approval
from processor.cli.relayed import decline_by_relay, leave_by_relay, register_by_relay
from processor.config import MemberSettings, load_member
from processor.daemons.base import journal_path
from processor.errors import ConfigurationError
from processor.journal import SavedUpdate
from processor.types import Address, Admission, ClientView, Phase

app = typer.Typer()


@app.command(epilog="Example: koinon client register --voucher voucher.json --config client.toml")
def register(
    voucher: Annotated[
        Path | None, typer.Option("--voucher", help="The voucher, where the federation asks for one.")
    ] = None,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Become a member, and stake what the federation asks for. You take part from the next round on."""
    settings = load_member({"rpc": rpc, "voucher": voucher}, config)
    party = party_of(settings)
    federation, asset, terms = party.federation, party.federation.asset(), party.federation.terms()
    voucher_found, manner = _voucher_of(settings, party), Manner(yes, dry_run, as_json)
    refused = look_before_entry(federation, {"rpc": rpc, "voucher": voucher}, config)
    if not terms.stake and register_by_relay(party, settings, voucher_found, manner, refused):
        return  # nobody stakes for another
    call = federation.register() if voucher_found is None else federation.register_with_voucher(voucher_found)
    steps = with_approval(federation, party.address, terms.stake, "registered", call)
    notes = [refused] if refused else []
    if terms.stake:
        notes.append(
            f"The stake of {asset.format(terms.stake)} comes back when you leave, less what was slashed: a round "
            f"slashes at most {terms.max_slash_rate / 100:g} % of it, and only where it rejects or lowers your update."
        )
    receipts = _carry_out(party, steps, manner, "\n".join(notes))
    if receipts is None:
        return
    if as_json:
        print_json({"registered": federation.address, "address": party.address, "transactions": _hashes(receipts)})
    else:
        print(f"{party.address} is a member of {federation.address}")


@app.command(epilog="Example: koinon client status --config client.toml")
def status(config: Config = None, rpc: Rpc = None, as_json: AsJson = False) -> None:
    """Show membership, stake, the latest round, compute time, and rewards; needs no passphrase."""
    settings = load_member({"rpc": rpc}, config)
    party = party_of(settings)
    summary = _summary(party)
    if as_json:
        print_json(summary)
    else:
        print(_text(summary, party.federation.asset()))


@app.command(epilog="Example: koinon client decline --config client.toml --yes")
def decline(
    config: Config = None, rpc: Rpc = None, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Say that you take no part in the round that goes on, so that nobody waits for you. You stay a member."""
    settings = load_member({"rpc": rpc}, config)
    party = party_of(settings)
    view = _seen_by(party).view
    if view.phase is not Phase.TRAINING or not view.client.selected:
        raise ConfigurationError("no round waits for you: there is nothing to decline")
    if view.client.update is not None or view.client.declined:
        said = "you have declined it" if view.client.declined else "your update is in"
        raise ConfigurationError(f"round {view.round} does not wait for you: {said}")
    manner = Manner(yes, dry_run, as_json)
    if decline_by_relay(party, settings, manner):
        return
    step = Step("declined", party.federation.decline(view.round, view.sealing_key))
    note = "A daemon that is running does not train for the round any more."
    receipts = _carry_out(party, [step], manner, note)
    if receipts is None:
        return
    if as_json:
        print_json({"declined": view.round, "address": party.address, "transactions": _hashes(receipts)})
    else:
        print(f"declined round {view.round}")


@app.command(epilog="Example: koinon client leave --config client.toml")
def leave(
    to: Annotated[
        str | None, typer.Option("--to", help="Whom stake and rewards go to; your own account by default.")
    ] = None,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End the membership, and take stake and rewards out. An update that is in stays in.

    Where your update is in the live round, both stay until that is over: leave again then. A running daemon would
    register again.
    """
    settings = load_member({"rpc": rpc}, config)
    party = party_of(settings)
    federation, manner = party.federation, Manner(yes, dry_run, as_json)
    to = to_address(to) if to else party.address
    note, stays = _leaving_in_words(party, to)
    if leave_by_relay(party, settings, to, manner):
        return
    receipts = _carry_out(party, [Step("left", federation.leave(to))], manner, note)
    if receipts is None:
        return
    if as_json:
        left = {"left": federation.address, "address": party.address, "stays": stays}
        print_json({**left, "transactions": _hashes(receipts)})
    else:
        print(f"left the federation {federation.address}." + (f" {note}" if note else ""))


def _seen_by(party: Party) -> Snapshot:
    """The federation at the head of the chain, with this client in it."""
    return Snapshots(party.federation, party.address).latest()


def _voucher_of(settings: MemberSettings, party: Party) -> Voucher | None:
    """What admits the client; None where nobody needs one.

    Raises ConfigurationError where a voucher is missing or not wanted, ChainError for one that does not fit.
    """
    federation = party.federation
    if federation.terms().admission is Admission.OPEN:
        if settings.voucher is not None:
            raise ConfigurationError(f"the federation {federation.address} takes no vouchers: leave it out")
        return None
    if settings.voucher is None:
        raise ConfigurationError(
            f"the federation {federation.address} admits clients by voucher: ask its organization for one for "
            f"{party.address}, and give it as --voucher or write it as client.voucher"
        )
    voucher, block = load_voucher(settings.voucher), federation.block()
    nonce = federation.owner_nonce(at=block)
    voucher.check(federation.chain_id, federation.address, party.address, block.timestamp, nonce)
    return voucher


def _leaving_in_words(party: Party, to: Address) -> tuple[str, bool]:
    """What becomes of stake and rewards on leaving now, and whether they stay for a while."""
    view, asset = _seen_by(party).view, party.federation.asset()
    client = view.client
    parts = [f"the stake of {asset.format(client.stake)}"] if client.stake else []
    parts += [f"rewards of {asset.format(client.owed)}"] if client.owed else []
    held = " and ".join(parts)
    if view.phase.live and client.update is not None:
        held = " and ".join([*parts, "what your update earns"])
        return (
            f"{_capital(held)} stay until round {view.round} is over: run this command again then.",
            True,
        )
    return (f"{_capital(held)} {'go' if len(parts) > 1 or client.owed else 'goes'} to {to}." if held else ""), False


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _carry_out(party: Party, steps: list[Step], manner: Manner, note: str) -> list[Receipt] | None:
    return carry_out_as(party, Proposal(steps, note=note), manner)


def _hashes(receipts: list[Receipt]) -> list[str]:
    return [receipt.tx_hash for receipt in receipts]


def _summary(party: Party) -> dict[str, Any]:
    settings, federation, address = party.settings, party.federation, party.address
    view = _seen_by(party).view
    metered, saved = 0, None
    if journal_path(settings.state).exists():
        with journal_of(settings.state, federation, address) as journal:
            metered = journal.metered_ms(view.round, view.sealing_key)
            saved = journal.update_in(view.round, view.sealing_key)
    return {
        "address": address,
        "federation": federation.address,
        "asset": asset_as_json(federation.asset()),
        "member": view.client.member,
        "stake": str(view.client.stake),
        "round": view.round,
        "phase": view.phase.name.lower(),
        "selected": view.client.selected,
        "declined": view.client.declined,
        "update": view.client.update,
        "published": saved is not None and saved.published,
        "final": saved is not None and saved.final,
        "metered_ms": metered,
        "claimed_ms": _claimed_ms(view.client, saved),
        "credited_ms": view.client.compute_ms,
        "owed": str(view.client.owed),
    }


def _claimed_ms(client: ClientView, saved: SavedUpdate | None) -> int | None:
    """What was claimed, where anybody still knows: of an update that was adjusted, the chain does not."""
    if not client.adjusted:
        return client.compute_ms
    return None if saved is None else saved.claimed_ms


def _text(summary: dict[str, Any], asset: Asset) -> str:
    lines = [
        f"client            {summary['address']}{'' if summary['member'] else ' (not a member)'}",
        f"federation        {summary['federation']}",
        f"stake             {asset.format(int(summary['stake']))}",
    ]
    if summary["round"]:
        taking_part = ", declined" if summary["declined"] else "" if summary["selected"] else ", not selected"
        known = ", published" if summary["published"] else ""
        claimed = "an unknown time" if summary["claimed_ms"] is None else f"{summary['claimed_ms']} ms"
        lines += [
            f"round             {summary['round']}, {summary['phase']}{taking_part}",
            f"update            {summary['update'] + known if summary['update'] else 'none submitted'}",
            f"compute time      {summary['metered_ms']} ms measured here, {claimed} claimed, "
            f"{summary['credited_ms']} ms credited",
        ]
    else:
        lines.append("round             none has been opened")
    owed = int(summary["owed"])
    return "\n".join([*lines, f"to be claimed     {asset.format(owed) if owed else 'nothing'}"])
