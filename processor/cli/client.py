"""`koinon client`: take part with a wallet and data of your own."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import typer
from eth_account.signers.local import LocalAccount

from processor.cli import claims, join, member
from processor.cli.connections import federation_of, storage_of, unlock
from processor.cli.daemon import logger, only_daemon, stopped_by_signals, transactions_of, write_template
from processor.cli.options import Config, Ipfs, Out, Rpc, Store
from processor.cli.relayed import relayed_of
from processor.cli.running import (
    As,
    DryRun,
    Once,
    begin,
    keep_running,
    load_as,
    metrics_of,
    require_dry_run,
    say,
    without_key,
    worker_of,
)
from processor.config import ClientSettings, client_template, load_client
from processor.daemons.client import ClientDaemon
from processor.daemons.dry_run import UnpublishedStorage, next_step
from processor.daemons.funds_watch import FundsWatch
from processor.daemons.updates import sweep
from processor.errors import DatasetError
from processor.journal import updates_folder
from processor.protocol.funds import CLIENT_GAS
from processor.storage import Measured
from processor.storage.library import Library

app = typer.Typer(
    help="Take part in a federation.", no_args_is_help=True, epilog="Example: koinon client run --config client.toml"
)
app.add_typer(join.app)
app.add_typer(member.app)
app.add_typer(claims.app)


@app.command(epilog="Example: koinon client init --out client.toml")
def init(out: Out = Path("client.toml")) -> None:
    """Write a commented configuration to start from."""
    write_template(out, client_template())


@app.command("run", epilog="Example: koinon client run --config client.toml")
def run_(
    config: Config = None,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    once: Once = False,
    dry_run: DryRun = False,
    address: As = None,
) -> None:
    """Register if needed, train in every round that selects you, submit, and claim; until interrupted."""
    require_dry_run(address, dry_run, once)
    settings = load_as(load_client, {"rpc": rpc, "ipfs": ipfs, "store": store}, config, address)
    if not settings.data.is_file():  # what is in it is judged by the task of each round's plan
        raise DatasetError(f"there is no data at {settings.data}: name the file that you train on as client.data")
    if dry_run:
        _dry_run(settings, address)
        return
    account = unlock(settings.wallet, settings.passphrase_file)
    with stopped_by_signals(logger()) as stopping:
        begin(partial(_run, settings, account, once, stopping), settings, once, logger(), stopping)


def _run(settings: ClientSettings, account: LocalAccount, once: bool, stopping: threading.Event) -> None:
    federation = federation_of(settings, stopping.is_set)
    log, metrics, done = logger(), metrics_of(settings), threading.Event()
    with (
        only_daemon(settings.state, federation.chain_id, account.address),
        transactions_of(settings, federation, account, metrics) as transactions,
        worker_of(settings, log, done) as worker,
    ):
        sweep(updates_folder(settings.state), transactions.journal, log)
        daemon = ClientDaemon(
            address=account.address,
            settings=settings,
            federation=federation,
            transactions=transactions,
            library=Library(Measured(storage_of(settings.network, stop=stopping.is_set), metrics)),
            journal=transactions.journal,
            worker=worker,
            log=log,
            metrics=metrics,
            relayed=relayed_of(settings, federation, account, stopping.is_set),
        )
        log.info("started", address=account.address, federation=federation.address, state=str(settings.state))
        daemon.require_fitting_data(stopping)
        gas = 0 if settings.relays else CLIENT_GAS  # relays pay for what it sends
        watch = FundsWatch(federation, account.address, gas, 0, metrics, log)
        keep_running(daemon.cycle, settings, watch, metrics, log, once, stopping, done)


def _dry_run(settings: ClientSettings, address: str | None) -> None:
    federation, log = federation_of(settings), logger()
    with without_key(settings, federation, address, log) as (who, dry, transactions), worker_of(dry, log) as worker:
        daemon = ClientDaemon(
            address=who,
            settings=dry,
            federation=federation,
            transactions=transactions,
            library=Library(UnpublishedStorage(storage_of(settings.network), dry.state / "store")),
            journal=transactions.journal,
            worker=worker,
            log=log,
        )
        say(next_step(daemon), who, federation)
