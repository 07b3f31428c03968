"""`koinon organization plan`: what clients will be asked to agree to, before they are."""

from __future__ import annotations

import difflib
import tempfile
import textwrap
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import typer

from processor.artifacts.plan import PLAN, Plan
from processor.chain.federation import Federation
from processor.cid import cid_of
from processor.cli.announced import announced_plan
from processor.cli.connections import federation_of, storage_of
from processor.cli.options import AsJson, Config, Ipfs, Rpc, Store, print_json
from processor.config import OrganizationSettings, load_organization
from processor.errors import ChainError
from processor.protocol.audit.plans import differences
from processor.protocol.consent import Agreement, in_words
from processor.protocol.current_plan import plan_of_model
from processor.protocol.limits import ModelSize
from processor.storage.library import Library
from processor.types import Cid, Phase, RoundView
from processor.words import counted

WIDTH = 100

app = typer.Typer(
    help="What clients will be asked to agree to.",
    no_args_is_help=True,
    epilog="Example: koinon organization plan diff --config organization.toml",
)


@app.command(epilog="Example: koinon organization plan show --config organization.toml")
def show(
    config: Config = None, rpc: Rpc = None, ipfs: Ipfs = None, store: Store = None, as_json: AsJson = False
) -> None:
    """Show the plan of the configuration as clients read it before they agree; sends and publishes nothing."""
    found = _Plans(load_organization({"rpc": rpc, "ipfs": ipfs, "store": store}, config))
    if as_json:
        print_json(found.facts())
    else:
        print(_wrapped([*found.words(found.own), "", f"digest {found.own.digest()}", "", found.asked()]))


@app.command(epilog="Example: koinon organization plan diff --config organization.toml")
def diff(
    config: Config = None, rpc: Rpc = None, ipfs: Ipfs = None, store: Store = None, as_json: AsJson = False
) -> None:
    """Show how the plan of the configuration differs from that of the latest round, and what becomes of a change."""
    found = _Plans(load_organization({"rpc": rpc, "ipfs": ipfs, "store": store}, config))
    changes = list(differences(found.before.plan, found.own.plan)) if found.before is not None else []
    if as_json:
        listed = [{"setting": name, "before": old, "after": new} for name, old, new in changes]
        print_json({**found.facts(), "changes": listed})
        return
    lines = [f"{name}: {old} becomes {new}" for name, old, new in changes]
    if found.before is not None and changes:
        old, new = found.words(found.before), found.words(found.own)
        said = [line for line in difflib.ndiff(old, new) if line.startswith(("- ", "+ "))]
        lines += ["", "What clients read (-) becomes (+):", *said]
    print(_wrapped([*lines, *([""] if lines else []), found.asked()]))


@dataclass
class _Plans:
    """The plan of a configuration, and the one that its federation has now."""

    settings: OrganizationSettings

    @cached_property
    def federation(self) -> Federation:
        return federation_of(self.settings)

    @cached_property
    def library(self) -> Library:
        return Library(storage_of(self.settings.network, publishing=False))

    @cached_property
    def view(self) -> RoundView | None:
        """The latest round; None before the first."""
        view = self.federation.round_view()
        return None if view.phase is Phase.NONE else view

    @cached_property
    def own(self) -> Agreement:
        """As the daemon would publish it. Raises ConfigurationError, and DatasetError for validation data that is to be
        published and cannot be used."""
        plan = Plan.from_table(self.settings.plan)
        if self.settings.publish_validation:
            plan = replace(plan, validation=_published(plan, self.settings.validation))
        return self._agreement(cid_of(PLAN.encode(plan)), plan)

    @cached_property
    def before(self) -> Agreement | None:
        """What clients agree to now; None where the federation has no plan yet. Raises StorageError where nobody serves
        it."""
        cid = None if self.view is None else self.view.plan
        if cid is None:
            model = self.federation.latest_release().model
            cid = None if model is None else plan_of_model(self.library, model)
        return None if cid is None else self._agreement(cid, self.library.read(PLAN, cid))

    @cached_property
    def announced(self) -> bool | None:
        """Whether the plan of the configuration is announced; None where the node gives no logs."""
        try:
            return announced_plan(self.federation, self.view, self.federation.block()) == self.own.plan_cid
        except ChainError:
            return None

    def words(self, agreement: Agreement) -> list[str]:
        """Raises ConfigurationError for a plan that cannot be carried out."""
        return in_words(agreement, self.federation.asset(), self.view, _size(agreement.plan)).splitlines()

    def asked(self) -> str:
        """Whether clients are asked, in a sentence."""
        before, settings = self.before, self.settings
        if before is None:
            return (
                "The federation has no plan yet: clients are asked to agree to this one once the daemon published it."
            )
        if before.plan_cid == self.own.plan_cid:
            return "It is the plan that the federation has now: whoever agreed to it is not asked again."
        now, notice = f"The federation has the plan {before.plan_cid} now.", counted(settings.plan_notice, "second")
        announced = self.announced
        if announced:
            return (
                f"{now} The other is announced, and every client asked to agree. A round opens under it once all of "
                f"them have, or {notice} after it was announced (organization.plan_notice)."
            )
        unless = ", unless it did so before, which this node's logs do not tell" if announced is None else ""
        return (
            f"{now} The daemon, once it is started with this configuration, announces the other and asks every client "
            f"to agree{unless}. A round opens under it once all of them have, or {notice} after that "
            "(organization.plan_notice)."
        )

    def facts(self) -> dict[str, Any]:
        before, own = self.before, self.own
        return {
            "federation": own.federation,
            "chain_id": own.chain_id,
            "plan": own.plan_cid,
            "digest": own.digest(),
            "current_plan": None if before is None else before.plan_cid,
            "clients_are_asked": before is None or before.plan_cid != own.plan_cid,
        }

    def _agreement(self, cid: Cid, plan: Plan) -> Agreement:
        federation = self.federation
        return Agreement(federation.chain_id, federation.address, cid, plan, federation.terms())


def _size(plan: Plan) -> ModelSize:
    from processor.worker.jobs.inspecting import inspect  # torch takes seconds

    return ModelSize.of(inspect(plan, None).layout)


def _published(plan: Plan, validation: Path) -> Cid:
    """The CID that the validation data gets once it is published."""
    from processor.artifacts.dataset import DatasetHeader, write_dataset
    from processor.learning.resolve import task_of  # torch takes seconds
    from processor.worker.jobs.reading import own_data

    task = task_of(plan)
    data = own_data(task, validation)
    with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
        return write_dataset(Path(folder) / "data", DatasetHeader(task=task.name), data.features, data.labels)


def _wrapped(lines: list[str]) -> str:
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False) for line in lines)
