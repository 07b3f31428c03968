"""`koinon model`: the released models, verified."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from processor.artifacts.model import ModelHeader, open_model
from processor.artifacts.plan import PLAN, Factory
from processor.artifacts.report import REPORT
from processor.chain.federation import Federation
from processor.chain.snapshot import Snapshots
from processor.cli.connections import open_chain_and_storage
from processor.cli.daemon import logger
from processor.cli.new_file import new_file
from processor.cli.options import AsJson, Config, FederationAddress, Ipfs, Out, Rpc, Store, print_json, progress, table
from processor.errors import ArtifactError, ConfigurationError, KoinonError, StorageError
from processor.observability import printable
from processor.protocol.jobs.folder import jobs_folder
from processor.protocol.model_form import ModelForm, fetch_model, forms_by
from processor.protocol.walk import Walk, walk_back
from processor.protocol.walk.start import start_of
from processor.storage.library import Library
from processor.types import Cid
from processor.worker.process import WorkerProcess

EXAMPLE = "Example: koinon model get 0x1234… --rpc … --ipfs /ip4/127.0.0.1/tcp/5001 --out model.safetensors"

app = typer.Typer(help="The released models.", no_args_is_help=True, epilog=EXAMPLE)


@dataclass(frozen=True)
class Released:
    """A model that a round released, with the report about it and the round's plan; round 0 has the initial model, and
    no plan where no round was opened yet."""

    round: int
    model: Cid
    report: Cid | None
    plan: Cid | None


@app.command("list", epilog="Example: koinon model list 0x1234… --rpc … --ipfs /ip4/127.0.0.1/tcp/5001")
def list_(
    federation: FederationAddress,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the model of every finalized round, the initial model as round 0.

    The chain names the latest; the others are in the reports that lead from one to the next, held to the chain's
    record.
    """
    web3, storage = open_chain_and_storage(rpc, ipfs, store, config)
    releases = _releases(Federation(web3, federation), Library(storage))
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
    library = Library(storage)
    release = _chosen(_releases(Federation(web3, federation), library), round)
    with new_file(out):
        form = _form(library, release.plan)
        progress(f"fetching {release.model}, the model of round {release.round}")
        fetch_model(library, release.model, out, form)
        header = _verified(out)
    metric, factory = _metric(library, release.report), _factory(library, header.plan)
    if as_json:
        made_by = None if factory is None else {"name": factory.name, "arguments": factory.arguments}
        print_json({**asdict(release), "file": str(out), "metric": metric, "factory": made_by})
    else:
        print(_text(out, release, metric, factory))


def _releases(federation: Federation, library: Library) -> list[Released]:
    """What the chain's record proves; of the other rounds it is said on standard error that they are missing."""
    found = walk_back(start_of(Snapshots(federation).latest()), library)
    released = [] if (initial := _initial(found)) is None else [initial]
    for step in found.steps.values():
        if step.link is None or step.record is None:
            if step.round <= found.start.view.chained:
                print(f"what round {step.round} released is not known: {step.because}", file=sys.stderr)
        elif step.link.outcome is not None:
            outcome, plan = step.link.outcome, None if step.list is None else step.list.opening.plan
            released.append(Released(step.round, outcome.model, outcome.report, plan))
    return released


def _initial(found: Walk) -> Released | None:
    """The model that the first round started from, where that is known."""
    if found.start.head == 0:
        model = found.start.latest.model
        return None if model is None else Released(0, model, None, None)
    first = found.steps[1]
    if first.list is None or first.because is not None:
        return None
    return Released(0, first.list.opening.base_model, None, first.list.opening.plan)


def _form(library: Library, plan: Cid | None) -> ModelForm | None:
    """What the plan fixes of its models, so that nothing larger is fetched. A model that is intact is of use without
    its plan, and where this program does not know what the plan names: then the limit of every model is the bound."""
    if plan is None:
        return None
    try:
        content = library.read(PLAN, plan)
        with (
            tempfile.TemporaryDirectory(prefix="koinon-") as folder,
            WorkerProcess(jobs_folder(Path(folder)), logger()) as worker,
        ):
            return forms_by(worker, jobs_folder(Path(folder)) / "inspect")(plan, content)
    except (ArtifactError, StorageError) as error:
        print(f"how large the model may be is not known: {error}", file=sys.stderr)
        return None


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


def _metric(library: Library, report: Cid | None) -> float | None:
    """What the organization reports. A model that is intact is of use without its report."""
    try:
        return None if report is None else library.read(REPORT, report).metrics.after
    except (ArtifactError, StorageError):
        return None


def _factory(library: Library, plan: Cid) -> Factory | None:
    """What builds the module that the parameters fit, as the model's plan names it; None where that is not served."""
    try:
        return library.read(PLAN, plan).model
    except (ArtifactError, StorageError):
        return None


def _text(out: Path, release: Released, metric: float | None, factory: Factory | None) -> str:
    lines = [f"{out}: the model of round {release.round}, {release.model}"]
    if metric is not None:
        lines.append(f"its metric, as the organization reports it: {metric:.4f}")
    if factory is not None:
        values = [repr(str(out)), repr(factory.name)]
        values += [f"{name}={value!r}" for name, value in factory.arguments.items()]
        lines += ["load it with", "    from koinon import load_model", f"    load_model({', '.join(values)})"]
    return "\n".join(map(printable, lines))
