"""`koinon client`: take part with a wallet and data of your own."""

from __future__ import annotations

from pathlib import Path

import typer

from processor.chain.transactions import Sender
from processor.cli import member
from processor.cli.connections import federation_of, storage_of, unlock
from processor.cli.daemon import journal_of, logger, only_daemon, stop_on_signals, write_template
from processor.cli.options import Config, Ipfs, Out, Rpc, Store
from processor.config import client_template, load_client
from processor.daemons.base import Transactions, run
from processor.errors import DatasetError

app = typer.Typer(
    help="Take part in a federation.", no_args_is_help=True, epilog="Example: koinon client run --config client.toml"
)
app.add_typer(member.app)


@app.command(epilog="Example: koinon client init --out client.toml")
def init(out: Out = Path("client.toml")) -> None:
    """Write a commented configuration to start from."""
    write_template(out, client_template())


@app.command("run", epilog="Example: koinon client run --config client.toml")
def run_(config: Config = None, rpc: Rpc = None, ipfs: Ipfs = None, store: Store = None) -> None:
    """Register if needed, train in every round that selects you, submit, and claim; until interrupted."""
    settings = load_client({"rpc": rpc, "ipfs": ipfs, "store": store}, config)
    if not settings.data.is_file():  # what is in it is judged by the task of each round's plan
        raise DatasetError(f"there is no data at {settings.data}: name the file that you train on as client.data")
    account = unlock(settings.wallet, settings.passphrase_file)
    federation = federation_of(settings)

    from processor.daemons.client import ClientDaemon, use_threads  # torch takes seconds; mistakes are said at once

    log = logger()
    use_threads(settings.threads)
    with only_daemon(settings.state), journal_of(settings.state, federation, account.address) as journal:
        daemon = ClientDaemon(
            address=account.address,
            settings=settings,
            federation=federation,
            transactions=Transactions(Sender(federation.web3, account), journal, log),
            storage=storage_of(settings.network),
            journal=journal,
            log=log,
            stopping=stop_on_signals(),
        )
        log.info("started", address=account.address, federation=federation.address, state=str(settings.state))
        run(daemon.cycle, settings.poll_interval, daemon.stopping, log)
