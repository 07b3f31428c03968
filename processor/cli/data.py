"""`koinon data`: data sets to try things with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from processor.errors import ConfigurationError

app = typer.Typer(help="Data sets to try Koinon with.", no_args_is_help=True)


@app.command(epilog="Example: koinon data digits --clients 5 --client 1 --out digits-1.npz")
def digits(
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    clients: Annotated[int, typer.Option("--clients", min=1, max=500, help="How many clients share the digits.")] = 5,
    client: Annotated[
        int, typer.Option("--client", min=0, help="Which client's share, 1 to CLIENTS; 0 for the validation data.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides who gets which classes.")] = 0,
) -> None:
    """Write one party's share of scikit-learn's handwritten digits: a client's (two classes of five clients' ten), or
    the held-out validation data of the organization."""
    from processor.learning.tasks import digits_partition, save_dataset

    if client > clients:
        raise ConfigurationError(f"--client {client}: expected 0 to {clients}, the number of clients")
    if out.exists():
        raise ConfigurationError(f"{out} exists already: it is left as it is; give another name")
    shares, validation = digits_partition(clients, seed)
    dataset = shares[client - 1] if client else validation
    save_dataset(out, dataset)
    print(f"{out}: {len(dataset)} samples of the digits {sorted(set(dataset.labels.tolist()))}")
