"""`koinon model`: the released models, verified."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from processor.artifacts.model import MODEL_LIMIT, ModelHeader, open_model
from processor.artifacts.plan import PLAN_LIMIT, Factory, Plan
from processor.artifacts.report import REPORT_LIMIT, Report
from processor.chain.federation import Federation
from processor.cli.connections import open_chain, open_chain_and_storage
from processor.cli.files import new_file
from processor.cli.options import AsJson, Config, FederationAddress, Ipfs, Out, Rpc, Store, print_json, progress, table
from processor.errors import ArtifactError, ConfigurationError, KoinonError, StorageError
from processor.observability import printable
from processor.storage.base import Storage, get_bytes
from processor.types import Cid

EXAMPLE = "Example: koinon model get 0x1234… --rpc … --ipfs /ip4/127.0.0.1/tcp/5001 --out model.safetensors"

app = typer.Typer(help="The released models.", no_args_is_help=True, epilog=EXAMPLE)


@dataclass(frozen=True)
class Released:
    """A model that a round released, with the report about it; round 0 has the initial model."""

    round: int
    model: Cid
    report: Cid | None


@app.command("list", epilog="Example: koinon model list 0x1234… --rpc http://127.0.0.1:8545")
def list_(federation: FederationAddress, rpc: Rpc = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the model of every finalized round, the initial model as round 0."""
    releases = _releases(Federation(open_chain(rpc, config), federation))
    if as_json:
        print_json([asdict(release) for release in releases])
    elif releases:
        rows = [[str(release.round), release.model, release.report or ""] for release in releases]
        print(table(["round", "model", "report"], rows))
    else:
        print("no model yet: the organization has not set one", file=sys.stderr)


@app.command(epilog=EXAMPLE)
def get(
    federation: FederationAddress,
    out: Out,
    round: Annotated[int | None, typer.Option("--round", min=0, help="Which round's; the latest by default.")] = None,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a model, verify it against the CID on chain, and write it as safetensors."""
    web3, storage = open_chain_and_storage(rpc, ipfs, store, config)
    release = _chosen(_releases(Federation(web3, federation)), round)
    with new_file(out):
        progress(f"fetching {release.model}, the model of round {release.round}")
        storage.get(release.model, out, MODEL_LIMIT)
        header = _verified(out)
    metric, factory = _metric(storage, release.report), _factory(storage, header.plan)
    if as_json:
        made_by = None if factory is None else {"name": factory.name, "arguments": factory.arguments}
        print_json({**asdict(release), "file": str(out), "metric": metric, "factory": made_by})
    else:
        print(_text(out, release, metric, factory))


def _releases(federation: Federation) -> list[Released]:
    block = federation.block()
    count = federation.round_count(at=block)
    initial = federation.round_view(1, at=block).base if count else federation.latest_release(at=block)
    released = [initial, *(federation.round_view(number, at=block).released for number in range(1, count + 1))]
    return [
        Released(number, release.model, release.report)
        for number, release in enumerate(released)
        if release.model is not None
    ]


def _chosen(releases: list[Released], round: int | None) -> Released:
    if not releases:
        raise KoinonError("there is no model yet: the organization has not set one")
    if round is None:
        return releases[-1]
    for release in releases:
        if release.round == round:
            return release
    known = ", ".join(str(release.round) for release in releases)
    raise ConfigurationError(f"round {round} released no model; these rounds did: {known}")


def _verified(path: Path) -> ModelHeader:
    """Reads every tensor, as a whole model might not fit into memory; ArtifactError for what a model must not hold."""
    with open_model(path) as model:
        for name in model.layout:
            model.read(name)
        return model.header


def _metric(storage: Storage, report: Cid | None) -> float | None:
    """What the organization reports. A model that is intact is of use without its report."""
    try:
        return None if report is None else Report.decode(get_bytes(storage, report, REPORT_LIMIT)).metrics.after
    except (ArtifactError, StorageError):
        return None


def _factory(storage: Storage, plan: Cid) -> Factory | None:
    """What builds the module that the parameters fit, as the model's plan names it; None where that is not served."""
    try:
        return Plan.decode(get_bytes(storage, plan, PLAN_LIMIT)).model
    except (ArtifactError, StorageError):
        return None


def _text(out: Path, release: Released, metric: float | None, factory: Factory | None) -> str:
    lines = [f"{out}: the model of round {release.round}, {release.model}"]
    if metric is not None:
        lines.append(f"its metric, as the organization reports it: {metric:.4f}")
    if factory is not None:
        values = [repr(str(out)), repr(factory.name)]
        values += [f"{name}={value!r}" for name, value in factory.arguments.items()]
        lines += ["load it with", f"    load_trained({', '.join(values)})"]
    return "\n".join(map(printable, lines))
