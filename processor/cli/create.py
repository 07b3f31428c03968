"""`koinon organization create`: a federation of one's own, with terms that never change."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor.chain.asset import Asset, asset_at
from processor.chain.federation import Factory, factory_deployment
from processor.cli.connections import address_of, chain_of, unlock
from processor.cli.options import AsJson, Config, Rpc, Yes, print_json
from processor.cli.proposal import DryRun, Manner, Proposal, Step, carry_out, send_alone
from processor.cli.terms import IDLE_ROUNDS, MAX_SLASH_RATE, MAX_SPREAD, SALT, STAKE
from processor.cli.written_setting import setting_in, write_setting
from processor.config import WalletSettings, config_file, load_creator
from processor.errors import ConfigurationError
from processor.types import ZERO_ADDRESS, Address, Admission, AuditPolicy, FederationTerms
from processor.words import counted

app = typer.Typer()

SETTING = ("organization", "federation")
"""Where a configuration has the federation: table and key."""


@app.command(epilog="Example: koinon organization create --factory 0x1234… --stake 0.1 --max-slash-rate 1000")
def create(
    factory: Annotated[
        str | None,
        typer.Option("--factory", help="The factory that makes it; without one, a new one."),
    ] = None,
    asset: Annotated[
        str | None, typer.Option("--asset", help="The token of rewards and stakes; without it, the chain's own coin.")
    ] = None,
    stake: Annotated[str, typer.Option("--stake", help="What each client stakes, in whole units: 0.1.")] = "0",
    max_slash_rate: Annotated[
        int,
        typer.Option("--max-slash-rate", help="The most that a round can slash of a stake, in basis points."),
    ] = 0,
    admission: Annotated[str, typer.Option("--admission", help="open, or voucher.")] = "open",
    audit: Annotated[
        str,
        typer.Option("--audit", help="open: everybody can open the updates of a round; or appointed."),
    ] = "open",
    max_spread: Annotated[
        int,
        typer.Option(
            "--max-spread",
            help="How many times more than its pool a round's clients may claim: rejecting others can raise any pay at "
            "most so many times. With 1 it changes nobody's.",
        ),
    ] = 1,
    idle_rounds: Annotated[
        int,
        typer.Option(
            "--idle-rounds",
            help="After how many silent rounds anybody may end a selected client's membership; 0: never.",
        ),
    ] = 0,
    salt: Annotated[
        int, typer.Option("--salt", help="Tells it from your other federations with the same terms: any number.")
    ] = 0,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a federation that belongs to your wallet, and write its address into the configuration.

    Its terms hold for good, and its address follows from them. A configuration that names a federation keeps it.
    """
    settings, file = load_creator({"rpc": rpc}, config), config_file(config)
    web3 = chain_of(settings.network)
    terms = _terms(web3, asset, stake, max_slash_rate, admission, audit, max_spread, idle_rounds, salt)
    sender, manner = address_of(settings.wallet, settings.passphrase_file), Manner(yes, dry_run, as_json)
    maker = factory or _new_factory(web3, settings, sender, manner)
    if maker is None:
        return
    contract = Factory(web3, maker)
    proposal = creation(contract, sender, terms, salt)
    if file is not None and (named := setting_in(file, *SETTING)):
        kept = f"{file} names the federation {named[:80]}, and keeps it."
        proposal = replace(proposal, note=f"{proposal.note}\n{kept}")
    receipts = carry_out(web3, sender, proposal, manner, lambda: _unlocked(settings), send_alone(web3))
    if receipts is None:
        return
    federation = contract.created(receipts[0])
    if not as_json:
        print(proposal.done, flush=True)
    written = _write_down(federation, file)
    if as_json:
        facts = {"federation": federation, "factory": contract.address, "salt": salt, "config": written}
        print_json({**facts, "transaction": receipts[0].tx_hash})
    elif written is not None:
        print(f"{written} names it now as {'.'.join(SETTING)}")


def _write_down(federation: Address, file: Path | None) -> str | None:
    """Writes the federation into the configuration, and returns which that is; None where it is for the user to do,
    who is told. What is on the chain by then is no failure of the command."""
    problem = "no configuration is named"
    if file is not None:
        try:
            write_setting(file, *SETTING, federation)
        except ConfigurationError as error:
            problem = str(error)
        else:
            return str(file)
    line = f'{SETTING[1]} = "{federation}"'
    print(f"The address is written nowhere, since {problem}. Write {line} under [{SETTING[0]}]", file=sys.stderr)
    return None


