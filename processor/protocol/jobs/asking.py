"""How a look at a plan and at data is asked for."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from processor.artifacts.plan import PLAN as PLAN_KIND
from processor.artifacts.plan import Plan
from processor.files import fingerprint
from processor.keystore import write_private
from processor.protocol.jobs.kinds import PLAN, Device, InspectJob
from processor.types import Cid


def inspect_job(plan: Cid, data: Path | None, publish: bool = False, device: Device = "cpu") -> InspectJob:
    """A look at a plan and at the file `data` as it is now: another one, once the file has changed."""
    where = None if data is None else data.absolute()
    return InspectJob(
        plan=plan,
        data=None if where is None else str(where),
        fingerprint="" if where is None else fingerprint(where),
        publish=publish,
        device=device,
        program=version("koinon"),
    )


def put_plan(folder: Path, plan: Plan) -> None:
    """Writes a job's plan into its folder."""
    write_private(folder / PLAN, PLAN_KIND.encode(plan))
