"""The commands in one tree, and how errors reach a person."""

from __future__ import annotations

import sys

import typer

from processor.cli import audit, client, data, demo, model, organization, status, wallet
from processor.errors import KoinonError

app = typer.Typer(
    name="koinon",
    help="Federated learning that nobody has to trust: one model from data that never leaves its owner.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(organization.app, name="organization")
app.add_typer(client.app, name="client")
app.add_typer(wallet.app, name="wallet")
app.add_typer(model.app, name="model")
app.add_typer(data.app, name="data")
app.command("status")(status.status)
app.command("audit")(audit.audit)
app.command("demo")(demo.demo)


def main() -> None:
    """Runs a command. What a user can mend ends in one message and status 1; a bug keeps its traceback."""
    try:
        app()
    except KoinonError as error:
        print(f"koinon: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("koinon: interrupted", file=sys.stderr)
        sys.exit(130)
