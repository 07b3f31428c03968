"""`koinon data`: data sets to try things with."""

from __future__ import annotations

from typing import Annotated

import typer

from processor.cli.new_file import new_file
from processor.cli.options import AsJson, Out, print_json
from processor.errors import ConfigurationError
from processor.words import counted

EXAMPLE = "Example: koinon data digits --clients 5 --client 1 --out digits-1.npz"

app = typer.Typer(help="Data sets to try Koinon with.", no_args_is_help=True, epilog=EXAMPLE)


@app.command(epilog=EXAMPLE)
def digits(
    out: Out,
    clients: Annotated[int, typer.Option("--clients", min=1, max=500, help="How many clients share the digits.")] = 5,
    client: Annotated[
        int, typer.Option("--client", min=0, help="Which client's share, 1 to CLIENTS; 0 for the validation data.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides who gets which classes.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a client's share of scikit-learn's handwritten digits, or the validation data of the organization."""
    from processor.data.digits import digits_partition  # scikit-learn takes a second to import
    from processor.data.npz import save_npz

    if client > clients:
        raise ConfigurationError(f"--client {client}: expected 0 to {clients}, the number of clients")
    with new_file(out):
        shares, validation = digits_partition(clients, seed)
        dataset = shares[client - 1] if client else validation
        save_npz(out, dataset)
    classes = sorted(set(dataset.labels.tolist()))
    if as_json:
        print_json({"file": str(out), "samples": len(dataset), "classes": classes})
    else:
        print(f"{out}: {counted(len(dataset), 'sample')} of the digits {classes}")
