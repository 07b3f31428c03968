"""`koinon audit`: recompute everything, without a key."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from processor.artifacts.round import RoundFile
from processor.chain.federation import Federation
from processor.cli import audit_page
from processor.cli.connections import open_chain_and_storage, require_made_by
from processor.cli.daemon import logger
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
from processor.protocol.audit import Audit
from processor.protocol.audit import audit as recompute
from processor.protocol.jobs.folder import jobs_folder
from processor.protocol.measuring import measure_by
from processor.protocol.model_form import forms_by
from processor.protocol.receipts import check_receipts, unkept
from processor.types import Phase
from processor.words import counted
from processor.worker.process import WorkerProcess

app = typer.Typer()

INCOMPLETE = 3
"""The status where nothing is wrong, and something could not be proved: a round, a stopping decision, or that a relay
kept its word."""

Keep = Annotated[
    Path | None,
    typer.Option(
        "--keep",
        help="A folder of this federation's rounds and reports: read as one more source, and filled with what this "
        "audit proves. State forgets old rounds, and artifacts can be withheld.",
    ),
]
LogsFrom = Annotated[
    int,
    typer.Option(
        "--logs-from", min=0, help="The block from which the node's logs are read, where something is missing."
    ),
]
Receipts = Annotated[
    Path | None,
    typer.Option(
        "--receipts",
        help="A folder of receipts that relays gave a client (its state folder's receipts/): names relays of which a "
        "receipt has no update in the round.",
    ),
]
NoLogs = Annotated[bool, typer.Option("--no-logs", help="Read no logs, whatever is missing.")]


@app.command(epilog="Example: koinon audit 0x1234… --rpc http://127.0.0.1:8545 --ipfs /ip4/127.0.0.1/tcp/5001")
def audit(
    federation: FederationAddress,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    config: Config = None,
    factory: FactoryAddress = None,
    keep: Keep = None,
    logs_from: LogsFrom = 0,
    no_logs: NoLogs = False,
    receipts: Receipts = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every round of a federation from the chain and the artifacts.

    Status 1 on any violation, 3 where there is none but a round could not be proved, a stopping decision is undecided
    within the tolerance of its metric, or a receipt has no update.
    """
    web3, storage = open_chain_and_storage(rpc, ipfs, store, config)
    reader = Federation(web3, federation)
    require_made_by(factory, reader)
    logs = None if no_logs else logs_from
    with (
        tempfile.TemporaryDirectory(prefix="koinon-audit-") as directory,
        WorkerProcess(jobs_folder(Path(directory)), logger()) as worker,  # which starts nothing before it has a job
    ):
        jobs = jobs_folder(Path(directory))
        measure, forms = measure_by(worker, jobs / "evaluate"), forms_by(worker, jobs / "inspect")
        result = recompute(reader, storage, Path(directory), measure, forms, _progress, keep=keep, logs_from=logs)
    kept = [] if receipts is None else check_receipts(receipts, _lists(result), reader.chain_id, reader.address)
    if as_json:
        print_json({**audit_page.as_json(result), "receipts": audit_page.receipts_as_json(kept)})
    else:
        print("\n".join([audit_page.as_text(result), *audit_page.receipts_as_text(kept)]))
    if not result.ok:
        raise typer.Exit(1)
    if not result.complete or unkept(kept):
        raise typer.Exit(INCOMPLETE)


def _lists(result: Audit) -> dict[int, RoundFile]:
    """The proved lists to which nobody can add any more, by round."""
    growing = {row.round for row in result.rounds if row.phase is Phase.TRAINING}
    return {file.round: file for file in result.files if file.round not in growing}


def _progress(done: int, total: int) -> None:
    progress(f"\raudited {done} of {counted(total, 'round')}", end="\n" if done == total else "")
