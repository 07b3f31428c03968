"""`koinon organization`: run the rounds of a federation that is yours."""

from __future__ import annotations

from pathlib import Path

import typer

from processor.artifacts.plan import Plan
from processor.chain.transactions import Sender
from processor.cli import create, owner, voucher
from processor.cli.connections import federation_of, storage_of, unlock
from processor.cli.daemon import journal_of, logger, only_daemon, stop_on_signals, write_template
from processor.cli.options import Config, Ipfs, Out, Rpc, Store
from processor.config import load_organization, organization_template
from processor.daemons.base import Transactions, run
from processor.keystore import state_key

app = typer.Typer(
    help="Run a federation of your own.",
    no_args_is_help=True,
    epilog="Example: koinon organization run --config organization.toml",
)
app.add_typer(create.app)
app.add_typer(owner.app)
app.add_typer(voucher.app, name="voucher")


@app.command(epilog="Example: koinon organization init --out organization.toml")
def init(out: Out = Path("organization.toml")) -> None:
    """Write a commented configuration to start from: network, wallet, rewards, and the plan of the learning."""
    write_template(out, organization_template())


@app.command("run", epilog="Example: koinon organization run --config organization.toml")
def run_(config: Config = None, rpc: Rpc = None, ipfs: Ipfs = None, store: Store = None) -> None:
    """Publish plan and initial model; open, aggregate, evaluate and finalize rounds until the stopping rule holds."""
    settings = load_organization({"rpc": rpc, "ipfs": ipfs, "store": store}, config)
    plan = Plan.from_table(settings.plan)
    account = unlock(settings.wallet, settings.passphrase_file)
    federation = federation_of(settings)

    from processor.daemons.organization import OrganizationDaemon  # torch takes seconds; mistakes are said at once

    log = logger()
    with only_daemon(settings.state), journal_of(settings.state, federation, account.address) as journal:
        daemon = OrganizationDaemon(
            address=account.address,
            settings=settings,
            plan=plan,
            federation=federation,
            transactions=Transactions(Sender(federation.web3, account), journal, log),
            storage=storage_of(settings.network),
            journal=journal,
            log=log,
            state_key=state_key(account),
        )
        daemon.prepare()
        log.info("started", address=account.address, federation=federation.address, state=str(settings.state))
        run(daemon.cycle, settings.poll_interval, stop_on_signals(), log)
