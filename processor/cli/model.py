"""`koinon model`: the released models, verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from processor.artifacts.model import MODEL_LIMIT, load_model
from processor.artifacts.report import REPORT_LIMIT, Report
from processor.chain.federation import Federation
from processor.cli.connections import open_chain, open_chain_and_storage
from processor.cli.options import AsJson, Config, FederationAddress, Ipfs, Rpc, Store, print_json, table
from processor.errors import ConfigurationError, KoinonError
from processor.storage.base import get_bytes

app = typer.Typer(help="The released models.", no_args_is_help=True)


@app.command("list", epilog="Example: koinon model list 0x1234… --rpc http://127.0.0.1:8545")
def list_(federation: FederationAddress, rpc: Rpc = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the model of every finalized round, the initial model as round 0."""
    releases = _releases(Federation(open_chain(rpc, config), federation))
    if as_json:
        print_json(releases)
        return
    rows = [[str(row["round"]), row["model"], row["report"] or ""] for row in releases]
    print(table(["round", "model", "report"], rows))


@app.command(epilog="Example: koinon model get 0x1234… --rpc … --ipfs /ip4/127.0.0.1/tcp/5001 --out model.safetensors")
def get(
    federation: FederationAddress,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    round: Annotated[int | None, typer.Option("--round", min=0, help="Which round's; the latest by default.")] = None,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a model, verify it against the CID on chain, and write it as safetensors."""
    web3, storage = open_chain_and_storage(rpc, ipfs, store, config)
    releases = _releases(Federation(web3, federation))
    if not releases:
        raise KoinonError(f"federation {federation} has no model yet: its organization has not set one")
    chosen = releases[-1] if round is None else next((row for row in releases if row["round"] == round), None)
    if chosen is None:
        known = ", ".join(str(row["round"]) for row in releases)
        raise ConfigurationError(f"round {round} released no model; these rounds did: {known}")
    if out.exists():
        raise ConfigurationError(f"{out} exists already: it is left as it is; give another name")
    storage.get(chosen["model"], out, MODEL_LIMIT)
    try:
        load_model(out)
    except KoinonError:
        out.unlink()
        raise
    accuracy = None
    if chosen["report"] is not None:
        accuracy = Report.decode(get_bytes(storage, chosen["report"], REPORT_LIMIT)).metrics.after
    if as_json:
        print_json({**chosen, "file": str(out), "metric": accuracy})
        return
    claimed = "" if accuracy is None else f", for which the organization reports a metric of {accuracy:.4f}"
    print(f"{out}: the model of round {chosen['round']}, {chosen['model']}{claimed}")


def _releases(federation: Federation) -> list[dict[str, Any]]:
    block = federation.block()
    count = federation.round_count(at=block)
    initial = federation.round_view(1, at=block).base if count else federation.latest_release(at=block)
    releases: list[dict[str, Any]] = []
    if initial.model is not None:
        releases.append({"round": 0, "model": initial.model, "report": None})
    for number in range(1, count + 1):
        released = federation.round_view(number, at=block).released
        if released.model is not None:
            releases.append({"round": number, "model": released.model, "report": released.report})
    return releases