def creation(factory: Factory, sender: Address, terms: FederationTerms, salt: int) -> Proposal:
    """A federation that belongs to `sender`.

    Raises ConfigurationError where there is one already, whose address would be the same, and ChainError where the
    asset of the terms is no token.
    """
    address = factory.address_of(sender, terms, salt)
    if factory.exists(sender, terms, salt):
        raise ConfigurationError(
            f"the federation {address} with these terms exists already, made by this account with this factory and "
            "this salt: use it, or give another number as the salt"
        )
    return Proposal(
        [Step("federation created", factory.create_federation(terms, salt))],
        f"federation {address} of {sender}, made by the factory {factory.address}",
        f"{_in_words(terms, asset_at(factory.web3, terms.asset))}\nIts address will be {address}.",
    )


def _new_factory(web3: Web3, settings: WalletSettings, sender: str, manner: Manner) -> str | None:
    """The address of a factory that is deployed now; None after a dry run."""
    note = "Then it makes the federation, which is asked about again."
    proposal = Proposal([Step("factory deployed", factory_deployment())], note=note)
    receipts = carry_out(web3, sender, proposal, manner, lambda: _unlocked(settings), send_alone(web3))
    if receipts is None:
        return None
    deployed = receipts[0].contract
    print(f"the factory is {deployed}: give it as --factory if you have to run this again", file=sys.stderr, flush=True)
    return deployed


def _unlocked(settings: WalletSettings) -> LocalAccount:
    return unlock(settings.wallet, settings.passphrase_file)


def _terms(
    web3: Web3,
    asset: str | None,
    stake: str,
    max_slash_rate: int,
    admission: str,
    audit: str,
    max_spread: int,
    idle_rounds: int,
    salt: int,
) -> FederationTerms:
    """Raises ConfigurationError for all mistakes together, ChainError for a token that is none."""
    unit = asset_at(web3, asset or ZERO_ADDRESS)
    units = unit.parse(stake)
    admissions = {kind.name.lower(): kind for kind in Admission}
    policies = {kind.name.lower(): kind for kind in AuditPolicy}
    mistakes = []
    if admission not in admissions:
        mistakes.append(f"--admission: expected {' or '.join(admissions)}, found {admission[:64]!r}")
    if audit not in policies:
        mistakes.append(f"--audit: expected {' or '.join(policies)}, found {audit[:64]!r}")
    if not STAKE.allow(units):
        mistakes.append(f"--stake: expected at most {unit.format(STAKE.most)}, found {unit.format(units)}")
    if not MAX_SLASH_RATE.allow(max_slash_rate):
        least, most = MAX_SLASH_RATE
        mistakes.append(f"--max-slash-rate: expected basis points from {least} to {most}, found {max_slash_rate}")
    elif max_slash_rate and not units:
        mistakes.append("--max-slash-rate: without a stake there is nothing to slash; give --stake too")
    for option, value, limits in (
        ("--max-spread", max_spread, MAX_SPREAD),
        ("--idle-rounds", idle_rounds, IDLE_ROUNDS),
        ("--salt", salt, SALT),
    ):
        if not limits.allow(value):
            mistakes.append(f"{option}: expected a whole number from {limits.least} to {limits.most}, found {value}")
    if mistakes:
        raise ConfigurationError("\n".join(["these terms cannot be used:", *mistakes]))
    kinds = (admissions[admission], policies[audit])
    return FederationTerms(unit.address, units, max_slash_rate, *kinds, max_spread, idle_rounds)


def _in_words(terms: FederationTerms, unit: Asset) -> str:
    who = "anybody can register" if terms.admission is Admission.OPEN else "clients register with a voucher of yours"
    stake = f"each stakes {unit.format(terms.stake)}" if terms.stake else "nobody stakes anything"
    slash = f", of which one round slashes at most {terms.max_slash_rate / 100:g} %" if terms.max_slash_rate else ""
    audit = (
        "everybody can open the updates of a finalized round"
        if terms.audit_policy is AuditPolicy.OPEN
        else "no round's secret is published, so that only you and whom you give it can open updates; the daemon of "
        "this version runs no such rounds"
    )
    spread = (
        "a pool pays the wage for all that can be claimed, so that rejecting others raises nobody's pay"
        if terms.max_spread == 1
        else f"rejecting others can raise any pay at most {terms.max_spread}-fold"
    )
    silence = counted(terms.idle_rounds, "silent round")
    idle = f"; after {silence} anybody may end a membership" if terms.idle_rounds else ""
    return f"For good: rewards and stakes are in {unit.symbol}; {who}; {stake}{slash}; {audit}; {spread}{idle}."
