"""What a client asks and does beside its daemon: `koinon client status`, `claim` and `leave`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from processor import keystore
from processor.chain.amounts import format_ether
from processor.chain.federation import Federation
from processor.chain.transactions import Call, Receipt, Sender
from processor.cli.connections import chain_of, unlock
from processor.cli.daemon import journal_of, logger
from processor.cli.options import AsJson, Config, Rpc, Yes, print_json
from processor.config import MemberSettings, load_member
from processor.daemons.base import Transactions, journal_path
from processor.errors import KeystoreError, KoinonError
from processor.types import Address, Block, RoundView

app = typer.Typer()


@app.command(epilog="Example: koinon client status --config client.toml")
def status(config: Config = None, rpc: Rpc = None, as_json: AsJson = False) -> None:
    """Show membership, the latest round, compute time, and rewards; needs no passphrase."""
    settings, address, federation = _open(rpc, config)
    summary = _summary(settings, federation, address)
    if as_json:
        print_json(summary)
    else:
        print(_text(summary))


@app.command(epilog="Example: koinon client claim --config client.toml --yes")
def claim(config: Config = None, rpc: Rpc = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Claim everything that is owed, whatever the threshold."""
    settings, address, federation = _open(rpc, config)
    owed = _owed(federation, address, federation.block())
    amount, rounds, transaction = sum(view.client.reward for view in owed), [view.round for view in owed], None
    said = f"{format_ether(amount)} ETH from {_rounds(len(owed))}"
    if owed:
        call = federation.claim(rounds, address)
        receipt = _send(settings, federation, "claimed", call, f"Claim {said} to {address}?", yes)
        transaction = receipt.tx_hash
    if as_json:
        print_json({"claimed_wei": str(amount), "rounds": rounds, "transaction": transaction})
    else:
        print(f"claimed {said}" if owed else "nothing is owed")


@app.command(epilog="Example: koinon client leave --config client.toml")
def leave(config: Config = None, rpc: Rpc = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """End the membership. Rewards stay yours; an update that is in stays in. A running daemon would register again."""
    settings, address, federation = _open(rpc, config)
    question = f"Leave the federation {federation.address}?"
    receipt = _send(settings, federation, "left", federation.leave(), question, yes)
    if as_json:
        print_json({"left": federation.address, "address": address, "transaction": receipt.tx_hash})
    else:
        print(f"left the federation {federation.address}")


def _open(rpc: str | None, config: Path | None) -> tuple[MemberSettings, Address, Federation]:
    settings = load_member({"rpc": rpc}, config)
    address = keystore.address_in(settings.wallet)
    if address is None:
        raise KeystoreError(f"{settings.wallet} is not a wallet: `koinon wallet new` makes one")
    return settings, address, Federation(chain_of(settings.network), settings.federation)


def _send(settings: MemberSettings, federation: Federation, kind: str, call: Call, question: str, yes: bool) -> Receipt:
    if not yes and not typer.confirm(question, err=True):
        raise KoinonError("nothing was sent")
    account = unlock(settings.wallet, settings.passphrase_file)
    with journal_of(settings.state, federation, account.address) as journal:
        return Transactions(Sender(chain_of(settings.network), account), journal, logger()).send(kind, call)


def _owed(federation: Federation, address: Address, block: Block) -> list[RoundView]:
    """The rounds whose reward is not claimed yet."""
    views = (
        federation.round_view(number, address, at=block) for number in range(1, federation.round_count(at=block) + 1)
    )
    return [view for view in views if view.phase.over and view.client.reward and not view.client.claimed]


def _summary(settings: MemberSettings, federation: Federation, address: Address) -> dict[str, Any]:
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
        "member": view.client.member,
        "round": count,
        "phase": view.phase.name.lower(),
        "selected": view.client.selected,
        "update": view.client.update,
        "metered_ms": metered,
        "claimed_ms": view.client.compute_ms,
        "credited_ms": view.client.credited_ms,
        "unclaimed_rounds": [each.round for each in owed],
        "unclaimed_wei": str(sum(each.client.reward for each in owed)),
    }


def _text(summary: dict[str, Any]) -> str:
    lines = [
        f"client            {summary['address']}{'' if summary['member'] else ' (not a member)'}",
        f"federation        {summary['federation']}",
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
    owed = f"{format_ether(int(summary['unclaimed_wei']))} ETH from {_rounds(unclaimed)}" if unclaimed else "nothing"
    return "\n".join([*lines, f"to be claimed     {owed}"])


def _rounds(count: int) -> str:
    return f"{count} round{'' if count == 1 else 's'}"
