"""`koinon audit`: recompute everything, without a key."""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from processor.chain.federation import Federation
from processor.cli.connections import open_chain_and_storage, require_made_by
from processor.cli.options import (
    AsJson,
    Config,
    FactoryAddress,
    FederationAddress,
    Ipfs,
    Rpc,
    Store,
    print_json,
    progress,
)

app = typer.Typer()


@app.command(epilog="Example: koinon audit 0x1234… --rpc http://127.0.0.1:8545 --ipfs /ip4/127.0.0.1/tcp/5001")
def audit(
    federation: FederationAddress,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    config: Config = None,
    factory: FactoryAddress = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every round of a federation from the chain and the artifacts; status 1 on any violation."""
    web3, storage = open_chain_and_storage(rpc, ipfs, store, config)
    reader = Federation(web3, federation)
    require_made_by(factory, reader)

    from processor.cli import audit_page  # torch, to evaluate models, takes seconds; mistakes are said at once
    from processor.protocol.audit import audit as recompute

    with tempfile.TemporaryDirectory(prefix="koinon-audit-") as directory:
        result = recompute(reader, storage, Path(directory), _progress)
    if as_json:
        print_json(audit_page.as_json(result))
    else:
        print(audit_page.as_text(result))
    if not result.ok:
        raise typer.Exit(1)


def _progress(done: int, total: int) -> None:
    progress(f"\raudited {done} of {total} rounds", end="\n" if done == total else "")
