"""`koinon client join`: the plan of a federation in plain words, and the client's agreement to it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from processor.artifacts.plan import PLAN
from processor.chain.amounts import format_units
from processor.chain.contracts import to_address
from processor.chain.federation import Federation
from processor.cli.announced import announced_plan
from processor.cli.asking import confirm
from processor.cli.connections import address_of, federation_of, storage_of
from processor.cli.daemon import logger
from processor.cli.options import AsJson, Config, Ipfs, Rpc, Store, asset_as_json, print_json
from processor.cli.refused import refused_by
from processor.config import RATE_DECIMALS, ClientSettings, load_client
from processor.daemons.consents import agree, agreed
from processor.errors import ChainError, ConfigurationError, KoinonError
from processor.protocol.consent import Agreement, in_words
from processor.protocol.current_plan import UNKNOWN, plan_of_model
from processor.protocol.limits import ModelSize, artifact_bytes, offer_of
from processor.storage.library import Library
from processor.types import Block, Cid, Phase, RoundView

WIDTH = 100

app = typer.Typer()


@app.command(epilog="Example: koinon client join --config client.toml")
def join(
    federation: Annotated[
        str | None,
        typer.Argument(
            metavar="[FEDERATION]", help="Address of the federation's contract, where the configuration names none."
        ),
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option("--accept", metavar="DIGEST", help="Agree without being asked, to the plan with this digest."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="CID", help="A plan that is announced, instead of the current one."),
    ] = None,
    config: Config = None,
    rpc: Rpc = None,
    ipfs: Ipfs = None,
    store: Store = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and agree to nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the plan of a federation in plain words, and agree to it; needs no passphrase.

    Your daemon takes part in rounds whose plan you agreed to, and in no others. Agree again when the plan changes; a
    daemon that runs notices by itself.
    """
    settings = _settings(federation, {"rpc": rpc, "ipfs": ipfs, "store": store}, config)
    wallet = address_of(settings.wallet, settings.passphrase_file)
    reader, library = federation_of(settings), Library(storage_of(settings.network, publishing=False))
    block = reader.block()
    latest = reader.round_view(wallet, at=block)
    view = None if latest.phase is Phase.NONE else latest
    agreement = agreement_on(reader, library, plan or current_plan(reader, library, view, settings, block))
    digest, known = agreement.digest(), agreed(settings.state, logger())
    if accept is not None and accept != digest:
        raise ConfigurationError(
            f"--accept names the digest {accept[:80]!r}, and the plan {agreement.plan_cid} has {digest}: nothing was "
            "agreed to. Read the plan, without --accept, and accept its digest if you agree"
        )
    storing = accept is not None and not dry_run
    if storing:
        agree(settings.state, digest, logger())
    if storing and not as_json:
        _say_agreed(agreement)
        return

    from processor.worker.jobs.inspecting import inspect  # torch takes seconds

    facts = inspect(agreement.plan, settings.data)
    size = ModelSize.of(facts.layout)
    reasons = list(refused_by(reader, view, settings, agreement, facts))
    if as_json:
        print_json(
            {"digest": digest, "agreed": storing or digest in known, **_facts(reader, agreement, view, size, reasons)}
        )
        return
    _show(agreement, reader, view, size, reasons, is_result=dry_run)
    if dry_run:
        return
    if digest in known:
        coming = None if plan else _announced(reader, view, block)
        said = "nothing is to be done" if coming is None else f"the next is announced: see `--plan {coming}`"
        print(f"you have agreed to the plan {agreement.plan_cid} before: {said}")
        return
    _ask(digest)
    agree(settings.state, digest, logger())
    _say_agreed(agreement)


def _announced(federation: Federation, view: RoundView | None, block: Block) -> Cid | None:
    """The plan of rounds to come, where the organization announced one and the node has its logs."""
    try:
        coming = announced_plan(federation, view, block)
    except ChainError:
        return None
    return None if view is not None and coming == view.plan else coming


def _say_agreed(agreement: Agreement) -> None:
    print(f"agreed to the plan {agreement.plan_cid} of {agreement.federation}, with the digest {agreement.digest()}")


def _settings(federation: str | None, options: dict[str, Any], config: Path | None) -> ClientSettings:
    """The daemon's own settings, since it is the daemon that reads what is agreed to here.

    Raises ConfigurationError where they name another federation than the argument, or neither names one.
    """
    if federation is None:
        return load_client(options, config)
    address = to_address(federation)
    settings = load_client({**options, "federation": address}, config)
    try:
        named = load_client(options, config).federation
    except ConfigurationError:  # nothing but the federation can be missing here
        named = address
    if named != address:
        raise ConfigurationError(
            f"the configuration names the federation {named}, and you are about to join {address}: give each "
            "federation a configuration of its own"
        )
    return settings


def current_plan(
    federation: Federation, library: Library, view: RoundView | None, settings: ClientSettings, block: Block
) -> Cid:
    """The plan of the latest round; before the first, the one that the initial model names."""
    if view is not None and view.plan is not None:
        return view.plan
    model = federation.latest_release(at=block).model
    if model is None:
        raise KoinonError(
            f"the federation {federation.address} has no plan yet: its organization has not set the initial model. Try "
            "again later, or give the plan that it announced as --plan"
        )
    return plan_of_model(library, model, settings.max_bytes or UNKNOWN)


def agreement_on(federation: Federation, library: Library, plan: Cid) -> Agreement:
    content = library.read(PLAN, plan)
    return Agreement(federation.chain_id, federation.address, plan, content, federation.terms())


def _show(
    agreement: Agreement,
    federation: Federation,
    view: RoundView | None,
    size: ModelSize,
    reasons: list[str],
    is_result: bool,
) -> None:
    lines = in_words(agreement, federation.asset(), view, size).splitlines()
    if reasons:
        lines += [
            "",
            "As it is configured, your daemon would refuse a round of it",
            *(f"  - {each}" for each in reasons),
        ]
    lines += ["", f"digest {agreement.digest()}"]
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False) for line in lines]
    print("\n".join(wrapped), file=sys.stdout if is_result else sys.stderr, flush=True)


def _ask(digest: str) -> None:
    """Raises KoinonError where the answer is no, or where there is nobody to ask."""
    confirm("Do you agree?", "nothing was agreed to", f"--accept {digest}")


def _facts(
    federation: Federation, agreement: Agreement, view: RoundView | None, size: ModelSize, reasons: list[str]
) -> dict[str, Any]:
    plan, terms, asset = agreement.plan, agreement.terms, federation.asset()
    offer = None if view is None else offer_of(view, asset, 0)
    return {
        "chain_id": agreement.chain_id,
        "federation": agreement.federation,
        "plan": agreement.plan_cid,
        "asset": asset_as_json(asset),
        "stake": str(terms.stake),
        "max_slash_rate": terms.max_slash_rate,
        "slash_rate": plan.slashing.rate,
        "admission": terms.admission.name.lower(),
        "audit_policy": terms.audit_policy.name.lower(),
        "max_spread": terms.max_spread,
        "idle_rounds": terms.idle_rounds,
        "noise": plan.privacy.where,
        "parameters": size.parameters,
        "update_bytes": artifact_bytes(plan, size),
        "round": None if view is None else view.round,
        "guaranteed_rate": None if offer is None else format_units(offer.rate, RATE_DECIMALS),
        "guaranteed_reward": None if offer is None else str(offer.reward),
        "refusals": reasons,
    }
