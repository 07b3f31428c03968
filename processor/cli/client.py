"""`koinon client`: take part with a wallet and data of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from processor import keystore
from processor.chain.amounts import format_ether
from processor.chain.federation import Federation
from processor.chain.transactions import Call, Sender
from processor.cli.connections import chain_of, storage_of, unlock
from processor.cli.daemon import journal_of, logger, stop_on_signals, write_template
from processor.cli.options import AsJson, Config, Ipfs, Rpc, Store, Yes, print_json
from processor.config import ClientSettings, client_template, load_client
from processor.daemons.base import Transactions, run
from processor.errors import KeystoreError
from processor.types import Address, Block, RoundView

app = typer.Typer(help="Take part in a federation.", no_args_is_help=True)


@app.command(epilog="Example: koinon client init --out client.toml")
def init(out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("client.toml")) -> None:
    """Write a commented configuration to start from."""
    write_template(out, client_template())


@app.command("run", epilog="Example: koinon client run --config client.toml")
def run_(config: Config = None, rpc: Rpc = None, ipfs: Ipfs = None, store: Store = None) -> None:
    """Register if needed, train in every round that selects you, submit, and claim; until interrupted."""
    from processor.daemons.client import ClientDaemon, use_threads

    settings = load_client({"rpc": rpc, "ipfs": ipfs, "store": store}, config)
    account = unlock(settings.wallet, settings.passphrase_file)
    web3 = chain_of(settings.network)
    federation = Federation(web3, settings.federation)
    log = logger()
    use_threads(settings.threads)
    with journal_of(settings.state, federation, account.address) as journal:
        daemon = ClientDaemon(
            address=account.address,
            settings=settings,
            federation=federation,
            transactions=Transactions(Sender(web3, account), journal, log),
            storage=storage_of(settings.network),
            journal=journal,
            log=log,
        )
        log.info("started", address=account.address, federation=federation.address, state=str(settings.state))
        run(daemon.cycle, settings.poll_interval, stop_on_signals(), log)


@app.command(epilog="Example: koinon client status --config client.toml")
def status(config: Config = None, rpc: Rpc = None, as_json: AsJson = False) -> None:
    """Show membership, the latest round, compute time, and rewards; needs no passphrase."""
    settings = load_client({"rpc": rpc}, config)
    federation = Federation(chain_of(settings.network), settings.federation)
    address = _address(settings)
    summary = _summary(settings, federation, address)
    if as_json:
        print_json(summary)
    else:
        print("\n".join(f"{name.replace('_', ' '):<22} {value}" for name, value in summary.items()))


@app.command(epilog="Example: koinon client claim --config client.toml --yes")
def claim(config: Config = None, rpc: Rpc = None, yes: Yes = False) -> None:
    """Claim everything that is owed, whatever the threshold."""
    settings = load_client({"rpc": rpc}, config)
    federation = Federation(chain_of(settings.network), settings.federation)
    address = _address(settings)
    owed = _owed(federation, address, federation.block())
    if not owed:
        print("nothing is owed")
        return
    amount = sum(view.client.reward for view in owed)
    question = f"Claim {format_ether(amount)} ETH from {len(owed)} rounds to {address}?"
    call = federation.claim([view.round for view in owed], address)
    _send(settings, federation, "claimed", call, question, yes)
    print(f"claimed {format_ether(amount)} ETH from {len(owed)} rounds")


@app.command(epilog="Example: koinon client leave --config client.toml")
def leave(config: Config = None, rpc: Rpc = None, yes: Yes = False) -> None:
    """End the membership. Rewards stay yours; an update that is in stays in. A running daemon would register again."""
    settings = load_client({"rpc": rpc}, config)
    federation = Federation(chain_of(settings.network), settings.federation)
    question = f"Leave the federation {federation.address}?"
    _send(settings, federation, "left", federation.leave(), question, yes)
    print("left the federation")


def _send(settings: ClientSettings, federation: Federation, kind: str, call: Call, question: str, yes: bool) -> None:
    if not yes:
        typer.confirm(question, abort=True)
    account = unlock(settings.wallet, settings.passphrase_file)
    log = logger()
    with journal_of(settings.state, federation, account.address) as journal:
        Transactions(Sender(chain_of(settings.network), account), journal, log).send(kind, call)


def _address(settings: ClientSettings) -> Address:
    address = keystore.address_in(settings.wallet)
    if address is None:
        raise KeystoreError(f"{settings.wallet} is not a wallet: `koinon wallet new` makes one")
    return address


def _owed(federation: Federation, address: Address, block: Block) -> list[RoundView]:
    """The rounds whose reward is not claimed yet."""
    views = (
        federation.round_view(number, address, at=block) for number in range(1, federation.round_count(at=block) + 1)
    )
    return [view for view in views if view.phase.over and view.client.reward and not view.client.claimed]


def _summary(settings: ClientSettings, federation: Federation, address: Address) -> dict[str, Any]:
    block = federation.block()
    count = federation.round_count(at=block)
    view = federation.round_view(max(1, count), address, at=block)
    owed = _owed(federation, address, block)
    metered = 0
    if settings.state.exists():
        with journal_of(settings.state, federation, address) as journal:
            metered = journal.metered_ms(view.round, view.sealing_key)
    return {
        "address": address,
        "federation": federation.address,
        "member": view.client.member,
        "round": count,
        "phase": view.phase.name.lower(),
        "selected": view.client.selected,
        "update": view.client.update or "none",
        "metered_ms": metered,
        "claimed_ms": view.client.compute_ms,
        "credited_ms": view.client.credited_ms,
        "unclaimed_rounds": len(owed),
        "unclaimed_wei": str(sum(row.client.reward for row in owed)),
    }
