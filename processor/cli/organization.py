"""`koinon organization`: run the rounds of a federation that is yours."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import typer
from eth_account.signers.local import LocalAccount

from processor.artifacts.plan import Plan
from processor.cli import create, owner, plan, voucher
from processor.cli.connections import federation_of, storage_of, unlock
from processor.cli.daemon import logger, only_daemon, stopped_by_signals, transactions_of, write_template
from processor.cli.options import Config, Ipfs, Out, Rpc, Store
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
from processor.config import OrganizationSettings, load_organization, organization_template
from processor.daemons.dry_run import UnpublishedStorage, next_step, throwaway_key
from processor.daemons.funds_watch import FundsWatch
from processor.daemons.organization import OrganizationDaemon
from processor.keystore import state_key
from processor.protocol.funds import ORGANIZATION_GAS
from processor.storage import Measured
from processor.storage.library import Library

app = typer.Typer(
    help="Run a federation of your own.",
    no_args_is_help=True,
    epilog="Example: koinon organization run --config organization.toml",
)
app.add_typer(create.app)
app.add_typer(owner.app)
app.add_typer(voucher.app, name="voucher")
app.add_typer(plan.app, name="plan")


@app.command(epilog="Example: koinon organization init --out organization.toml")
def init(out: Out = Path("organization.toml")) -> None:
    """Write a commented configuration to start from: network, wallet, rewards, and the plan of the learning."""
    write_template(out, organization_template())


@app.command("run", epilog="Example: koinon organization run --config organization.toml")
def run_(
    config: Config = None,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    once: Once = False,
    dry_run: DryRun = False,
    address: As = None,
) -> None:
    """Publish plan and initial model; open, aggregate, evaluate and finalize rounds until the stopping rule holds."""
    require_dry_run(address, dry_run, once)
    settings = load_as(load_organization, {"rpc": rpc, "ipfs": ipfs, "store": store}, config, address)
    plan = Plan.from_table(settings.plan)
    if dry_run:
        _dry_run(settings, plan, address)
        return
    account = unlock(settings.wallet, settings.passphrase_file)
    with stopped_by_signals(logger()) as stopping:
        begin(partial(_run, settings, plan, account, once, stopping), settings, once, logger(), stopping)


def _run(
    settings: OrganizationSettings, plan: Plan, account: LocalAccount, once: bool, stopping: threading.Event
) -> None:
    federation = federation_of(settings, stopping.is_set)
    log, metrics = logger(), metrics_of(settings)
    with (
        only_daemon(settings.state, federation.chain_id, account.address),
        transactions_of(settings, federation, account, metrics) as transactions,
        worker_of(settings, log) as worker,
    ):
        daemon = OrganizationDaemon(
            address=account.address,
            settings=settings,
            plan=plan,
            federation=federation,
            transactions=transactions,
            library=Library(Measured(storage_of(settings.network, stop=stopping.is_set), metrics)),
            journal=transactions.journal,
            log=log,
            worker=worker,
            state_key=state_key(account),
            stopping=stopping,
            metrics=metrics,
        )
        log.info("started", address=account.address, federation=federation.address, state=str(settings.state))
        reward = settings.round.reward if federation.asset().native else 0
        watch = FundsWatch(federation, account.address, ORGANIZATION_GAS, reward, metrics, log)
        keep_running(daemon.cycle, settings, watch, metrics, log, once, stopping)


def _dry_run(settings: OrganizationSettings, plan: Plan, address: str | None) -> None:
    federation = federation_of(settings)
    log = logger()
    with without_key(settings, federation, address, log) as (who, dry, transactions), worker_of(dry, log) as worker:
        daemon = OrganizationDaemon(
            address=who,
            settings=dry,
            plan=plan,
            federation=federation,
            transactions=transactions,
            library=Library(UnpublishedStorage(storage_of(settings.network), dry.state / "store")),
            journal=transactions.journal,
            log=log,
            worker=worker,
            state_key=throwaway_key(),
        )
        daemon.prepare()
        say(next_step(daemon), who, federation)
