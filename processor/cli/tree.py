"""The commands in one tree."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

import typer

from processor.cli import audit, check, client, data, demo, model, organization, relay, status, wallet
from processor.cli.usage import Commands

app = typer.Typer(
    name="koinon",
    cls=Commands,
    help="Federated learning that nobody has to trust: one model from data that never leaves its owner.",
    epilog="Example: koinon demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(relay.app, name="relay")
app.add_typer(demo.app)
app.add_typer(organization.app, name="organization")
app.add_typer(client.app, name="client")
app.add_typer(wallet.app, name="wallet")
app.add_typer(status.app)
app.add_typer(check.app)
app.add_typer(audit.app)
app.add_typer(model.app, name="model")
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"koinon {importlib.metadata.version('koinon')}")
        raise typer.Exit


@app.callback()
def koinon(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """What every command may be preceded by."""
