"""What a client asks and does beside its daemon: `koinon client register`, `status`, `claim` and `leave`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from processor.chain.asset import Asset
from processor.chain.contracts import to_address
from processor.chain.federation import Federation
from processor.chain.transactions import Call, Receipt
from processor.chain.vouchers import load_voucher
from processor.cli.connections import Party, party_of
from processor.cli.daemon import journal_of
from processor.cli.options import AsJson, Config, Rpc, Yes, asset_as_json, print_json
from processor.cli.proposal import DryRun, Manner, Step, carry_out, send_as, with_approval
from processor.config import MemberSettings, load_member
from processor.daemons.base import journal_path
from processor.errors import ConfigurationError
from processor.types import Address, Admission, Block, RoundView

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
    steps = with_approval(federation, party.address, terms.stake, "registered", _registration(settings, party))
    note = ""
    if terms.stake:
        note = (
            f"The stake of {asset.format(terms.stake)} comes back when you leave, less what was slashed: a round "
            f"slashes at most {terms.max_slash_rate / 100:g} % of it, and only where it rejects or lowers your update."
        )
    receipts = _carry_out(party, steps, Manner(yes, dry_run, as_json), note)
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


@app.command(epilog="Example: koinon client claim --config client.toml --yes")
def claim(
    to: Annotated[str | None, typer.Option("--to", help="Whom to pay; your own account unless it is given.")] = None,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Claim everything that is owed, whatever the threshold."""
    party = party_of(load_member({"rpc": rpc}, config))
    federation = party.federation
    owed = _owed(federation, party.address, federation.block())
    amount, rounds = sum(view.client.reward for view in owed), [view.round for view in owed]
    said = f"{federation.asset().format(amount)} from {_rounds(len(owed))}"
    receipts: list[Receipt] | None = []
    if owed:
        to = to or party.address
        step = Step("claimed", federation.claim(rounds, to))
        receipts = _carry_out(party, [step], Manner(yes, dry_run, as_json), f"It pays {said} to {to}.")
    if receipts is None:
        return
    if as_json:
        print_json({"claimed": str(amount), "rounds": rounds, "transactions": _hashes(receipts)})
    else:
        print(f"claimed {said}" if owed else "nothing is owed")


@app.command(epilog="Example: koinon client leave --config client.toml")
def leave(
    to: Annotated[str | None, typer.Option("--to", help="Whom the stake goes to; your own account by default.")] = None,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End the membership and take the stake back. Rewards stay yours; an update that is in stays in.

    Where your update is in the live round, the stake stays until that is over: leave again then. A running daemon would
    register again.
    """
    party = party_of(load_member({"rpc": rpc}, config))
    federation = party.federation
    to = to_address(to) if to else party.address
    note, stays = _stake_in_words(party, to)
    receipts = _carry_out(party, [Step("left", federation.leave(to))], Manner(yes, dry_run, as_json), note)
    if receipts is None:
        return
    if as_json:
        left = {"left": federation.address, "address": party.address, "stake_stays": stays}
        print_json({**left, "transactions": _hashes(receipts)})
    else:
        print(f"left the federation {federation.address}." + (f" {note}" if note else ""))


def _registration(settings: MemberSettings, party: Party) -> Call:
    """Raises ConfigurationError where a voucher is missing or not wanted, ChainError for one that does not fit."""
    federation = party.federation
    if federation.terms().admission is Admission.OPEN:
        if settings.voucher is not None:
            raise ConfigurationError(f"the federation {federation.address} takes no vouchers: leave it out")
        return federation.register()
    if settings.voucher is None:
        raise ConfigurationError(
            f"the federation {federation.address} admits clients by voucher: ask its organization for one for "
            f"{party.address}, and give it as --voucher or write it as client.voucher"
        )
    voucher = load_voucher(settings.voucher)
    voucher.check(federation.chain_id, federation.address, party.address, federation.block().timestamp)
    return federation.register_with_voucher(voucher)


def _stake_in_words(party: Party, to: Address) -> tuple[str, bool]:
    """What becomes of the stake on leaving now, and whether it stays for a while."""
    federation = party.federation
    block = federation.block()
    view = federation.round_view(max(1, federation.round_count(at=block)), party.address, at=block)
    if not view.client.stake:
        return "", False
    stake = federation.asset().format(view.client.stake)
    if view.phase.live and view.client.update is not None:
        return f"The stake of {stake} stays until round {view.round} is over: run this command again then.", True
    return f"The stake of {stake} goes to {to}.", False


def _carry_out(party: Party, steps: list[Step], manner: Manner, note: str) -> list[Receipt] | None:
    return carry_out(party.web3, party.address, steps, manner, party.unlock, send_as(party), note)


def _hashes(receipts: list[Receipt]) -> list[str]:
    return [receipt.tx_hash for receipt in receipts]


def _owed(federation: Federation, address: Address, block: Block) -> list[RoundView]:
    """The rounds whose reward is not claimed yet."""
    views = (
        federation.round_view(number, address, at=block) for number in range(1, federation.round_count(at=block) + 1)
    )
    return [view for view in views if view.phase.over and view.client.reward and not view.client.claimed]


def _summary(party: Party) -> dict[str, Any]:
    settings, federation, address = party.settings, party.federation, party.address
    block = federation.block()
    count = federation.round_count(at=block)
    view = federation.round_view(max(1, count), address, at=block)
    owed = _owed(federation, address, block)
    metered = 0
    if journal_path(settings.state).exists():
        with journal_of(settings.state, federation, address) as journal:
            metered = journal.metered_ms(view.round, view.sealing_key)
    return {
        "address": address,
        "federation": federation.address,
        "asset": asset_as_json(federation.asset()),
        "member": view.client.member,
        "stake": str(view.client.stake),
        "round": count,
        "phase": view.phase.name.lower(),
        "selected": view.client.selected,
        "update": view.client.update,
        "metered_ms": metered,
        "claimed_ms": view.client.compute_ms,
        "credited_ms": view.client.credited_ms,
        "unclaimed_rounds": [each.round for each in owed],
        "unclaimed": str(sum(each.client.reward for each in owed)),
    }


def _text(summary: dict[str, Any], asset: Asset) -> str:
    lines = [
        f"client            {summary['address']}{'' if summary['member'] else ' (not a member)'}",
        f"federation        {summary['federation']}",
        f"stake             {asset.format(int(summary['stake']))}",
    ]
    if summary["round"]:
        phase = summary["phase"] + ("" if summary["selected"] else ", not selected")
        lines += [
            f"round             {summary['round']}, {phase}",
            f"update            {summary['update'] or 'none submitted'}",
            f"compute time      {summary['metered_ms']} ms measured here, {summary['claimed_ms']} ms claimed, "
            f"{summary['credited_ms']} ms credited",
        ]
    else:
        lines.append("round             none has been opened")
    unclaimed = len(summary["unclaimed_rounds"])
    owed = f"{asset.format(int(summary['unclaimed']))} from {_rounds(unclaimed)}" if unclaimed else "nothing"
    return "\n".join([*lines, f"to be claimed     {owed}"])


def _rounds(count: int) -> str:
    return f"{count} round{'' if count == 1 else 's'}"
