"""`koinon demo`: see everything work, on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from processor.types import Admission

app = typer.Typer()


@app.command(epilog="Example: koinon demo --clients 5 --rounds 10 --json demo.json --keep demo")
def demo(
    clients: Annotated[int, typer.Option("--clients", min=2, max=50, help="Number of clients.")] = 5,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=100, help="Number of rounds.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Decides data, model and batches.")] = 0,
    json: Annotated[
        Path | None,
        typer.Option("--json", dir_okay=False, writable=True, help="Write the closing page to this file as JSON."),
    ] = None,
    ipfs: Annotated[
        str | None, typer.Option("--ipfs", help="Use this IPFS node, /ip4/127.0.0.1/tcp/5001, not a private one.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", file_okay=False, help="Use this local directory instead of IPFS.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Leave artifacts, journals, logs, keystores and the chain's state in this folder."),
    ] = None,
    token: Annotated[
        bool, typer.Option("--token", help="Pay and stake in a token of play money, not in the chain's coin.")
    ] = False,
    stake: Annotated[
        str, typer.Option("--stake", metavar="AMOUNT", help="What every client stakes, in whole units: 0.5.")
    ] = "0",
    admission: Annotated[
        Literal["open", "voucher"],
        typer.Option("--admission", help="Let anybody in, or only clients with a voucher of the organization."),
    ] = "open",
    relay: Annotated[
        bool, typer.Option("--relay", help="Let the clients hold no coins: a relay sends what they sign.")
    ] = False,
) -> None:
    """Run a federation of processes on a private chain, with an audit; status 0 only if everything holds."""
    from processor.demo.settings import DemoSettings, stake_of

    settings = DemoSettings(
        clients, rounds, seed, json, ipfs, store, keep, token, stake_of(stake), Admission[admission.upper()], relay
    )

    from processor.demo.federation import how_to_audit, run  # torch takes seconds to import; mistakes are said at once

    page = run(settings, lambda line: print(line, flush=True))
    print(page.as_text())
    commands = how_to_audit(settings, page.federation)
    if commands:
        print("\nTo start this chain again and audit it:", *commands, sep="\n  ")
    if page.failures():
        raise typer.Exit(1)
